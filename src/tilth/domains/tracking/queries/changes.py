"""Rows of experiments, runs and artifacts that actions insert and change."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select, update

from tilth.backends.sql import Row, Tx, upsert
from tilth.core.clock import Millis
from tilth.domains.tracking.tables import artifact, experiment, experiment_tag, run


def next_experiment_number(tx: Tx, project_id: str) -> int:
    greatest = tx.scalar(select(func.max(experiment.c.number)).where(experiment.c.project_id == project_id))
    return 0 if greatest is None else int(greatest) + 1


def insert_experiment(tx: Tx, project_id: str, row: dict[str, Any]) -> None:
    tx.run(insert(experiment).values(project_id=project_id, **row))


def change_experiment(tx: Tx, project_id: str, experiment_id: str, changes: dict[str, Any]) -> None:
    tx.run(update(experiment).where(experiment.c.project_id == project_id, experiment.c.id == experiment_id).values(**changes))


def set_experiment_tags(tx: Tx, project_id: str, experiment_id: str, tags: dict[str, str]) -> None:
    """The experiment must be one of the project: its row was read before."""
    rows = [{"experiment_id": experiment_id, "key": key, "value": value} for key, value in tags.items()]
    tx.many(upsert(experiment_tag, ["experiment_id", "key"], ["value"]), rows)


def delete_experiment_tag(tx: Tx, project_id: str, experiment_id: str, key: str) -> bool:
    """Whether it was there."""
    owner = select(experiment.c.id).where(experiment.c.project_id == project_id, experiment.c.id == experiment_id)
    return bool(tx.run(delete(experiment_tag).where(experiment_tag.c.experiment_id.in_(owner), experiment_tag.c.key == key)))


def change_runs_of_experiment(
    tx: Tx, project_id: str, experiment_id: str, *, deleted_from: Millis | None, deleted_to: Millis | None
) -> None:
    """Deletes the runs that live (deleted_from None), or restores those that were deleted at one moment."""
    was = run.c.deleted_at.is_(None) if deleted_from is None else run.c.deleted_at == deleted_from
    mine = (run.c.project_id == project_id) & (run.c.experiment_id == experiment_id)
    tx.run(update(run).where(mine, was).values(deleted_at=deleted_to))


def run_owner_across_projects(tx: Tx, run_id: str) -> Row | None:
    """Project and user of a run: run ids are one space, so a chosen id is looked for everywhere."""
    return tx.one(select(run.c.project_id, run.c.user_id, run.c.deleted_at).where(run.c.id == run_id))


def insert_run(tx: Tx, project_id: str, row: dict[str, Any]) -> None:
    tx.run(insert(run).values(project_id=project_id, **row))


def change_run(tx: Tx, project_id: str, run_id: str, changes: dict[str, Any]) -> None:
    tx.run(update(run).where(run.c.project_id == project_id, run.c.id == run_id).values(**changes))


def silent_runs_across_projects(tx: Tx, before: Millis, limit: int = 500) -> list[Row]:
    """Running runs whose last heartbeat is older than `before`. A client that never sent one is not among them."""
    return tx.all(
        select(run.c.id, run.c.project_id, run.c.experiment_id, run.c.last_heartbeat)
        .where(run.c.status == "running", run.c.last_heartbeat < before)
        .order_by(run.c.last_heartbeat)
        .limit(limit)
    )


def standing_artifact(tx: Tx, project_id: str, run_id: str, path: str) -> Row | None:
    return tx.one(
        select(artifact.c.digest, artifact.c.size, artifact.c.content_type, artifact.c.created).where(
            artifact.c.project_id == project_id, artifact.c.run_id == run_id, artifact.c.path == path
        )
    )


def clashing_artifact(tx: Tx, project_id: str, run_id: str, path: str) -> str | None:
    """The path of an artifact that makes `path` a file and a folder at once."""
    segments = path.split("/")
    above = ["/".join(segments[:n]) for n in range(1, len(segments))]
    within = (artifact.c.path > f"{path}/") & (artifact.c.path < f"{path}0")
    found: str | None = tx.scalar(
        select(artifact.c.path)
        .where(artifact.c.project_id == project_id, artifact.c.run_id == run_id, artifact.c.path.in_(above) | within)
        .limit(1)
    )
    return found


def put_artifact(tx: Tx, project_id: str, run_id: str, path: str, row: dict[str, Any]) -> None:
    statement = upsert(artifact, ["run_id", "path"], ["digest", "size", "content_type", "created"])
    tx.run(statement, project_id=project_id, run_id=run_id, path=path, **row)


def delete_artifact(tx: Tx, project_id: str, run_id: str, path: str) -> None:
    tx.run(delete(artifact).where(artifact.c.project_id == project_id, artifact.c.run_id == run_id, artifact.c.path == path))
