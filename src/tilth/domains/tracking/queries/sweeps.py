"""Sweeps and their trials, as they stand in the tags of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, case, func, select

from tilth.backends.sql import Row, Tx
from tilth.core.clock import Millis, now
from tilth.domains.tracking.tables import experiment, metric_last, run, tag
from tilth.domains.tracking.types import UnknownSweep
from tilth.wire.sweeps import (
    BEST_TAG,
    PARAMS_TAG,
    REPLACED_TAG,
    RUNNER_TAG,
    SPEC_TAG,
    STATE_TAG,
    STOP_TAG,
    STOPPED_TAG,
    TRIAL_TAG,
    SweepPage,
    SweepSpec,
    SweepView,
    TrialPage,
    TrialView,
    whole_of,
)

MAX_PAGE = 1000

_PARENT = [
    run.c.id,
    run.c.name,
    run.c.started,
    run.c.ended,
    run.c.user_name,
    experiment.c.name.label("experiment"),
]


def sweeps_page(tx: Tx, project_id: str, *, limit: int, offset: int) -> SweepPage:
    """Newest first. limit: at most 1,000."""
    # By experiment, so that the index of tags leads from the key to the runs.
    mine = select(experiment.c.serial).where(experiment.c.project_id == project_id, experiment.c.deleted_at.is_(None))
    marked = and_(tag.c.run_id == run.c.id, tag.c.key == SPEC_TAG, tag.c.experiment_serial.in_(mine))
    alive = [run.c.project_id == project_id, run.c.deleted_at.is_(None)]
    statement = select(*_PARENT, tag.c.value.label("spec")).select_from(tag).join(run, marked)
    statement = statement.join(experiment, experiment.c.id == run.c.experiment_id).where(*alive)
    newest = [run.c.started.desc(), run.c.id.desc()]
    rows = tx.all(statement.order_by(*newest).limit(min(limit, MAX_PAGE)).offset(offset))
    total = int(tx.scalar(select(func.count()).select_from(tag).join(run, marked).where(*alive)))
    return SweepPage(_views(tx, project_id, rows), total)


def sweep_view(tx: Tx, project_id: str, run_id: str) -> SweepView:
    """Raises UnknownSweep."""
    marked = and_(tag.c.run_id == run.c.id, tag.c.key == SPEC_TAG)
    statement = select(*_PARENT, tag.c.value.label("spec")).select_from(run).join(tag, marked)
    statement = statement.join(experiment, experiment.c.id == run.c.experiment_id)
    row = tx.one(statement.where(run.c.project_id == project_id, run.c.id == run_id))
    found = _views(tx, project_id, [row] if row is not None else [])
    if not found:
        raise UnknownSweep(run_id)
    return found[0]


def trials_page(tx: Tx, project_id: str, sweep: SweepView, *, limit: int, offset: int, best_first: bool = True) -> TrialPage:
    """Of a sweep; those that were run once more leave out their first attempt. limit: at most 1,000."""
    number, params, stopped = tag.alias("number"), tag.alias("params"), tag.alias("stopped")
    last = metric_last.alias("objective")
    wanted = _trials(project_id, sweep.id)
    descending = sweep.spec.goal == "maximize"
    order = [last.c.value.is_(None), last.c.value.desc() if descending else last.c.value] if best_first else []
    rows = tx.all(
        select(
            run.c.id,
            run.c.status,
            run.c.started,
            run.c.ended,
            run.c.error,
            number.c.value.label("number"),
            params.c.value.label("params"),
            stopped.c.value.label("stopped"),
            last.c.value,
        )
        .select_from(run)
        .join(number, and_(number.c.run_id == run.c.id, number.c.key == TRIAL_TAG))
        .outerjoin(params, and_(params.c.run_id == run.c.id, params.c.key == PARAMS_TAG))
        .outerjoin(stopped, and_(stopped.c.run_id == run.c.id, stopped.c.key == STOPPED_TAG))
        .outerjoin(last, and_(last.c.run_id == run.c.id, last.c.key == sweep.spec.metric))
        .where(*wanted)
        .order_by(*order, run.c.started, run.c.id)
        .limit(min(limit, MAX_PAGE))
        .offset(offset)
    )
    total = int(tx.scalar(select(func.count()).select_from(run).where(*wanted)))
    return TrialPage([_trial(row) for row in rows], total)


def _trials(project_id: str, sweep_id: str) -> list[Any]:
    marked = select(tag.c.run_id).where(tag.c.run_id == run.c.id, tag.c.key == TRIAL_TAG).exists()
    replaced = select(tag.c.run_id).where(tag.c.run_id == run.c.id, tag.c.key == REPLACED_TAG).exists()
    return [run.c.project_id == project_id, run.c.parent_run_id == sweep_id, run.c.deleted_at.is_(None), marked, ~replaced]


def _trial(row: Row) -> TrialView:
    return TrialView(
        number=whole_of(row.number),
        id=row.id,
        status=row.status,
        value=row.value,
        params=_params(row.params),
        stopped=row.stopped is not None,
        started=row.started,
        ended=row.ended,
        error=row.error.strip().rpartition("\n")[2][:300],
    )


def _params(text: str | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return {}  # Somebody else wrote the tag.


def _views(tx: Tx, project_id: str, rows: Sequence[Row]) -> list[SweepView]:
    ids = [row.id for row in rows]
    tags = _tags(tx, ids)
    counts = _counts(tx, project_id, ids)
    views = [view for row in rows if (view := _view(row, tags.get(row.id, {}), counts.get(row.id))) is not None]
    best = _values(tx, project_id, [(view.best_run_id, view.spec.metric) for view in views if view.best_run_id])
    for view in views:
        view.best = best.get((view.best_run_id, view.spec.metric))
    return views


def _view(row: Row, tags: dict[str, str], counts: Row | None) -> SweepView | None:
    try:
        spec = msgspec.json.decode(row.spec, type=SweepSpec)
    except (msgspec.MsgspecError, RecursionError):
        return None  # Somebody else wrote the tag.
    return SweepView(
        id=row.id,
        name=row.name,
        experiment=row.experiment,
        state=_state(tags, now()),
        spec=spec,
        started=row.started,
        ended=row.ended,
        by=row.user_name,
        best_run_id=tags.get(BEST_TAG, ""),
        running=int(counts.running) if counts is not None else 0,
        finished=int(counts.finished) if counts is not None else 0,
        failed=int(counts.failed) if counts is not None else 0,
        stop_wanted=STOP_TAG in tags,
    )


def _state(tags: dict[str, str], moment: Millis) -> str:
    """As its runner says, unless the runner has died: its lease then is over."""
    state, lease = tags.get(STATE_TAG, "running"), tags.get(RUNNER_TAG, "").partition(" ")[2]
    return "cut off" if state == "running" and whole_of(lease) <= moment else state


def _tags(tx: Tx, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    wanted = [STATE_TAG, RUNNER_TAG, STOP_TAG, BEST_TAG]
    statement = select(tag.c.run_id, tag.c.key, tag.c.value).where(tag.c.run_id.in_(list(ids)), tag.c.key.in_(wanted))
    found: dict[str, dict[str, str]] = {}
    for row in tx.all(statement.limit(len(wanted) * max(1, len(ids)))):
        found.setdefault(row.run_id, {})[row.key] = row.value
    return found


def _counts(tx: Tx, project_id: str, ids: Sequence[str]) -> dict[str, Row]:
    def counted(*statuses: str) -> Any:
        return func.sum(case((run.c.status.in_(statuses), 1), else_=0))

    replaced = select(tag.c.run_id).where(tag.c.run_id == run.c.id, tag.c.key == REPLACED_TAG).exists()
    marked = select(tag.c.run_id).where(tag.c.run_id == run.c.id, tag.c.key == TRIAL_TAG).exists()
    statement = select(
        run.c.parent_run_id,
        counted("running", "scheduled").label("running"),
        counted("finished").label("finished"),
        counted("failed", "killed", "lost").label("failed"),
    ).where(run.c.project_id == project_id, run.c.parent_run_id.in_(list(ids)), run.c.deleted_at.is_(None), marked, ~replaced)
    return {row.parent_run_id: row for row in tx.all(statement.group_by(run.c.parent_run_id).limit(max(1, len(ids))))}


def _values(tx: Tx, project_id: str, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float | None]:
    """Last values by run and key. Tags name the runs, so that they may be any: only those of the project are read."""
    runs, keys = sorted({run_id for run_id, _ in wanted}), sorted({key for _, key in wanted})
    statement = select(metric_last.c.run_id, metric_last.c.key, metric_last.c.value).join(run, run.c.id == metric_last.c.run_id)
    statement = statement.where(run.c.project_id == project_id, metric_last.c.run_id.in_(runs), metric_last.c.key.in_(keys))
    return {(row.run_id, row.key): row.value for row in tx.all(statement.limit(max(1, len(runs) * len(keys))))}
