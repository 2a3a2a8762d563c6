"""A project with a deployment, and rows that were answered: what tests of labels and of A/B tests begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.domains.serving.conftest import ANNA, Workbench

import tilth.domains.audit.tables
import tilth.domains.models.tables
import tilth.domains.serving.tables
import tilth.domains.tracking.tables  # noqa: F401  their tables must be declared before they are made
from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.clock import DAY
from tilth.core.ids import ProjectId, new_id
from tilth.domains.identity import actions as identity
from tilth.domains.serving import actions, queries
from tilth.domains.serving.types import Deployment
from tilth.wire.labels import LabelsLogged, ScoredRows

NOON = 1_700_000_000_000 - 1_700_000_000_000 % int(DAY) + int(DAY) // 2


class Place(Workbench):
    """A project of its own in a shared database, with a deployment `d` of model `m`, version 1."""

    def __init__(self, db: Database, home: Path) -> None:
        super().__init__(db, home, db.write_blocking(_make_project))
        self.version("m", "a")
        self.do(actions.deploy, "d", model="m")

    @property
    def deployment(self) -> Deployment:
        return self.ask(queries.deployment_by_name, "d")

    def keep(self, block: ScoredRows) -> int:
        found = self.deployment
        return self.db.write_blocking(lambda tx: actions.keep_scores(tx, found.id, block))

    def log(self, *rows: dict[str, Any], by: Actor = ANNA) -> LabelsLogged:
        read = self.ask(actions.read_labels, "d", rows)
        return self.db.write_blocking(lambda tx: actions.log_labels(tx, by, self.project, "d", read))

    def labelled(self, version: int = 1) -> list[tuple[float, float]]:
        scores, values = self.ask(queries.labelled_scores, self.deployment.id, version, 0, 1 << 62)
        return sorted(zip(scores.tolist(), values.tolist(), strict=True))


def scored(
    n: int = 1, *, row: int = 0, at: int = NOON, version: int = 1, score: float | None = 0.7, key: str | None = None
) -> ScoredRows:
    """Rows of so many predictions, each of a unit of its own. key: of all of them."""
    ids, units = [new_id() for _ in range(n)], [new_id() for _ in range(n)]
    return ScoredRows(ids, [row] * n, [at] * n, ["m"] * n, [version] * n, [score] * n, units, [key] * n)


def _make_project(tx: Tx) -> ProjectId:
    name = f"labels-{new_id()[-12:]}"
    anna = identity.create_principal(tx, ANNA, name)
    return ProjectId(identity.create_project(tx, Actor(id=anna.id, name=anna.name, kind="user", via="token:t1"), name).id)
