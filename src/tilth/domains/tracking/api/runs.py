"""Runs over HTTP. `log_batch` is the hot path: the body is decoded by msgspec itself and nothing but one write job follows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody, RawBody

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.rules.batches import check_batch
from tilth.domains.tracking.rules.curves import MAX_POINTS
from tilth.domains.tracking.types import InvalidPage, UnknownMetric, UnknownRun
from tilth.guard import AccessTo, Permission, delete, get, patch, post
from tilth.wire.tracking import LogBatch, MetricHistory, RunCreate, RunDetail, RunInfo, RunUpdate

BASE = "/api/v1/p/{project:str}/runs"
ONE = BASE + "/{run_id:str}"

_decode_batch = msgspec.json.Decoder(LogBatch).decode


@post(ONE + "/log", permission=Permission.RUN_WRITE, status_code=204)
async def log_batch(access: AccessTo[None], run_id: FromPath[str], body: RawBody) -> None:
    batch = _decode_batch(body)
    check_batch(batch)
    project, at = access.project.id, now()
    await access.write(lambda tx: actions.log(tx, project, run_id, batch, at))


@post(ONE + "/heartbeat", permission=Permission.RUN_WRITE, status_code=204)
async def heartbeat(access: AccessTo[None], run_id: FromPath[str]) -> None:
    project, at = access.project.id, now()
    await access.write(lambda tx: actions.heartbeat(tx, project, run_id, at))


@post(BASE, permission=Permission.RUN_WRITE)
async def create_run(access: AccessTo[None], data: JSONBody[RunCreate]) -> RunInfo:
    project = access.project.id

    def create(tx: Tx) -> RunInfo:
        return _info(tx, project, actions.create_run(tx, access.actor, project, data))

    return await access.write(create)


@get(ONE, permission=Permission.RUN_READ)
async def show_run(access: AccessTo[None], run_id: FromPath[str]) -> RunDetail:
    return await access.read(lambda tx: _detail(tx, access.project.id, run_id))


@patch(ONE, permission=Permission.RUN_WRITE)
async def update_run(access: AccessTo[None], run_id: FromPath[str], data: JSONBody[RunUpdate]) -> RunInfo:
    project = access.project.id

    def change(tx: Tx) -> RunInfo:
        actions.update_run(tx, access.actor, project, run_id, data)
        return _info(tx, project, run_id)

    return await access.write(change)


@delete(ONE, permission=Permission.RUN_DELETE)
async def delete_run(access: AccessTo[None], run_id: FromPath[str]) -> None:
    await access.write(lambda tx: actions.delete_run(tx, access.actor, access.project.id, run_id))


@post(ONE + "/restore", permission=Permission.RUN_DELETE, status_code=200)
async def restore_run(access: AccessTo[None], run_id: FromPath[str]) -> RunInfo:
    project = access.project.id

    def restore(tx: Tx) -> RunInfo:
        actions.restore_run(tx, access.actor, project, run_id)
        return _info(tx, project, run_id)

    return await access.write(restore)


@get(ONE + "/metrics", permission=Permission.RUN_READ)
async def show_histories(
    access: AccessTo[None],
    run_id: FromPath[str],
    key: FromQuery[list[str]],
    most: FromQuery[int] = MAX_POINTS,
    after_step: FromQuery[int | None] = None,
) -> list[MetricHistory]:
    """Curves of several metrics (`key` repeated, at most 50); those that the run lacks are left out."""
    if len(key) > 50 or not 4 <= most <= MAX_POINTS:
        raise InvalidPage(f"ask for at most 50 metrics and 4 to {MAX_POINTS} points of each")
    return await access.read(lambda tx: _histories(tx, access.project.id, run_id, key, most, after_step))


@get(ONE + "/metrics/{key:path}", permission=Permission.RUN_READ)
async def show_history(
    access: AccessTo[None], run_id: FromPath[str], key: FromPath[str], most: FromQuery[int] = MAX_POINTS
) -> MetricHistory:
    if not 4 <= most <= MAX_POINTS:
        raise InvalidPage(f"ask for 4 to {MAX_POINTS} points")
    name, project = key.lstrip("/"), access.project.id

    def history(tx: Tx) -> MetricHistory:
        found = _histories(tx, project, run_id, [name], most, None)
        if not found:
            raise UnknownMetric(name, run_id, queries.metric_keys(tx, project, [run_id]))
        return found[0]

    return await access.read(history)


def _info(tx: Tx, project: ProjectId, run_id: str) -> RunInfo:
    found = queries.run_info(tx, project, run_id)
    if found is None:
        raise UnknownRun(run_id)
    return found


def _detail(tx: Tx, project: ProjectId, run_id: str) -> RunDetail:
    found = queries.run_detail(tx, project, run_id)
    if found is None:
        raise UnknownRun(run_id)
    return found


def _histories(
    tx: Tx, project: ProjectId, run_id: str, keys: Sequence[str], most: int, after_step: int | None
) -> list[MetricHistory]:
    _info(tx, project, run_id)
    return list(queries.metric_histories(tx, project, run_id, keys, most=most, after_step=after_step).values())


routes = [
    log_batch,
    heartbeat,
    create_run,
    show_run,
    update_run,
    delete_run,
    restore_run,
    show_histories,
    show_history,
]
