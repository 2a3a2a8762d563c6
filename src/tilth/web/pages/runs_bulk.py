"""What is done to many chosen runs at once, and the notice that offers to take it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from litestar.datastructures import Cookie
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.errors import Invalid
from tilth.domains.tracking.actions import care, rounds
from tilth.domains.tracking.queries import care as wanted_runs
from tilth.domains.tracking.rules.filters import parse_filter
from tilth.domains.tracking.types import is_run_id
from tilth.guard import AccessTo, Permission, post
from tilth.web.formatting import counted
from tilth.web.pages.frame import Asked, Form, project_url, read_form, with_query
from tilth.web.pages.runs_question import VIEWS
from tilth.wire.care import MAX_BULK_RUNS, BulkDo, BulkRuns

CHANGED_COOKIE = "tilth_changed"
UNDO_RUNS = 100
"""Of so many runs the notice can take a change back; of more, the list of deleted or archived runs does it."""
NOTICE_S = 30
UNDO: dict[BulkDo, BulkDo] = {"delete": "restore", "restore": "delete", "archive": "unarchive", "unarchive": "archive"}
DONE: dict[BulkDo, str] = {
    "delete": "deleted",
    "restore": "restored",
    "archive": "archived",
    "unarchive": "taken out of the archive",
    "tag": "tagged",
    "move": "moved",
}


class NothingChosen(Invalid):
    def __init__(self) -> None:
        super().__init__("no run is chosen: tick some in the list, or all that fit the filter")


class UnknownChange(Invalid):
    def __init__(self, name: str) -> None:
        super().__init__(f"runs cannot be {name[:40]!r}; there are {', '.join(get_args(BulkDo))}")


@dataclass(frozen=True, slots=True)
class Changed:
    """What a bulk change did. undo: what takes it back, empty if nothing does; runs: whose change it takes back."""

    text: str
    undo: str = ""
    runs: tuple[str, ...] = ()
    view: str = ""


@post("/p/{project:str}/runs/bulk", permission=Permission.RUN_DELETE)
async def change_runs(request: Asked, access: AccessTo[None]) -> Redirect:
    form, project = await read_form(request, most_fields=2000), access.project
    wanted = _wanted(form)
    ids = list(dict.fromkeys(form.many("run")))
    if form.has("all"):
        ids = await access.read(lambda tx: _all_that_fit(tx, project.id, form))
    if not ids:
        raise NothingChosen
    await access.read(lambda tx: care.check_bulk(tx, project.id, wanted))
    changed = await rounds.change_in_chunks(access, access.actor, project.id, ids, wanted)
    kept = {name: form.text(name) for name in ("q", "order", "experiment", "view", "group", "differences")}
    answer = Redirect(with_query(project_url(project.name, "runs"), **kept), status_code=303)
    undo = ",".join(changed) if len(changed) <= UNDO_RUNS and wanted.do in UNDO else ""
    answer.set_cookie(
        Cookie(
            key=f"{CHANGED_COOKIE}_{project.name}",
            value=f"{wanted.do}.{len(changed)}.{undo}",
            path=project_url(project.name, "runs"),
            max_age=NOTICE_S,
            httponly=True,
            samesite="lax",
            secure=request.scope["scheme"] == "https",
        )
    )
    return answer


def changed_notice(request: Asked, project: str) -> Changed | None:
    """Of the change that this reader made within the last seconds. A cookie that is not ours says nothing."""
    parts = request.cookies.get(f"{CHANGED_COOKIE}_{project}", "").split(".")
    if len(parts) != 3 or parts[0] not in DONE or not parts[1].isdecimal() or len(parts[1]) > 6:
        return None
    do, number = parts[0], int(parts[1])
    text = f"{counted(number, 'run')} {'was' if number == 1 else 'were'} {DONE[do]}."
    if not number:
        return Changed(f"Nothing changed: the chosen runs were {DONE[do]} already.")
    runs = tuple(run_id for run_id in parts[2].split(",") if is_run_id(run_id))
    view = {"delete": "deleted", "archive": "archived"}.get(do, "")
    return Changed(text, UNDO.get(do, "") if runs else "", runs, view)


def _wanted(form: Form) -> BulkRuns:
    do = form.text("do")
    if do not in DONE:
        raise UnknownChange(do)
    tags: dict[str, str | None] = {}
    if do == "tag":
        if not form.text("key"):
            raise Invalid("a tag needs a name: fill in the field 'Name'")
        tags[form.text("key")] = form.text("value")
    return BulkRuns(do=do, tags=tags, to=form.text("to"))


def _all_that_fit(tx: Tx, project_id: str, form: Form) -> list[str]:
    view = form.text("view") if form.text("view") in VIEWS else "active"
    return wanted_runs.run_ids(
        tx,
        project_id,
        terms=parse_filter(form.text("q")),
        experiment_id=form.text("experiment") or None,
        deleted=view == "deleted",
        archived={"active": False, "archived": True}.get(view),
        limit=MAX_BULK_RUNS,
    )


routes: list[Any] = [change_runs]
