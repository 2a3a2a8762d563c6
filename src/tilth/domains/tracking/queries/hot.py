"""The statements of the hot path: what one logged batch reads and writes. Built once, executed as text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import nan
from random import getrandbits
from struct import pack, unpack
from typing import Any

from sqlalchemy import Column, and_, bindparam, case, func, insert, or_, select, tuple_, update

from tilth.backends.sql import Hot, Row, Tx, hot, upsert
from tilth.core.clock import Millis, now
from tilth.domains.tracking.rules.batches import PREFIX_CHARS, as_number, fold_latest, number_of
from tilth.domains.tracking.tables import experiment, metric_last, metric_point, param, run, run_input, run_model, run_writer, tag
from tilth.domains.tracking.types import NotOfThisRun
from tilth.wire.tracking import DatasetInput, MetricPoint


def _latest(old: Any, new: Any) -> dict[str, Any]:
    """The SQL twin of rules.batches.fold_latest: what is stored, folded with a newer row."""
    moment = tuple_(new.step, new.ts) > tuple_(old.step, old.ts)
    tie = and_(new.step == old.step, new.ts == old.ts, or_(old.value.is_(None), new.value >= old.value))
    later = or_(moment, tie)

    old_least, new_least = (func.coalesce(row.min, row.value) for row in (old, new))
    old_most, new_most = (func.coalesce(row.max, row.value) for row in (old, new))

    def taken(column: str) -> Any:
        return case((later, new[column]), else_=old[column])

    return {
        **{column: taken(column) for column in ("value", "step", "ts")},
        "min": case((or_(old_least.is_(None), new_least < old_least), new_least), else_=old_least),
        "max": case((or_(old_most.is_(None), new_most > old_most), new_most), else_=old_most),
        "count": old["count"] + new["count"],
    }


def _where_run() -> Any:
    return and_(run.c.id == bindparam("run_id"), run.c.project_id == bindparam("project_id"))


def _set(*columns: Column[Any]) -> dict[str, Any]:
    return {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in columns}


RUN_HEAD: Hot = hot(
    select(
        run.c.id,
        run.c.experiment_id,
        experiment.c.serial.label("experiment_serial"),
        run.c.status,
        run.c.deleted_at,
        run.c.started,
    )
    .join_from(run, experiment, experiment.c.id == run.c.experiment_id)
    .where(_where_run())
)
HEARTBEAT: Hot = hot(update(run).where(_where_run()).values(_set(run.c.last_heartbeat)))
REVIVE: Hot = hot(
    update(run)
    .where(_where_run(), run.c.status == "lost")
    .values({"status": "running", "ended": None, "error": "", **_set(run.c.last_heartbeat)})
)
INSERT_POINT: Hot = hot(insert(metric_point))
INSERT_POINT_ONCE: Hot = hot(upsert(metric_point, ["run_id", "key", "step", "ts", "seq"]))
UPSERT_LAST: Hot = hot(upsert(metric_last, ["run_id", "key"], _latest))
INSERT_PARAM: Hot = hot(upsert(param, ["run_id", "key"]))
PARAM_VALUE: Hot = hot(select(param.c.value).where(param.c.run_id == bindparam("run_id"), param.c.key == bindparam("key")))
UPSERT_TAG: Hot = hot(upsert(tag, ["run_id", "key"], ["value", "prefix"]))
TAG_VALUE: Hot = hot(select(tag.c.value).where(tag.c.run_id == bindparam("run_id"), tag.c.key == bindparam("key")))
DELETE_TAG: Hot = hot(tag.delete().where(tag.c.run_id == bindparam("run_id"), tag.c.key == bindparam("key")))
UPSERT_INPUT: Hot = hot(
    upsert(run_input, ["run_id", "name", "digest", "context"], ["source_type", "source", "schema", "profile", "tags"])
)
UPSERT_MODEL: Hot = hot(upsert(run_model, ["run_id", "model_id", "direction"], ["step"]))
PARENT: Hot = hot(select(run.c.parent_run_id).where(_where_run()))
SEEN_NUMBER: Hot = hot(
    select(run_writer.c.number).where(run_writer.c.run_id == bindparam("run_id"), run_writer.c.writer == bindparam("writer"))
)
UPSERT_WRITER: Hot = hot(upsert(run_writer, ["run_id", "writer"], ["number"]))

# Distinct between processes that start in different milliseconds, or with a chance of a million to one.
_sequence = count((now() << 20) | getrandbits(20))


def run_head(tx: Tx, project_id: str, run_id: str) -> Row | None:
    """id, experiment_id, experiment_serial, status, deleted_at, started of one run."""
    return tx.one(RUN_HEAD, project_id=project_id, run_id=run_id)


def head_to_write(tx: Tx, project_id: str, run_id: str) -> Row | None:
    """As `run_head`. Raises NotOfThisRun if the caller's token is that of another run, and no ancestor's."""
    head = run_head(tx, project_id, run_id)
    if head is not None and tx.confined_to is not None and not has_ancestor(tx, project_id, run_id, tx.confined_to):
        raise NotOfThisRun(tx.confined_to, f"run {run_id}")
    return head


def is_new_batch(tx: Tx, run_id: str, writer: str, number: int) -> bool:
    """Whether this batch of this writer was not seen yet; marks it as seen."""
    seen = tx.scalar(SEEN_NUMBER, run_id=run_id, writer=writer)
    if seen is not None and seen >= number:
        return False
    tx.run(UPSERT_WRITER, run_id=run_id, writer=writer, number=number)
    return True


def add_points(tx: Tx, head: Row, points: Sequence[MetricPoint], at: Millis, *, once: bool = False) -> None:
    """Writes points, and leaves their folded latest values to the end of the write group.

    once: a point of the same metric, step, moment and value as one that is there is left out, as MLflow has it.
    """
    run_id, serial, started = head.id, head.experiment_serial, head.started
    rows: list[dict[str, Any]] = []
    for point in points:
        value = number_of(point.value)
        rows.append(
            {
                "run_id": run_id,
                "key": point.key,
                "step": point.step,
                "ts": at if point.ts is None else point.ts,
                "seq": _sequence_of_value(value) if once else next(_sequence),
                "value": value,
                "model_id": point.model_id,
                "dataset_name": point.dataset_name,
                "dataset_digest": point.dataset_digest,
            }
        )
    for row in _inserted_once(tx, rows) if once else _inserted(tx, rows):
        key, value = row["key"], row["value"]
        last = {
            "run_id": run_id,
            "key": key,
            "experiment_serial": serial,
            "started": started,
            "value": value,
            "step": row["step"],
            "ts": row["ts"],
            "min": None,
            "max": None,
            "count": 1,
        }
        tx.coalesce(UPSERT_LAST, (run_id, key), last, fold_latest)


def _inserted(tx: Tx, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(rows) == 1:
        tx.run(INSERT_POINT, **rows[0])
    else:
        tx.many(INSERT_POINT, rows)
    return rows


class _Repeated(Exception):
    """Some point of a batch is there already."""


def _inserted_once(tx: Tx, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that were not there yet. A batch without repetition, which is nearly every one, is written at once."""
    if len(rows) == 1:
        return rows if tx.run(INSERT_POINT_ONCE, **rows[0]) else []
    unique = list({(row["key"], row["step"], row["ts"], row["seq"]): row for row in rows}.values())
    try:
        with tx.savepoint():
            if tx.many(INSERT_POINT_ONCE, unique) != len(unique):
                raise _Repeated
    except _Repeated:
        return [row for row in unique if tx.run(INSERT_POINT_ONCE, **row)]
    return unique


def _sequence_of_value(value: float | None) -> int:
    """Equal values give equal numbers, so that the primary key knows a repeated point."""
    number: int = unpack("<q", pack("<d", nan if value is None else value + 0.0))[0]
    return number


def add_models(tx: Tx, run_id: str, direction: str, models: Sequence[tuple[str, int]], at: Millis) -> None:
    """models: ids of logged models with the step at which they were made. direction: input or output."""
    rows = [
        {"run_id": run_id, "model_id": model_id, "direction": direction, "step": step, "created": at} for model_id, step in models
    ]
    tx.many(UPSERT_MODEL, rows)


def tag_value(tx: Tx, run_id: str, key: str) -> str | None:
    """The run must be one of the caller's project: its head was read before, or is in the same transaction."""
    value: str | None = tx.scalar(TAG_VALUE, run_id=run_id, key=key)
    return value


def remove_tag(tx: Tx, run_id: str, key: str) -> bool:
    """Whether it was there."""
    return bool(tx.run(DELETE_TAG, run_id=run_id, key=key))


def has_ancestor(tx: Tx, project_id: str, run_id: str, ancestor_id: str, most: int = 100) -> bool:
    """Whether `ancestor_id` stands among the at most 100 nearest ancestors of the run, itself included."""
    above: str | None = run_id
    for _ in range(most):
        if above is None or above == ancestor_id:
            break
        above = tx.scalar(PARENT, project_id=project_id, run_id=above)
    return above == ancestor_id


def add_param(tx: Tx, head: Row, key: str, value: str) -> str | None:
    """Writes a param unless it is there; then returns the value that stands."""
    row = {"key": key, "value": value, "prefix": value[:PREFIX_CHARS], "number": as_number(value)}
    if tx.run(INSERT_PARAM, run_id=head.id, experiment_serial=head.experiment_serial, **row):
        return None
    standing: str = tx.scalar(PARAM_VALUE, run_id=head.id, key=key)
    return standing


def set_tags(tx: Tx, head: Row, tags: dict[str, str | None]) -> None:
    """None removes a tag."""
    kept = [
        {
            "run_id": head.id,
            "experiment_serial": head.experiment_serial,
            "key": key,
            "value": value,
            "prefix": value[:PREFIX_CHARS],
        }
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
            "experiment_serial": head.experiment_serial,
            "name": data.name,
            "digest": data.digest,
            "context": data.context,
            "source_type": data.source_type,
            "source": data.source,
            "schema": data.schema,
            "profile": data.profile,
            "tags": data.tags,
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
