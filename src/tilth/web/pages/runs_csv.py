"""Runs for a spreadsheet: every run that fits the filter, in the chosen columns, sent while it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from litestar.response import Stream

from tilth.backends.sql import Tx
from tilth.core.clock import Millis, iso
from tilth.domains.tracking import queries
from tilth.domains.tracking.queries import RunsPage
from tilth.domains.tracking.rules.columns import Columns
from tilth.domains.tracking.types import InvalidRunFilter
from tilth.guard import Access, AccessTo, Permission, get
from tilth.web.pages.frame import Asked
from tilth.web.pages.runs_question import Question, find_runs, named_runs, read_question
from tilth.web.run_table import Column, column_of
from tilth.wire.tracking import RunInfo, RunRow

ROWS_AT_ONCE = 500
MAX_KEYS = 500
HEAD = ("run_id", "name", "status", "experiment", "user", "started_utc", "ended_utc", "duration_s")


@get("/p/{project:str}/runs.csv", permission=Permission.RUN_READ)
async def runs_csv(request: Asked, access: AccessTo[None]) -> Stream:
    """`columns`: such as `metrics.auc|params.depth`, as the list shows them; left out: every metric and param of the project."""
    question, named = read_question(request), named_runs(request)
    if question.error:
        raise InvalidRunFilter("the filter is not understood", question.text, max(question.wrong_at, 0))
    asked = request.query_params.get("columns")
    chosen = (
        [column_of(name) for name in asked.split("|")] if asked else await access.read(lambda tx: _every(tx, access.project.id))
    )
    columns = [column for column in chosen if column is not None]
    # The first page is read before the answer begins: what is wrong becomes an error, not a torn file.
    first = await _page(access, question, named, "")
    name = quote(f"{access.project.name}-runs.csv")
    return Stream(
        _lines(access, question, named, columns, first),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _every(tx: Tx, project_id: str) -> list[Column | None]:
    metrics = queries.keys_there_are(tx, project_id, "metric", limit=MAX_KEYS)
    params = queries.keys_there_are(tx, project_id, "param", limit=MAX_KEYS)
    return [*(column_of(f"metrics.{key}") for key in metrics), *(column_of(f"params.{key}") for key in params)]


async def _page(access: Access[Any], question: Question, named: Sequence[str], after: str) -> RunsPage:
    def read(tx: Tx) -> RunsPage:
        if named:
            runs = queries.run_infos(tx, access.project.id, named)
            return RunsPage(runs, len(runs), capped=False)
        return find_runs(tx, access.project.id, question, limit=ROWS_AT_ONCE, after=after)

    return await access.read(read)


async def _lines(
    access: Access[Any], question: Question, named: Sequence[str], columns: Sequence[Column], first: RunsPage
) -> AsyncIterator[bytes]:
    yield _text([[*HEAD, *(_inert(column.key) for column in columns)]])
    wanted = Columns(
        metrics=tuple((_figure(c), c.name, c.figure) for c in columns if c.kind == "metric"),
        params=tuple(c.name for c in columns if c.kind == "param"),
        tags=tuple(c.name for c in columns if c.kind == "tag"),
    )
    page = first
    while page.runs:
        rows = await access.read(partial(_rows, access.project.id, page.runs, wanted))
        yield _text([[*_own(row.run), *(_value(row, column) for column in columns)] for row in rows])
        if not page.next_token:
            return
        page = await _page(access, question, named, page.next_token)


def _rows(project_id: str, runs: Sequence[RunInfo], wanted: Columns, tx: Tx) -> list[RunRow]:
    return queries.rows_with_values(tx, project_id, runs, wanted)


def _text(rows: Sequence[Sequence[Any]]) -> bytes:
    sheet = io.StringIO()
    csv.writer(sheet).writerows(rows)
    return sheet.getvalue().encode()


def _figure(column: Column) -> str:
    return column.name if column.stat == "last" else f"{column.name}:{column.figure}"


def _value(row: RunRow, column: Column) -> Any:
    match column.kind:
        case "metric":
            return row.metrics.get(_figure(column), "")
        case "param":
            return _inert(row.params.get(column.name, ""))
        case _:
            return _inert(row.tags.get(column.name, ""))


def _own(run: RunInfo) -> list[Any]:
    span = "" if run.ended is None else (run.ended - run.started) / 1000
    names = [run.id, _inert(run.name), run.status, _inert(run.experiment), _inert(run.user_name)]
    return [*names, _moment(run.started), _moment(run.ended), span]


def _moment(at: int | None) -> str:
    """`2026-11-21 02:33:07`, which spreadsheets and pandas both read as a moment."""
    return "" if at is None else iso(Millis(at))[:19].replace("T", " ")


def _inert(text: str) -> str:
    """A spreadsheet takes text that begins with = + - @ for a formula and runs it; a quote in front keeps it text."""
    if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        try:
            float(text)
        except ValueError:
            return f"'{text}"
    return text


routes: list[Any] = [runs_csv]
