"""A run as a thing that people talk about."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.comments.types import Thing
from tilth.domains.tracking.queries.runs import run_info
from tilth.domains.tracking.types import UnknownRun


def thing_of_run(tx: Tx, project_id: str, run_id: str) -> Thing:
    """Raises UnknownRun."""
    run = run_info(tx, project_id, run_id)
    if run is None:
        raise UnknownRun(run_id)
    return Thing("run", run.id, run.name)
