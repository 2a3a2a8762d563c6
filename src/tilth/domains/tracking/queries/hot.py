"""The statements of the hot path: what one logged batch reads and writes. Built once, executed as text."""

from __future__ import annotations

from itertools import count
from random import getrandbits
from typing import Any

from sqlalchemy import Column, and_, bindparam, case, insert, or_, select, tuple_, update

from tilth.backends.sql import Hot, Row, Tx, hot, upsert
from tilth.core.clock import Millis, now
from tilth.domains.tracking.rules.batches import PREFIX_CHARS, as_number, fold_latest, number_of
from tilth.domains.tracking.tables import metric_last, metric_point, param, run, run_input, run_writer, tag
from tilth.wire.tracking import DatasetInput, MetricPoint


def _latest(old: Any, new: Any) -> dict[str, Any]:
    """The SQL twin of rules.batches.fold_latest: what is stored, folded with a newer row."""
    moment = tuple_(new.step, new.ts) > tuple_(old.step, old.ts)
    tie = and_(new.step == old.step, new.ts == old.ts, or_(old.value.is_(None), new.value >= old.value))
    later = or_(moment, tie)

    def taken(column: str) -> Any:
        return case((later, new[column]), else_=old[column])

    return {
        **{column: taken(column) for column in ("value", "is_nan", "step", "ts")},
        "min": case((or_(old.min.is_(None), new.min < old.min), new.min), else_=old.min),
        "max": case((or_(old.max.is_(None), new.max > old.max), new.max), else_=old.max),
        "count": old["count"] + new["count"],
    }


def _where_run() -> Any:
    return and_(run.c.id == bindparam("run_id"), run.c.project_id == bindparam("project_id"))


def _set(*columns: Column[Any]) -> dict[str, Any]:
    return {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in columns}


RUN_HEAD: Hot = hot(select(run.c.id, run.c.experiment_id, run.c.status, run.c.deleted_at, run.c.started).where(_where_run()))
HEARTBEAT: Hot = hot(update(run).where(_where_run()).values(_set(run.c.last_heartbeat)))
REVIVE: Hot = hot(
    update(run)
    .where(_where_run(), run.c.status == "lost")
    .values({"status": "running", "ended": None, "error": "", **_set(run.c.last_heartbeat)})
)
INSERT_POINT: Hot = hot(insert(metric_point))
UPSERT_LAST: Hot = hot(upsert(metric_last, ["run_id", "key"], _latest))
INSERT_PARAM: Hot = hot(upsert(param, ["run_id", "key"]))
PARAM_VALUE: Hot = hot(select(param.c.value).where(param.c.run_id == bindparam("run_id"), param.c.key == bindparam("key")))
UPSERT_TAG: Hot = hot(upsert(tag, ["run_id", "key"], ["value", "prefix"]))
DELETE_TAG: Hot = hot(tag.delete().where(tag.c.run_id == bindparam("run_id"), tag.c.key == bindparam("key")))
UPSERT_INPUT: Hot = hot(
    upsert(run_input, ["run_id", "name", "digest", "context"], ["source_type", "source", "schema", "profile"])
)
SEEN_NUMBER: Hot = hot(
    select(run_writer.c.number).where(run_writer.c.run_id == bindparam("run_id"), run_writer.c.writer == bindparam("writer"))
)
UPSERT_WRITER: Hot = hot(upsert(run_writer, ["run_id", "writer"], ["number"]))

# Distinct between processes that start in different milliseconds, or with a chance of a million to one.
_sequence = count((now() << 20) | getrandbits(20))


def run_head(tx: Tx, project_id: str, run_id: str) -> Row | None:
    """id, experiment_id, status, deleted_at, started of one run."""
    return tx.one(RUN_HEAD, project_id=project_id, run_id=run_id)


def is_new_batch(tx: Tx, run_id: str, writer: str, number: int) -> bool:
    """Whether this batch of this writer was not seen yet; marks it as seen."""
    seen = tx.scalar(SEEN_NUMBER, run_id=run_id, writer=writer)
    if seen is not None and seen >= number:
        return False
    tx.run(UPSERT_WRITER, run_id=run_id, writer=writer, number=number)
    return True


def add_points(tx: Tx, head: Row, points: list[MetricPoint], at: Millis) -> None:
    """Writes points, and leaves their folded latest values to the end of the write group."""
    run_id, experiment_id, started = head.id, head.experiment_id, head.started
    rows: list[dict[str, Any]] = []
    for point in points:
        key, value = point.key, number_of(point.value)
        ts = at if point.ts is None else point.ts
        is_nan = value is None
        rows.append(
            {
                "run_id": run_id,
                "key": key,
                "step": point.step,
                "ts": ts,
                "seq": next(_sequence),
                "value": value,
                "is_nan": is_nan,
                "model_id": point.model_id,
                "dataset_name": point.dataset_name,
                "dataset_digest": point.dataset_digest,
            }
        )
        last = {
            "run_id": run_id,
            "key": key,
            "experiment_id": experiment_id,
            "started": started,
            "value": value,
            "is_nan": is_nan,
            "step": point.step,
            "ts": ts,
            "min": value,
            "max": value,
            "count": 1,
        }
        tx.coalesce(UPSERT_LAST, (run_id, key), last, fold_latest)
    if len(rows) == 1:
        tx.run(INSERT_POINT, **rows[0])
    else:
        tx.many(INSERT_POINT, rows)


def add_param(tx: Tx, head: Row, key: str, value: str) -> str | None:
    """Writes a param unless it is there; then returns the value that stands."""
    row = {"key": key, "value": value, "prefix": value[:PREFIX_CHARS], "number": as_number(value)}
    if tx.run(INSERT_PARAM, run_id=head.id, experiment_id=head.experiment_id, **row):
        return None
    standing: str = tx.scalar(PARAM_VALUE, run_id=head.id, key=key)
    return standing


def set_tags(tx: Tx, head: Row, tags: dict[str, str | None]) -> None:
    """None removes a tag."""
    kept = [
        {"run_id": head.id, "experiment_id": head.experiment_id, "key": key, "value": value, "prefix": value[:PREFIX_CHARS]}
        for key, value in tags.items()
        if value is not None
    ]
    tx.many(UPSERT_TAG, kept)
    for key, value in tags.items():
        if value is None:
            tx.run(DELETE_TAG, run_id=head.id, key=key)


def add_inputs(tx: Tx, head: Row, inputs: list[DatasetInput], at: Millis) -> None:
    rows = [
        {
            "run_id": head.id,
            "experiment_id": head.experiment_id,
            "name": data.name,
            "digest": data.digest,
            "context": data.context,
            "source_type": data.source_type,
            "source": data.source,
            "schema": data.schema,
            "profile": data.profile,
            "tags": None,
            "created": at,
        }
        for data in inputs
    ]
    tx.many(UPSERT_INPUT, rows)


def beat(tx: Tx, project_id: str, run_id: str, at: Millis) -> None:
    tx.run(HEARTBEAT, project_id=project_id, run_id=run_id, new_last_heartbeat=at)


def revive(tx: Tx, project_id: str, run_id: str, at: Millis) -> None:
    """A lost run that writes again is running again."""
    tx.run(REVIVE, project_id=project_id, run_id=run_id, new_last_heartbeat=at)
