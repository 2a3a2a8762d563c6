"""Searching runs over HTTP: pages, groups, and the keys and values there are."""

from __future__ import annotations

from typing import Literal

from litestar.params import FromQuery

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.domains.tracking.rules.columns import parse_columns
from tilth.domains.tracking.rules.filters import parse_filter, parse_group, parse_orders
from tilth.domains.tracking.types import InvalidPage, UnknownExperiment
from tilth.guard import AccessTo, Permission, get
from tilth.wire.search import KnownKeys, RunGroups
from tilth.wire.tracking import RunPage

BASE = "/api/v1/p/{project:str}/runs"
MAX_PAGE = 1000
MAX_GROUPS = 1000
MAX_KNOWN = 1000

Archived = Literal["no", "yes", "only"]
_ARCHIVED: dict[Archived, bool | None] = {"no": False, "yes": None, "only": True}


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
    archived: FromQuery[Archived] = "no",
    total: FromQuery[bool] = True,
) -> RunPage:
    """columns: such as `metrics.auc,metrics.auc:max,params.depth`; left out: everything. order_by: items with commas between.

    experiment: a name. archived: whether archived runs are among them. total=false saves counting.
    """
    terms, orders, wanted = parse_filter(filter), parse_orders(order_by), parse_columns(columns)
    _check_limit(limit, MAX_PAGE, "runs")
    project = access.project.id

    def page(tx: Tx) -> RunPage:
        found = queries.runs_page(
            tx,
            project,
            terms=terms,
            experiment_id=_experiment_id(tx, project, experiment),
            order=orders,
            limit=limit,
            after=page_token,
            lifecycle="deleted" if deleted else "active",
            archived=None if deleted else _ARCHIVED[archived],
            total=total,
        )
        return RunPage(queries.rows_with_values(tx, project, found.runs, wanted), found.total, found.total_text, found.next_token)

    return await access.read(page)


@get(BASE + "/groups", permission=Permission.RUN_READ)
async def group_runs(
    access: AccessTo[None],
    by: FromQuery[str],
    metric: FromQuery[str] = "",
    filter: FromQuery[str] = "",
    experiment: FromQuery[str | None] = None,
    limit: FromQuery[int] = 100,
    archived: FromQuery[Archived] = "no",
) -> RunGroups:
    """Counts of runs by a param, a tag or an attribute, with mean, least and greatest last value of a metric; largest group first."""
    terms, key = parse_filter(filter), parse_group(by)
    _check_limit(limit, MAX_GROUPS, "groups")
    name, project = metric.removeprefix("metrics."), access.project.id

    def groups(tx: Tx) -> RunGroups:
        within = _experiment_id(tx, project, experiment)
        found = queries.run_groups(
            tx, project, by=key, metric=name, terms=terms, experiment_id=within, archived=_ARCHIVED[archived], limit=limit + 1
        )
        return RunGroups(by, name, found[:limit], len(found) <= limit)

    return await access.read(groups)


@get(BASE + "/keys", permission=Permission.RUN_READ)
async def known_keys(
    access: AccessTo[None],
    entity: FromQuery[Literal["metrics", "params", "tags"]],
    key: FromQuery[str] = "",
    prefix: FromQuery[str] = "",
    experiment: FromQuery[str | None] = None,
    limit: FromQuery[int] = 200,
) -> KnownKeys:
    """Keys that begin with a prefix; with `key`, the values of that param or tag. For completion: of the newest 50 experiments."""
    _check_limit(limit, MAX_KNOWN, "keys")
    if key and entity == "metrics":
        raise InvalidPage("metrics have numbers for values, which are not listed; leave `key` out, or ask for params or tags")
    project = access.project.id

    def known(tx: Tx) -> KnownKeys:
        within = _experiment_id(tx, project, experiment)
        most = limit + 1
        if not key:
            kind: Literal["metric", "param", "tag"] = (
                "metric" if entity == "metrics" else "param" if entity == "params" else "tag"
            )
            found = queries.keys_there_are(tx, project, kind, prefix=prefix, experiment_id=within, limit=most)
        else:
            text: Literal["param", "tag"] = "param" if entity == "params" else "tag"
            found = queries.values_there_are(tx, project, text, key, prefix=prefix, experiment_id=within, limit=most)
        return KnownKeys(found[:limit], len(found) <= limit)

    return await access.read(known)


def _check_limit(limit: int, most: int, what: str) -> None:
    if not 1 <= limit <= most:
        raise InvalidPage(f"limit {limit} is out of bounds; ask for 1 to {most} {what} and follow next_page_token")


def _experiment_id(tx: Tx, project_id: str, name: str | None) -> str | None:
    if name is None:
        return None
    row = queries.experiment_row(tx, project_id, name=name)
    if row is None:
        raise UnknownExperiment(name)
    return str(row.id)


routes = [list_runs, group_runs, known_keys]
