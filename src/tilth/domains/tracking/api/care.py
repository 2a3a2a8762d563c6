"""Care of runs over HTTP: many at once, and the retention rules. `models`, which knows what is needed, applies them."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request
from litestar.params import FromPath, JSONBody

from tilth.backends.sql import Tx
from tilth.core.errors import Invalid, TooLarge
from tilth.core.ids import ProjectId
from tilth.domains.tracking import queries
from tilth.domains.tracking.actions import care, retention, rounds
from tilth.domains.tracking.queries import care as wanted_runs
from tilth.domains.tracking.rules.filters import parse_filter
from tilth.domains.tracking.types import UnknownExperiment, UnknownRun
from tilth.guard import Access, AccessTo, Permission, delete, get, post
from tilth.wire.care import (
    MAX_BULK_RUNS,
    BulkResult,
    BulkRuns,
    RetentionCreate,
    RetentionRules,
)

RULES = "/api/v1/p/{project:str}/retention"
TRASH_DAYS = "tilth_trash_days"
_LOOK_UP = 1000

Asked = Request[Any, Any, Any]


class InvalidBulk(Invalid):
    """A bulk change that names its runs in no way, or in two."""


class TooManyRuns(TooLarge):
    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most:,} runs in one request; narrow the filter, or send several requests")


@post("/api/v1/p/{project:str}/runs/bulk", permission=Permission.RUN_DELETE, status_code=200)
async def change_runs(access: AccessTo[None], data: JSONBody[BulkRuns]) -> BulkResult:
    """Each chunk of the runs is one transaction; an unknown id refuses the request before anything changes."""
    project = access.project.id
    _check(data)
    await access.read(lambda tx: care.check_bulk(tx, project, data))
    ids = await _named(access, data) if data.runs is not None else await access.read(lambda tx: _filtered(tx, project, data))
    if data.dry_run:
        return BulkResult(data.do, ids, 0, True)
    changed = await rounds.change_in_chunks(access, access.actor, project, ids, data)
    return BulkResult(data.do, changed, len(ids) - len(changed), False)


@get(RULES, permission=Permission.RUN_READ)
async def list_rules(access: AccessTo[None], request: Asked) -> RetentionRules:
    return await _rules(access, request)


@post(RULES, permission=Permission.RETENTION_MANAGE)
async def add_rule(access: AccessTo[None], request: Asked, data: JSONBody[RetentionCreate]) -> RetentionRules:
    await access.write(lambda tx: retention.add_rule(tx, access.actor, access.project.id, data))
    return await _rules(access, request)


@delete(RULES + "/{rule_id:str}", permission=Permission.RETENTION_MANAGE)
async def remove_rule(access: AccessTo[None], rule_id: FromPath[str]) -> None:
    await access.write(lambda tx: retention.remove_rule(tx, access.actor, access.project.id, rule_id))


async def _rules(access: Access[None], request: Asked) -> RetentionRules:
    rules = await access.read(lambda tx: retention.rules(tx, access.project.id))
    return RetentionRules(rules, request.app.state[TRASH_DAYS])


def _check(data: BulkRuns) -> None:
    if (data.runs is None) == (data.filter is None):
        raise InvalidBulk('name the runs by `runs` (ids) or by `filter`, one of the two; the filter "" means every run')
    if data.do == "tag" and not data.tags:
        raise InvalidBulk("`tag` needs `tags`: a value for each key, or null to remove it")
    if data.runs is not None and len(data.runs) > MAX_BULK_RUNS:
        raise TooManyRuns(MAX_BULK_RUNS)


async def _named(access: Access[None], data: BulkRuns) -> list[str]:
    """The ids of the request, each once. Raises UnknownRun for the first that does not exist."""
    ids = list(dict.fromkeys(data.runs or ()))
    project = access.project.id
    for start in range(0, len(ids), _LOOK_UP):
        some = ids[start : start + _LOOK_UP]
        known = {row.id for row in await access.read(partial(wanted_runs.run_states, project_id=project, run_ids=some))}
        for run_id in some:
            if run_id not in known:
                raise UnknownRun(run_id)
    return ids


def _filtered(tx: Tx, project: ProjectId, data: BulkRuns) -> list[str]:
    experiment_id = None
    if data.experiment is not None:
        row = queries.experiment_row(tx, project, name=data.experiment)
        if row is None:
            raise UnknownExperiment(data.experiment)
        experiment_id = str(row.id)
    ids = wanted_runs.run_ids(
        tx,
        project,
        terms=parse_filter(data.filter or ""),
        experiment_id=experiment_id,
        deleted=data.do == "restore",
        # Lists leave archived runs out, so that nobody changes by a filter what he does not see; deleted ones are shown either way.
        archived={"unarchive": True, "restore": None}.get(data.do, False),
        limit=MAX_BULK_RUNS + 1,
    )
    if len(ids) > MAX_BULK_RUNS:
        raise TooManyRuns(MAX_BULK_RUNS)
    return ids


routes = [change_runs, list_rules, add_rule, remove_rule]
