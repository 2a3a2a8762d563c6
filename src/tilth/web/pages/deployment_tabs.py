"""The parts of a deployment's pages, one tab each, shown to those who may open them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tilth.guard import Access, Permission
from tilth.web.pages.frame import may, project_url

_TABS = (
    ("state", "State", (), Permission.DEPLOYMENT_READ),
    ("rollouts", "Rollouts", ("rollouts",), Permission.DEPLOYMENT_READ),
    ("shadow", "Shadow", ("shadow",), Permission.DEPLOYMENT_READ),
    ("ab", "A/B", ("ab",), Permission.DEPLOYMENT_READ),
    ("labels", "Labels", ("labels",), Permission.DEPLOYMENT_READ),
    ("predictions", "Predictions", ("predictions",), Permission.PREDICTION_READ),
    ("try", "Try it", ("try",), Permission.DEPLOYMENT_READ),
)


@dataclass(frozen=True, slots=True)
class Tabs:
    """items: (key, label, address); here: the key of the open one; name: of the deployment."""

    name: str
    here: str
    items: Sequence[tuple[str, str, str]]


def deployment_tabs(access: Access[Any], name: str, here: str) -> Tabs:
    shown = [
        (key, label, project_url(access.project.name, "deployments", name, *below))
        for key, label, below, permission in _TABS
        if may(access, permission)
    ]
    return Tabs(name, here, shown)
