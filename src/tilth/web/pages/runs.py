"""The list of runs: filter, order, columns, groups, best values, curves of the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.tracking import queries
from tilth.domains.tracking.queries import RunsPage
from tilth.domains.tracking.rules.columns import Columns
from tilth.domains.tracking.rules.filters import Condition, Order
from tilth.guard import AccessTo, Permission, get
from tilth.web import charts
from tilth.web.commands import shown_command
from tilth.web.first_steps import connect, first_run, track_script
from tilth.web.formatting import count, number
from tilth.web.metric_names import lower_is_better, ranked
from tilth.web.pages.frame import Asked, curl, may, project_url, shell, with_query
from tilth.web.pages.runs_bulk import changed_notice
from tilth.web.pages.runs_columns import picked_columns
from tilth.web.pages.runs_groups import Grouped, find_groups, group_choices
from tilth.web.pages.runs_question import VIEWS, Question, find_runs, read_question
from tilth.web.render import page
from tilth.web.run_table import Column, RunValues, automatic_columns, differing_columns, lines
from tilth.web.tiles import Tile
from tilth.wire.tracking import RunInfo

CURVE_RUNS = 6
LOOKED_AT = 10
"""How many of the newest runs are asked which curves they have."""


@dataclass(frozen=True, slots=True)
class Sorting:
    """The present order and, for each heading, the address that orders by it; a second click turns the order round.

    The first click on a metric brings its best values up.
    """

    key: str
    descending: bool
    base: str
    kept: dict[str, str]

    def url(self, key: str) -> str:
        best_first = key.startswith("metrics.") and not lower_is_better(key)
        turned = not self.descending if key == self.key else best_first or key in ("start_time", "duration")
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
    grouped: Grouped | None
    choices: list[tuple[str, str]]


@get("/p/{project:str}/runs", permission=Permission.RUN_READ)
async def runs_page(request: Asked, access: AccessTo[None]) -> Response[Any]:
    project, question = access.project, read_question(request)
    base = project_url(project.name, "runs")
    picked = picked_columns(request, project.name)
    found = await access.read(lambda tx: _find(tx, project.id, question, picked))
    ids = [run.id for run in found.runs.runs]
    columns = picked or automatic_columns(found.values, ids)
    if question.only_differences:
        columns = differing_columns(columns, found.values, ids)
    first = next((column.key for column in columns if column.kind == "metric"), "")
    sort_key = question.order_text.removesuffix(" asc").removesuffix(" desc") or "start_time"
    columns, rows = lines(found.runs.runs, columns, found.values, {first, sort_key}, now())
    end = question.offset + len(rows)
    kept = {name: str(value) for name, value in question.address(q=None).items() if value}
    more = found.runs.next_token
    return page(
        "runs.html",
        await shell(request, access, "runs", [("Runs", "")], search=""),
        base=base,
        question=question,
        kept=kept,
        changed=changed_notice(request, project.name),
        tiles=_tiles(found, question, base),
        curve=_curve(found, project.name) if not question.offset and not question.group else None,
        columns=columns,
        picked=bool(picked),
        columns_url=with_query(project_url(project.name, "run-columns"), **question.address()),
        rows=rows,
        grouped=found.grouped,
        choices=found.choices,
        sorting=Sorting(sort_key, question.order.descending, base, {**kept, "q": question.text} if question.text else kept),
        experiments=found.experiments,
        total_text=found.runs.total_text,
        shown_text=f"{end:,} of {found.runs.total_text}" if more else f"{end:,}",
        next_url=with_query(base, **question.address(after=more, **{"from": end}, group=None)) if more else None,
        live_url=None if question.offset or question.group else with_query(base, **question.address()),
        running=found.running > 0,
        csv_url=with_query(f"{base}.csv", **question.address(differences=None, columns="|".join(c.key for c in columns))),
        compare_url=project_url(project.name, "compare"),
        bulk_url=f"{base}/bulk",
        keys_url=f"/api/v1{project_url(project.name, 'runs', 'keys')}",
        curves_url=f"/api/v1{project_url(project.name, 'runs', 'curves')}",
        views=[(view, with_query(base, **question.address(view=view))) for view in VIEWS],
        differences_url=with_query(base, **question.address(differences=None if question.only_differences else 1)),
        may_write=may(access, Permission.RUN_DELETE),
        snippets=_snippets(project.name, question),
        first_steps=[connect(project.name), first_run(project.name), track_script(project.name)],
    )


def _find(tx: Tx, project_id: str, question: Question, picked: Sequence[Column]) -> Found:
    runs = find_runs(tx, project_id, question, after=question.after)
    ids = [run.id for run in runs.runs]
    metric_keys = ranked(queries.metric_keys(tx, project_id, ids))[:40] if ids else []
    grouped = find_groups(tx, project_id, question, metric_keys[:1]) if question.group else None
    return Found(
        runs=runs,
        values=_values(tx, project_id, runs.runs, metric_keys, picked),
        running=len(queries.running_runs(tx, project_id)),
        curve=_common_curve(tx, project_id, runs.runs),
        troubled=_troubled(tx, project_id, question),
        best=_best(tx, project_id, question, metric_keys[:2]),
        experiments=[(known.id, known.name) for known in queries.experiments(tx, project_id)],
        grouped=grouped,
        choices=group_choices(tx, project_id),
    )


def _values(tx: Tx, project_id: str, runs: Sequence[RunInfo], metric_keys: Sequence[str], picked: Sequence[Column]) -> RunValues:
    """Of picked columns only what they show; else what the choice of columns is made from."""
    named = {column.name for column in picked if column.kind == "metric" and column.stat == "last"} if picked else set()
    wanted = [(key, key, "last") for key in {*metric_keys, *named}]
    wanted += [(f"{c.name}:{c.figure}", c.name, c.figure) for c in picked if c.kind == "metric" and c.stat != "last"]
    chosen = Columns(
        metrics=tuple(wanted),
        params=tuple(c.name for c in picked if c.kind == "param") if picked else None,
        tags=tuple(c.name for c in picked if c.kind == "tag"),
    )
    rows = queries.rows_with_values(tx, project_id, runs, chosen)
    return RunValues(
        metrics={row.run.id: {key: float(value) for key, value in row.metrics.items()} for row in rows},
        params={row.run.id: row.params for row in rows},
        tags={row.run.id: row.tags for row in rows},
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
    bad = Condition("attribute", "status", "in", values=("failed", "lost"))
    return queries.runs_page(
        tx, project_id, terms=(*question.terms, bad), experiment_id=question.experiment or None, limit=1
    ).total


def _best(tx: Tx, project_id: str, question: Question, keys: Sequence[str]) -> list[tuple[str, RunInfo, float]]:
    """Best run of all that fit the filter, for each of the metrics."""
    found = []
    for key in keys:
        order = Order("metric", key, not lower_is_better(key))
        top = queries.runs_page(
            tx, project_id, terms=question.terms, experiment_id=question.experiment or None, order=order, limit=1, total=False
        ).runs
        value = queries.latest_metrics(tx, project_id, [top[0].id], [key]).get(top[0].id, {}).get(key) if top else None
        if value is not None:
            found.append((key, top[0], value))
    return found


def _tiles(found: Found, question: Question, base: str) -> list[Tile]:
    if not found.runs.total or question.view != "active":
        return []
    scope = "fit the filter" if question.filtered else "in this project"
    return [
        *(Tile(f"Best {key}", number(value), run.name, "good", f"{base}/{run.id}") for key, run, value in found.best),
        Tile(
            "Running now",
            count(found.running),
            "in this project" if found.running else "nothing is training",
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


def _curve(found: Found, project: str) -> dict[str, Any] | None:
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
    address = f"/api/v1{project_url(project, 'runs', 'curves')}?key={quote(drawn_key, safe='')}&most=80&runs="
    return {
        "key": drawn_key,
        "progress_key": key,
        "caption": "newest run" if len(newest) == 1 else f"{len(newest)} newest runs",
        "address": address,
        "url": address + ",".join(run.id for run in newest),
        "progress": progress,
        "live": found.running > 0,
    }


def _snippets(project: str, question: Question) -> list[tuple[str, str]]:
    asked = with_query(
        f"/api/v1/p/{quote(project, safe='')}/runs",
        filter=question.text,
        order_by=question.order_text,
        experiment=question.experiment,
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
