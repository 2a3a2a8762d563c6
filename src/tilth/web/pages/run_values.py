"""Runs as numbers: CSV for a spreadsheet, curves for a chart."""

from __future__ import annotations

import csv
import io
from typing import Any

from litestar import Response

from tilth.backends.sql import Tx
from tilth.core.clock import Millis, iso
from tilth.domains.tracking import queries
from tilth.domains.tracking.types import InvalidRunFilter
from tilth.guard import Access, AccessTo, Permission, get
from tilth.web.pages.frame import Asked
from tilth.web.pages.runs_question import Question, read_question
from tilth.wire.tracking import RunInfo

CSV_ROWS = 10_000


@get("/p/{project:str}/runs.csv", permission=Permission.RUN_READ)
async def runs_csv(request: Asked, access: AccessTo[None]) -> Response[str]:
    """Every run that fits the filter (at most 10,000) with all its metrics and params."""
    question = read_question(request)
    if question.error:
        raise InvalidRunFilter("the filter is not understood", question.text, 0)
    runs, metrics, params = await _all_runs(access, question)
    metric_keys = sorted({key for values in metrics.values() for key in values})
    param_keys = sorted({key for values in params.values() for key in values})
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    head = ["run_id", "name", "status", "experiment", "user", "started_utc", "ended_utc", "duration_s"]
    writer.writerow([*head, *(f"metrics.{key}" for key in metric_keys), *(f"params.{key}" for key in param_keys)])
    for run in runs:
        own: list[Any] = [run.id, _inert(run.name), run.status, _inert(run.experiment), _inert(run.user_name)]
        own += [_moment(run.started), _moment(run.ended), "" if run.ended is None else (run.ended - run.started) / 1000]
        numbers = [metrics.get(run.id, {}).get(key, "") for key in metric_keys]
        writer.writerow([*own, *numbers, *(_inert(params.get(run.id, {}).get(key, "")) for key in param_keys)])
    name = f"{access.project.name}-runs.csv"
    return Response(sheet.getvalue(), media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'})


async def _all_runs(
    access: Access[Any], question: Question
) -> tuple[list[RunInfo], dict[str, dict[str, float]], dict[str, dict[str, str]]]:
    runs: list[RunInfo] = []
    metrics: dict[str, dict[str, float]] = {}
    params: dict[str, dict[str, str]] = {}
    project_id = access.project.id
    for offset in range(0, CSV_ROWS, 500):

        def part(tx: Tx, offset: int = offset) -> list[RunInfo]:
            found = queries.runs_page(
                tx,
                project_id,
                terms=question.terms,
                experiment_id=question.experiment or None,
                order=question.order,
                limit=500,
                offset=offset,
            ).runs
            ids = [run.id for run in found]
            metrics.update(queries.latest_metrics(tx, project_id, ids))
            params.update(queries.params_of(tx, project_id, ids))
            return found

        found = await access.read(part)
        runs += found
        if len(found) < 500:
            break
    return runs, metrics, params


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
