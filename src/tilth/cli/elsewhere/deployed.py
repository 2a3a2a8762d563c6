"""The version that leaves: what a deployment serves now, its files fetched and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from tilth.cli.client import Api
from tilth.core.errors import Invalid
from tilth.core.home import Target
from tilth.sdk import connection
from tilth.sdk.models import FetchedModel, fetch_model
from tilth.wire.serving import DeploymentDetail, DeploymentView


class CannotLeave(Invalid):
    """The deployment cannot be served elsewhere as it is."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """view: the deployment as it stands; model: the checked files of the version that it serves."""

    view: DeploymentView
    model: FetchedModel

    @property
    def label(self) -> str:
        """A name that every platform takes: letters, digits and dashes, a letter first (Services of Kubernetes ask for it), at most 50."""
        label = re.sub(r"[^a-z0-9]+", "-", self.view.name.lower()).strip("-")
        label = label if label[:1].isalpha() else f"model-{label}"
        return label[:50].rstrip("-")


def deployed(target: Target, name: str) -> Deployed:
    """Raises CannotLeave, and what the server refuses."""
    connection.init(target.project, url=target.url, token=target.token, home=target.home)
    with Api(target) as api:
        view = msgspec.convert(api.get(api.in_project("deployments", name)), DeploymentDetail).deployment
    routed = [route.version for route in view.routes if route.share > 0]
    if len(routed) > 1:
        raise CannotLeave(
            f"deployment {name!r} serves versions {', '.join(map(str, routed))} of {view.model} side by side; elsewhere there is one "
            "version: finish the rollout or experiment first, or deploy the version under another name"
        )
    return Deployed(view, fetch_model(f"{view.model}/{routed[0] if routed else view.version}"))
