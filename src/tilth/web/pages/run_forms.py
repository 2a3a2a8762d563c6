"""The forms of a run's page. Each goes back to the page, which then shows what became of it."""

from __future__ import annotations

from typing import Any

from litestar.params import FromPath
from litestar.response import Redirect

from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.domains.tracking import actions
from tilth.domains.tracking.actions import care
from tilth.domains.tracking.rules.batches import check_batch
from tilth.guard import Access, AccessTo, Permission, post
from tilth.web.pages.frame import Asked, back, project_url, read_form
from tilth.wire.tracking import LogBatch, RunUpdate

ONE = "/p/{project:str}/runs/{run_id:str}"


class MissingTagName(Invalid):
    def __init__(self) -> None:
        super().__init__("a tag needs a name: fill in the field 'Name'")


def _own(access: Access[Any], run_id: str) -> str:
    return project_url(access.project.name, "runs", run_id)


async def _update(access: Access[Any], run_id: str, change: RunUpdate) -> Redirect:
    await access.write(lambda tx: actions.update_run(tx, access.actor, access.project.id, run_id, change))
    return back(_own(access, run_id), "saved")


@post(ONE + "/notes", permission=Permission.RUN_WRITE)
async def save_notes(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    return await _update(access, run_id, RunUpdate(notes=(await read_form(request)).text("notes")))


@post(ONE + "/name", permission=Permission.RUN_WRITE)
async def save_name(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    return await _update(access, run_id, RunUpdate(name=(await read_form(request)).text("name")))


@post(ONE + "/tags", permission=Permission.RUN_WRITE)
async def save_tag(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    form = await read_form(request)
    if not form.text("key"):
        raise MissingTagName
    batch = LogBatch(tags={form.text("key"): None if form.has("remove") else form.text("value")})
    check_batch(batch)
    await access.write(lambda tx: actions.log(tx, access.project.id, run_id, batch, now()))
    return back(_own(access, run_id), "saved")


@post(ONE + "/delete", permission=Permission.RUN_DELETE)
async def delete_run(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.delete_run(tx, access.actor, access.project.id, run_id))
    return back(_own(access, run_id))


@post(ONE + "/restore", permission=Permission.RUN_DELETE)
async def restore_run(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.restore_run(tx, access.actor, access.project.id, run_id))
    return back(_own(access, run_id), "restored")


@post(ONE + "/archive", permission=Permission.RUN_DELETE)
async def archive_run(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: care.archive_run(tx, access.actor, access.project.id, run_id))
    return back(_own(access, run_id))


@post(ONE + "/unarchive", permission=Permission.RUN_DELETE)
async def unarchive_run(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: care.unarchive_run(tx, access.actor, access.project.id, run_id))
    return back(_own(access, run_id), "restored")


routes: list[Any] = [save_notes, save_name, save_tag, delete_run, restore_run, archive_run, unarchive_run]
