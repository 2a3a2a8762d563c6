"""Runs over HTTP. `log_batch` is the hot path: the body is decoded by msgspec itself and nothing but one write job follows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody, RawBody

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.rules.batches import check_batch
from tilth.domains.tracking.rules.curves import MAX_POINTS
from tilth.domains.tracking.rules.filters import Condition, Order, parse_filter, parse_order
from tilth.domains.tracking.types import UnknownExperiment, UnknownMetric, UnknownRun
from tilth.guard import AccessTo, Permission, delete, get, patch, post
from tilth.wire.tracking import LogBatch, MetricHistory, RunCreate, RunDetail, RunInfo, RunPage, RunRow, RunUpdate, to_json_value

BASE = "/api/v1/p/{project:str}/runs"
ONE = BASE + "/{run_id:str}"
MAX_PAGE = 1000

_decode_batch = msgspec.json.Decoder(LogBatch).decode


class InvalidPage(Invalid):
    """limit or page_token make no sense."""


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


@get(BASE, permission=Permission.RUN_READ)
async def list_runs(
    access: AccessTo[None],
    filter: FromQuery[str] = "",
    order_by: FromQuery[str] = "",
    experiment: FromQuery[str | None] = None,
    columns: FromQuery[str | None] = None,
    limit: FromQuery[int] = 100,
    page_token: FromQuery[str] = "",
    deleted: FromQuery[bool] = False,
) -> RunPage:
    """columns: such as `metrics.auc,params.depth,tags.team`; left out: everything. experiment: a name."""
    terms, order, offset = parse_filter(filter), parse_order(order_by), _offset(page_token)
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidPage(f"limit {limit} is out of bounds; ask for 1 to {MAX_PAGE} runs and follow next_page_token")
    wanted = None if columns is None else frozenset(column.strip() for column in columns.split(","))
    project = access.project.id

    def page(tx: Tx) -> RunPage:
        experiment_id = None if experiment is None else _experiment_id(tx, project, experiment)
        return _page(tx, project, terms, order, experiment_id, limit, offset, wanted, deleted)

    return await access.read(page)


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


def _experiment_id(tx: Tx, project: ProjectId, name: str) -> str:
    row = queries.experiment_row(tx, project, name=name)
    if row is None:
        raise UnknownExperiment(name)
    return str(row.id)


def _page(
    tx: Tx,
    project: ProjectId,
    terms: Sequence[Condition],
    order: Order,
    experiment_id: str | None,
    limit: int,
    offset: int,
    wanted: frozenset[str] | None,
    deleted: bool,
) -> RunPage:
    page = queries.runs_page(
        tx, project, terms=terms, experiment_id=experiment_id, order=order, limit=limit, offset=offset, deleted=deleted
    )
    rows: list[RunRow] = []
    for start in range(0, len(page.runs), 500):
        runs = page.runs[start : start + 500]
        ids = [run.id for run in runs]
        metrics = queries.latest_metrics(tx, project, ids)
        params, tags = queries.params_of(tx, project, ids), queries.tags_of(tx, project, ids)
        rows += [
            RunRow(
                run,
                {k: to_json_value(v) for k, v in metrics.get(run.id, {}).items() if wanted is None or f"metrics.{k}" in wanted},
                {k: v for k, v in params.get(run.id, {}).items() if wanted is None or f"params.{k}" in wanted},
                {k: v for k, v in tags.get(run.id, {}).items() if wanted is None or f"tags.{k}" in wanted},
            )
            for run in runs
        ]
    more = offset + len(rows) < page.total or (page.capped and len(rows) == limit)
    return RunPage(rows, page.total, page.total_text, str(offset + len(rows)) if more else "")


def _offset(page_token: str) -> int:
    if not page_token:
        return 0
    if not page_token.isascii() or not page_token.isdigit() or len(page_token) > 9:
        raise InvalidPage(
            f"page_token {page_token[:40]!r} was not given by this server; take next_page_token of the answer before"
        )
    return int(page_token)


routes = [
    log_batch,
    heartbeat,
    create_run,
    list_runs,
    show_run,
    update_run,
    delete_run,
    restore_run,
    show_histories,
    show_history,
]
