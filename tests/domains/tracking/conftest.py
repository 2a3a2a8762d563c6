from __future__ import annotations

from collections.abc import Callable

import pytest

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.audit import tables as audit_tables  # noqa: F401
from tilth.domains.tracking import actions
from tilth.wire.tracking import LogBatch, MetricPoint, RunCreate


@pytest.fixture
def project() -> ProjectId:
    return ProjectId("1" * 32)


@pytest.fixture
def anna() -> Actor:
    return Actor(id="a" * 32, name="anna", kind="user", via="token:1")


@pytest.fixture
def start(db: Database, project: ProjectId, anna: Actor) -> Callable[..., str]:
    """Starts a run in the project and returns its id."""

    def start_one(**wanted: object) -> str:
        return db.write_blocking(lambda tx: actions.create_run(tx, anna, project, RunCreate(**wanted)))  # type: ignore[arg-type]

    return start_one


@pytest.fixture
def log(db: Database, project: ProjectId) -> Callable[..., None]:
    """Logs metrics by keyword, or a whole batch."""

    def log_some(run_id: str, batch: LogBatch | None = None, /, *, step: int = 0, at: int = 1000, **metrics: float | str) -> None:
        points = [MetricPoint(key, value, step=step) for key, value in metrics.items()]  # type: ignore[arg-type]
        db.write_blocking(lambda tx: actions.log(tx, project, run_id, batch or LogBatch(metrics=points), at))  # type: ignore[arg-type]

    return log_some
