"""Rollouts, their steps and verdicts: what is asked of them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Select, func, insert, select, update

from tilth.backends.sql import Row, Tx, upsert
from tilth.core.clock import Millis
from tilth.core.errors import Damaged
from tilth.domains.serving.rules.outcomes import LabelTally
from tilth.domains.serving.tables import rollout, rollout_label_tally, rollout_step, rollout_verdict
from tilth.domains.serving.types import Plan, Rollout, RolloutStep, Route, Traffic, UnknownRollout
from tilth.wire.rollouts import Evidence, VerdictView

MAX_ROLLOUTS = 1000
MAX_VERDICTS = 200
LATEST = "latest"
_KEEP_TALLY = upsert(rollout_label_tally, ["rollout_id", "version"], ["tally"])


def rollout_named(tx: Tx, project_id: str, deployment_id: str, deployment: str, wanted: str, *, lock: bool = False) -> Rollout:
    """wanted: an id, or `latest`. lock: hold it against other writers until the transaction ends. Raises UnknownRollout."""
    statement = _of(project_id, deployment_id).order_by(rollout.c.id.desc()).limit(1)
    if wanted != LATEST:
        statement = statement.where(rollout.c.id == wanted)
    row = tx.one(statement.with_for_update() if lock else statement)
    if row is None:
        raise UnknownRollout(deployment, wanted)
    return _rollout(row)


def rollout_under_way(tx: Tx, project_id: str, deployment_id: str, *, lock: bool = False) -> Rollout | None:
    """The one that is running or paused, if any."""
    statement = _of(project_id, deployment_id).where(rollout.c.ended.is_(None)).limit(1)
    row = tx.one(statement.with_for_update() if lock else statement)
    return _rollout(row) if row else None


def rollouts_page(tx: Tx, project_id: str, deployment_id: str, *, limit: int = 100, offset: int = 0) -> tuple[list[Rollout], int]:
    """Newest first, and how many there are in all; limit at most 1,000."""
    statement = _of(project_id, deployment_id).order_by(rollout.c.id.desc())
    rows = tx.all(statement.limit(min(limit, MAX_ROLLOUTS)).offset(offset))
    conditions = (rollout.c.project_id == project_id, rollout.c.deployment_id == deployment_id)
    return [_rollout(row) for row in rows], int(tx.scalar(select(func.count()).select_from(rollout).where(*conditions)))


def rollouts_under_way_across_projects(tx: Tx) -> list[Rollout]:
    """Those that wait for a verdict, at most 1,000."""
    rows = tx.all(select(*rollout.c).where(rollout.c.ended.is_(None)).order_by(rollout.c.id).limit(MAX_ROLLOUTS))
    return [_rollout(row) for row in rows]


def steps_of(tx: Tx, project_id: str, rollout_id: str) -> list[RolloutStep]:
    """In their order; at most 20."""
    rows = tx.all(
        select(*rollout_step.c)
        .where(rollout_step.c.project_id == project_id, rollout_step.c.rollout_id == rollout_id)
        .order_by(rollout_step.c.number)
        .limit(MAX_VERDICTS)
    )
    return [_step(row) for row in rows]


def step_of(tx: Tx, project_id: str, rollout_id: str, number: int) -> RolloutStep:
    """One that was begun."""
    conditions = (rollout_step.c.project_id == project_id, rollout_step.c.rollout_id == rollout_id)
    row = tx.one(select(*rollout_step.c).where(*conditions, rollout_step.c.number == number))
    if row is None:
        raise Damaged(f"step {number} of rollout {rollout_id} is not in the database, though it was begun")
    return _step(row)


def verdicts_of(tx: Tx, project_id: str, rollout_id: str) -> list[VerdictView]:
    """Newest first, at most 200."""
    rows = tx.all(
        select(*rollout_verdict.c)
        .where(rollout_verdict.c.project_id == project_id, rollout_verdict.c.rollout_id == rollout_id)
        .order_by(rollout_verdict.c.number.desc())
        .limit(MAX_VERDICTS)
    )
    return [_verdict(row) for row in rows]


def next_verdict(tx: Tx, project_id: str, rollout_id: str) -> int:
    """The number of the verdict that is stored next, from 1. The rollout is locked."""
    conditions = (rollout_verdict.c.project_id == project_id, rollout_verdict.c.rollout_id == rollout_id)
    return int(tx.scalar(select(func.coalesce(func.max(rollout_verdict.c.number), 0)).where(*conditions))) + 1


def label_tallies(tx: Tx, project_id: str, rollout_id: str) -> dict[int, LabelTally]:
    """What the labels add up to of everything that was answered since the rollout began, by version; of both, once they have any."""
    columns = rollout_label_tally.c
    rows = tx.all(
        select(columns.version, columns.tally)
        .where(columns.project_id == project_id, columns.rollout_id == rollout_id)
        .order_by(columns.version)
        .limit(2)
    )
    return {row.version: _read(row.tally, LabelTally) for row in rows}


def keep_label_tally(tx: Tx, project_id: str, rollout_id: str, version: int, tally: LabelTally) -> None:
    """The rollout's deployment is locked."""
    tx.run(_KEEP_TALLY.values(project_id=project_id, rollout_id=rollout_id, version=version, tally=document(tally)))


def insert_rollout(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(rollout).values(**row))


def update_rollout(tx: Tx, project_id: str, rollout_id: str, **changes: Any) -> None:
    tx.run(update(rollout).where(rollout.c.project_id == project_id, rollout.c.id == rollout_id).values(**changes))


def insert_step(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(rollout_step).values(**row))


def update_step(tx: Tx, project_id: str, rollout_id: str, number: int, **changes: Any) -> None:
    conditions = (rollout_step.c.project_id == project_id, rollout_step.c.rollout_id == rollout_id)
    tx.run(update(rollout_step).where(*conditions, rollout_step.c.number == number).values(**changes))


def insert_verdict(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(rollout_verdict).values(**row))


def document(value: Any) -> Any:
    """As a column keeps it; numbers as keys become text."""
    return msgspec.to_builtins(value, str_keys=True)


def _of(project_id: str, deployment_id: str) -> Select[Any]:
    return select(*rollout.c).where(rollout.c.project_id == project_id, rollout.c.deployment_id == deployment_id)


def _rollout(row: Row) -> Rollout:
    return Rollout(
        id=row.id,
        project_id=row.project_id,
        deployment_id=row.deployment_id,
        model_id=row.model_id,
        candidate=row.candidate,
        champion=row.champion,
        routes=_read(row.routes, tuple[Route, ...]),
        alias=row.alias,
        plan=_read(row.plan, Plan),
        promote_alias=row.promote_alias,
        state=row.state,
        step=row.step,
        code=row.code,
        reason=row.reason,
        judged=Millis(row.judged),
        note=row.note,
        created=Millis(row.created),
        by_id=row.actor_id,
        by=row.actor_name,
        by_kind=row.actor_kind,
        ended=None if row.ended is None else Millis(row.ended),
    )


def _step(row: Row) -> RolloutStep:
    return RolloutStep(
        number=row.number,
        weight=row.weight,
        generation=row.generation,
        started=Millis(row.started),
        live_since=None if row.live_since is None else Millis(row.live_since),
        ended=None if row.ended is None else Millis(row.ended),
        traffic=_read(row.traffic, Traffic),
        evidence=None if row.evidence is None else _read(row.evidence, Evidence),
    )


def _verdict(row: Row) -> VerdictView:
    evidence = None if row.evidence is None else _read(row.evidence, Evidence)
    return VerdictView(row.number, row.step, row.at, row.kind, row.reason, row.actor_name, evidence)


def _read(stored: Any, kind: Any) -> Any:
    return msgspec.convert(stored, kind, str_keys=True)
