"""Sweeps over HTTP. They begin and end as runs do; here they are read, and stopped."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery

from tilth.backends.sql import Tx
from tilth.core.paging import page_start
from tilth.domains.tracking import actions, queries
from tilth.guard import AccessTo, Permission, get, post
from tilth.wire.sweeps import SweepPage, SweepView, TrialPage

BASE = "/api/v1/p/{project:str}/sweeps"
ONE = BASE + "/{run_id:str}"


@get(BASE, permission=Permission.RUN_READ)
async def list_sweeps(access: AccessTo[None], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0) -> SweepPage:
    """Newest first."""
    project = access.project.id
    return await access.read(lambda tx: queries.sweeps_page(tx, project, limit=max(1, limit), offset=page_start(offset)))


@get(ONE, permission=Permission.RUN_READ)
async def show_sweep(access: AccessTo[None], run_id: FromPath[str]) -> SweepView:
    return await access.read(lambda tx: queries.sweep_view(tx, access.project.id, run_id))


@get(ONE + "/trials", permission=Permission.RUN_READ)
async def list_trials(
    access: AccessTo[None], run_id: FromPath[str], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> TrialPage:
    """The best first, those without a value last."""
    project = access.project.id

    def page(tx: Tx) -> TrialPage:
        found = queries.sweep_view(tx, project, run_id)
        return queries.trials_page(tx, project, found, limit=max(1, limit), offset=page_start(offset))

    return await access.read(page)


@post(ONE + "/stop", permission=Permission.RUN_WRITE, status_code=200)
async def stop_sweep(access: AccessTo[None], run_id: FromPath[str]) -> SweepView:
    """Asks the program that runs it to stop; trials under way are cut off."""
    return await access.write(lambda tx: actions.stop_sweep(tx, access.actor, access.project.id, run_id))


routes = [list_sweeps, show_sweep, list_trials, stop_sweep]
