"""The list of runs: filter, order, columns, best values, curves of the newest, CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.tracking import queries
from tilth.domains.tracking.queries import RunsPage
from tilth.domains.tracking.rules.filters import Condition, Order
from tilth.guard import AccessTo, Permission, get
from tilth.web import charts
from tilth.web.commands import shown_command
from tilth.web.first_steps import connect, first_run, track_script
from tilth.web.formatting import count, number
from tilth.web.metric_names import lower_is_better, ranked
from tilth.web.pages.frame import Asked, curl, project_url, shell, with_query
from tilth.web.pages.runs_question import Question, find_runs, read_question
from tilth.web.render import page
from tilth.web.run_table import (
    Column,
    RunValues,
    automatic_columns,
    column_of,
    columns_from_cookie,
    cookie_of,
    differing_columns,
    lines,
)
from tilth.wire.tracking import RunInfo

COLUMN_COOKIE = "tilth_columns"
CURVE_RUNS = 6
LOOKED_AT = 10
"""How many of the newest runs are asked which curves they have."""


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    note: str = ""
    tone: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Sorting:
    """The present order and, for each heading, the address that orders by it; a second click turns the order round."""

    key: str
    descending: bool
    base: str
    kept: dict[str, str]

    def url(self, key: str) -> str:
        turned = not self.descending if key == self.key else key.startswith("metrics.") or key in ("start_time", "duration")
        values: dict[str, str | int | None] = {**self.kept, "order": f"{key} {'desc' if turned else 'asc'}"}
        return with_query(self.base, **values)


@dataclass(frozen=True, slots=True)
class Found:
    runs: RunsPage
    values: RunValues
    running: int
    curve: tuple[str, list[RunInfo]] | None
    troubled: int
    best: list[tuple[str, RunInfo, float]]
    experiments: list[tuple[str, str]]
    keys: dict[str, list[str]]


@get("/p/{project:str}/runs", permission=Permission.RUN_READ)
async def runs_page(request: Asked, access: AccessTo[None]) -> Response[Any]:
    project, question = access.project, read_question(request)
    base = project_url(project.name, "runs")
    if request.query_params.get("columns"):
        return _remember_columns(request, question, base, project.name)
    found = await access.read(lambda tx: _find(tx, project.id, question))
    ids = [run.id for run in found.runs.runs]
    picked = columns_from_cookie(request.cookies.get(f"{COLUMN_COOKIE}_{project.name}", ""))
    columns = picked or automatic_columns(found.values, ids)
    if question.only_differences:
        columns = differing_columns(columns, found.values, ids)
    first = next((column.key for column in columns if column.kind == "metric"), "")
    sort_key = question.order_text.rpartition(" ")[0] or "start_time"
    columns, rows = lines(found.runs.runs, columns, found.values, {first, sort_key}, now())
    end = question.offset + len(rows)
    return page(
        "runs.html",
        await shell(request, access, "runs", [("Runs", "")], search=""),
        base=base,
        query=question.text,
        error=question.error,
        kept=[(name, value) for name, value in question.address(q=None).items() if value],
        tiles=_tiles(found, question, base),
        curve=_curve(found, base, project.name) if not question.offset else None,
        columns=columns,
        picker=_picker(columns, found),
        rows=rows,
        sorting=Sorting(
            sort_key, question.order.descending, base, {k: str(v) for k, v in question.address(order=None).items() if v}
        ),
        experiments=found.experiments,
        experiment=question.experiment,
        total_text=found.runs.total_text,
        shown_text=f"{end:,} of {found.runs.total_text}" if end < found.runs.total or found.runs.capped else f"{end:,}",
        next_url=with_query(base, **question.address(**{"from": end})) if end < found.runs.total else None,
        live_url=None if question.offset else with_query(base, **question.address()),
        running=found.running > 0,
        filtered=bool(question.terms or question.experiment),
        csv_url=with_query(f"{base}.csv", **question.address(differences=None)),
        differences_url=with_query(base, **question.address(differences=None if question.only_differences else 1)),
        only_differences=question.only_differences,
        snippets=_snippets(project.name, question),
        first_steps=[connect(project.name), first_run(project.name), track_script(project.name)],
    )


def _find(tx: Tx, project_id: str, question: Question) -> Found:
    runs = find_runs(tx, project_id, question, offset=question.offset)
    ids = [run.id for run in runs.runs]
    metric_keys = ranked(queries.metric_keys(tx, project_id, ids))[:40] if ids else []
    values = RunValues(
        metrics=queries.latest_metrics(tx, project_id, ids, metric_keys) if metric_keys else {},
        params=queries.params_of(tx, project_id, ids),
        tags=queries.tags_of(tx, project_id, ids),
    )
    return Found(
        runs=runs,
        values=values,
        running=len(queries.running_runs(tx, project_id)),
        curve=_common_curve(tx, project_id, runs.runs),
        troubled=_troubled(tx, project_id, question),
        best=_best(tx, project_id, question, metric_keys[:2]),
        experiments=[(known.id, known.name) for known in queries.experiments(tx, project_id)],
        keys={
            "metrics.": metric_keys,
            "params.": queries.known_keys(tx, project_id, "param", 60),
            "tags.": [key for key in queries.known_keys(tx, project_id, "tag", 40) if not key.startswith(("mlflow.", "tilth."))],
        },
    )


def _common_curve(tx: Tx, project_id: str, runs: Sequence[RunInfo]) -> tuple[str, list[RunInfo]] | None:
    """The metric with a curve that most of the newest runs have, the most telling one among equals; and the newest runs that have it."""
    newest = sorted(runs, key=lambda run: run.started, reverse=True)[:LOOKED_AT]
    drawn = {
        run.id: [summary.key for summary in queries.metric_summaries(tx, project_id, run.id) if summary.count > 1]
        for run in newest
    }
    often = Counter(ranked([key for keys in drawn.values() for key in keys]))
    if not often:
        return None
    most = max(often.values())
    key = ranked([key for key, times in often.items() if times * 2 > most])[0]
    return key, [run for run in newest if key in drawn[run.id]][:CURVE_RUNS]


def _troubled(tx: Tx, project_id: str, question: Question) -> int:
    """How many of all runs that fit the filter failed or were lost."""
    return sum(
        queries.runs_page(
            tx,
            project_id,
            terms=(*question.terms, Condition("attribute", "status", "=", status)),
            experiment_id=question.experiment or None,
            limit=1,
        ).total
        for status in ("failed", "lost")
    )


def _best(tx: Tx, project_id: str, question: Question, keys: Sequence[str]) -> list[tuple[str, RunInfo, float]]:
    """Best run of all that fit the filter, for each of the metrics."""
    found = []
    for key in keys:
        order = Order("metric", key, not lower_is_better(key))
        top = queries.runs_page(
            tx, project_id, terms=question.terms, experiment_id=question.experiment or None, order=order, limit=1
        ).runs
        value = queries.latest_metrics(tx, project_id, [top[0].id], [key]).get(top[0].id, {}).get(key) if top else None
        if value is not None:
            found.append((key, top[0], value))
    return found


def _tiles(found: Found, question: Question, base: str) -> list[Tile]:
    if not found.runs.total:
        return []
    scope = "fit the filter" if question.terms or question.experiment else "in this project"
    return [
        *(Tile(f"Best {key}", number(value), run.name, "good", f"{base}/{run.id}") for key, run, value in found.best),
        Tile(
            "Running now",
            count(found.running),
            "live" if found.running else "nothing is training",
            "",
            f"{base}?q=status%3Drunning",
        ),
        Tile(
            "Failed or lost",
            count(found.troubled),
            scope,
            "bad" if found.troubled else "",
            f"{base}?q=status%3Dfailed" if found.troubled else "",
        ),
        Tile("Runs", found.runs.total_text, scope),
    ]


def _curve(found: Found, base: str, project: str) -> dict[str, Any] | None:
    """Curves of the newest runs beside the progress of the best metric; None while there is nothing to compare."""
    if found.curve is None or not found.best:
        return None
    drawn_key, newest = found.curve
    key = found.best[0][0]
    in_order = sorted(found.runs.runs, key=lambda run: run.started)
    scored = [(run.name, found.values.metrics[run.id][key]) for run in in_order if key in found.values.metrics.get(run.id, {})]
    progress: Markup | None = None
    if len(scored) > 1:
        progress = charts.progress(
            [value for _, value in scored], [name for name, _ in scored], lower_is_better=lower_is_better(key)
        )
    if progress is None:
        return None
    runs = ",".join(run.id for run in newest)
    return {
        "key": drawn_key,
        "progress_key": key,
        "caption": "newest run" if len(newest) == 1 else f"{len(newest)} newest runs",
        "url": f"/api/v1{project_url(project, 'runs', 'curves')}?key={quote(drawn_key, safe='')}&runs={runs}&most=80",
        "progress": progress,
        "live": found.running > 0,
    }


def _picker(shown: Sequence[Column], found: Found) -> list[Column]:
    visible = {column.key for column in shown}
    known = [column_of(prefix + key) for prefix, keys in found.keys.items() for key in keys]
    offered = [column for column in known if column is not None]
    missing = [column for column in shown if column.key not in {one.key for one in offered}]
    return [replace(column, shown=column.key in visible) for column in [*offered, *missing]]


def _remember_columns(request: Asked, question: Question, base: str, project: str) -> Redirect:
    """Keeps the picked columns in a cookie and goes on to the page itself."""
    automatic = request.query_params.get("columns") == "auto"
    value = "" if automatic else cookie_of(request.query_params.getall("column", []))
    answer = Redirect(with_query(base, **question.address()), status_code=303)
    answer.set_cookie(
        Cookie(
            key=f"{COLUMN_COOKIE}_{project}",
            value=value,
            path=project_url(project),
            max_age=0 if not value else 31_536_000,
            httponly=True,
            samesite="lax",
            secure=request.scope["scheme"] == "https",
        )
    )
    return answer


def _snippets(project: str, question: Question) -> list[tuple[str, str]]:
    asked = with_query(
        f"/api/v1/p/{project}/runs", filter=question.text, order_by=question.order_text, experiment=question.experiment
    )
    filtered = ("--filter", question.text) if question.text else ()
    given = [repr(question.text)] if question.text else []
    given += [f"order_by={question.order_text!r}"] if question.order_text else []
    loop = f"for row in tilth.runs({', '.join(given)}):\n    print(row.run.name, row.metrics)"
    python = f"import tilth\n\ntilth.init(project={project!r})\n{loop}"
    return [
        ("CLI", shown_command("tilth", "run", "list", "--project", project, *filtered, "--json")),
        ("Python", python),
        ("curl", curl(asked)),
    ]


routes: list[Any] = [runs_page]
