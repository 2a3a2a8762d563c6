"""Experiments by the number that MLflow's clients know them by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select

from tilth.backends.sql import Tx
from tilth.domains.tracking.tables import experiment

AT_ONCE = 500


def numbers_of(tx: Tx, project_id: str, experiment_ids: Iterable[str]) -> dict[str, int]:
    """id -> number, of those that the project has, deleted ones included."""
    ids = sorted(set(experiment_ids))
    found: dict[str, int] = {}
    for start in range(0, len(ids), AT_ONCE):
        rows = tx.all(
            select(experiment.c.id, experiment.c.number).where(
                experiment.c.project_id == project_id, experiment.c.id.in_(ids[start : start + AT_ONCE])
            )
        )
        found.update((row.id, row.number) for row in rows)
    return found


def ids_of_numbers(tx: Tx, project_id: str, numbers: Sequence[int], *, deleted: bool = True) -> dict[int, str]:
    """number -> id, of those that the project has. deleted: also deleted ones."""
    found: dict[int, str] = {}
    for start in range(0, len(numbers), AT_ONCE):
        wanted = [
            experiment.c.project_id == project_id,
            experiment.c.number.in_(list(numbers[start : start + AT_ONCE])),
        ]
        if not deleted:
            wanted.append(experiment.c.deleted_at.is_(None))
        found.update((row.number, row.id) for row in tx.all(select(experiment.c.number, experiment.c.id).where(*wanted)))
    return found
