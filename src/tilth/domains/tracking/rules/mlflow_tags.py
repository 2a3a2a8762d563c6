"""MLflow keeps facts about a run as tags with reserved keys; here they are what they are: name, notes, parent, source.

Written through MLflow's protocol such a tag changes the fact; read through it, the fact appears as the tag, also of a run that our own
SDK made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tilth.domains.tracking.rules.filters import Condition, Order
from tilth.domains.tracking.rules.mlflow_filters import STATUS_NAMES
from tilth.domains.tracking.types import is_run_id

NAME: Final = "mlflow.runName"
NOTES: Final = "mlflow.note.content"
PARENT: Final = "mlflow.parentRunId"
USER: Final = "mlflow.user"
SOURCE: Final = "mlflow.source.name"
HISTORY: Final = "mlflow.log-model.history"
CONTEXT: Final = "mlflow.data.context"
"""Of a data set that a run read."""

_ATTRIBUTE: Final = {NAME: "name", PARENT: "parent_run_id"}
STATUS_IN: Final = {
    **{word: ours for ours, word in STATUS_NAMES.items() if ours != "lost"},
    "1": "running",
    "2": "scheduled",
    "3": "finished",
    "4": "failed",
    "5": "killed",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Tags taken apart: what is a fact of the run (None: not given), and the tags that remain."""

    name: str | None
    notes: str | None
    parent_run_id: str | None
    tags: dict[str, str]

    @property
    def any(self) -> bool:
        return self.name is not None or self.notes is not None or self.parent_run_id is not None

    def without_parent(self) -> Facts:
        """The parent as a tag like any other."""
        if self.parent_run_id is None:
            return self
        return replace(self, parent_run_id=None, tags={**self.tags, PARENT: self.parent_run_id})


def facts_of(tags: Mapping[str, str]) -> Facts:
    """A parent that cannot be a run id stays a tag, and an empty name is none."""
    rest = dict(tags)
    name, notes = rest.pop(NAME, None), rest.pop(NOTES, None)
    parent = rest.pop(PARENT) if is_run_id(rest.get(PARENT, "")) else None
    return Facts(name or None, notes, parent, rest)


def shown_tags(tags: Mapping[str, str], *, name: str, notes: str, parent_run_id: str | None) -> dict[str, str]:
    """The tags that MLflow's clients see."""
    shown = {**tags, NAME: name}
    if notes:
        shown[NOTES] = notes
    if parent_run_id is not None:
        shown[PARENT] = parent_run_id
    return shown


def condition_on_fact(condition: Condition) -> Condition:
    """A condition on a reserved tag asks for the fact itself."""
    if condition.entity == "tag" and condition.key in _ATTRIBUTE:
        return replace(condition, entity="attribute", key=_ATTRIBUTE[condition.key])
    return condition


def order_by_fact(order: Order) -> Order:
    if order.entity == "tag" and order.key in _ATTRIBUTE:
        return replace(order, entity="attribute", key=_ATTRIBUTE[order.key])
    return order
