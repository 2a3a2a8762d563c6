"""Many runs side by side: curves, parallel coordinates, scatter, and a table of what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.guard import AccessTo, Permission, get
from tilth.web.commands import shown_command
from tilth.web.formatting import count
from tilth.web.metric_names import lower_is_better, ranked
from tilth.web.pages.frame import Asked, curl, project_url, shell, with_query
from tilth.web.pages.runs_question import Question, find_runs, named_runs, read_question
from tilth.web.render import page
from tilth.web.run_table import Column, RunValues, differing_columns, usual_keys
from tilth.web.side_by_side import Matrix, matrix, number_of
from tilth.wire.tracking import RunInfo

MAX_RUNS = 500
MAX_METRICS = 60
MAX_PARAMS = 60
LOOKED_AT = 20
"""How many of the runs are asked which curves they have."""


@dataclass(frozen=True, slots=True)
class Compared:
    """runs: at most 500. fitting: how many were asked for, as text. unknown: how many of the named runs this project does not have."""

    runs: list[RunInfo]
    fitting: str
    cut: bool
    unknown: int
    values: RunValues
    columns: list[Column]
    curve_keys: list[str]


@get("/p/{project:str}/compare", permission=Permission.RUN_READ)
async def compare_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, question = access.project, read_question(request)
    named = named_runs(request)
    found = await access.read(lambda tx: _find(tx, project.id, question, named))
    base, runs_url = project_url(project.name, "compare"), project_url(project.name, "runs")
    everything = request.query_params.get("differences") == "0"
    columns = found.columns if everything else differing_columns(found.columns, found.values, [run.id for run in found.runs])
    asked: dict[str, str | int | None] = {"runs": ",".join(named)} if named else question.address()
    shown: Matrix = matrix(found.runs, columns, found.values)
    return page(
        "compare.html",
        await shell(request, access, "runs", [("Runs", runs_url), ("Compare", "")]),
        base=base,
        runs_url=runs_url,
        found=found,
        matrix=shown,
        question=question,
        everything=everything,
        differences_url=with_query(base, **{**asked, "differences": None if everything else "0"}),
        values_url=with_query(f"{base}/values", **asked),
        curves_url=f"/api/v1/p/{quote(project.name, safe='')}/runs/curves",
        csv_url=with_query(f"{runs_url}.csv", **asked),
        back_url=with_query(runs_url, **question.address()),
        snippets=_snippets(project.name, question, named),
    )


@get("/p/{project:str}/compare/values", permission=Permission.RUN_READ)
async def compare_values(request: Asked, access: AccessTo[None]) -> dict[str, Any]:
    """Params and last metrics of the runs in columns, for drawing. Numbers as numbers, everything else as text, null where it lacks."""
    question, named = read_question(request), named_runs(request)
    found = await access.read(lambda tx: _find(tx, access.project.id, question, named))
    ids = [run.id for run in found.runs]
    return {
        "runs": [{"id": run.id, "name": run.name, "status": run.status} for run in found.runs],
        "columns": [
            {
                "key": column.key,
                "label": column.label,
                "kind": column.kind,
                "lower": column.kind == "metric" and lower_is_better(column.label),
                "values": [number_of(found.values.of(column, run_id)) for run_id in ids],
            }
            for column in differing_columns(found.columns, found.values, ids)
        ],
    }


def _find(tx: Tx, project_id: str, question: Question, named: Sequence[str]) -> Compared:
    if named:
        runs = queries.run_infos(tx, project_id, named[:MAX_RUNS])
        fitting, cut = count(len(named)), len(named) > MAX_RUNS
    else:
        page_of_runs = find_runs(tx, project_id, question, limit=MAX_RUNS)
        runs, fitting = page_of_runs.runs, page_of_runs.total_text
        cut = page_of_runs.total > len(runs) or page_of_runs.capped
    ids = [run.id for run in runs]
    metric_keys = ranked(queries.metric_keys(tx, project_id, ids))[:MAX_METRICS] if ids else []
    values = RunValues(
        metrics=queries.latest_metrics(tx, project_id, ids, metric_keys) if metric_keys else {},
        params=queries.params_of(tx, project_id, ids),
        tags={},
    )
    params = Counter(key for one in values.params.values() for key in one)
    columns = [Column(f"metrics.{key}", key, "metric", numeric=True) for key in metric_keys]
    columns += [Column(f"params.{key}", key, "param") for key, _ in sorted(params.most_common(MAX_PARAMS))]
    usual = {"metric": usual_keys(values.metrics, ids), "param": usual_keys(values.params, ids)}
    # What few of the runs have would fill the table with gaps.
    columns.sort(key=lambda column: column.name not in usual[column.kind])
    unknown = min(len(named), MAX_RUNS) - len(runs) if named else 0
    return Compared(runs, fitting, cut, unknown, values, columns, curve_keys(tx, project_id, runs[:LOOKED_AT]))


def curve_keys(tx: Tx, project_id: str, runs: Sequence[RunInfo]) -> list[str]:
    """Metrics of which at least one of the runs has more than one point: those that most have first, the most telling among equals."""
    often: Counter[str] = Counter()
    for run in runs:
        often.update(one.key for one in queries.metric_summaries(tx, project_id, run.id) if one.count > 1)
    order = {key: place for place, key in enumerate(ranked(list(often)))}
    return sorted(order, key=lambda key: (-often[key], order[key]))


def _snippets(project: str, question: Question, named: Sequence[str]) -> list[tuple[str, str]]:
    if named:
        ids = ", ".join(repr(run_id) for run_id in named[:MAX_RUNS])
        python = f"import tilth\n\ntilth.init(project={project!r})\nwanted = {{{ids}}}\n"
        python += "rows = [row for row in tilth.runs() if row.run.id in wanted]"
        cli = "\n".join(shown_command("tilth", "run", "show", run_id, "--project", project) for run_id in named[:20])
        return [("CLI", cli), ("Python", python)]
    given = [repr(question.text)] if question.text else []
    given += [f"order_by={question.order_text!r}"] if question.order_text else []
    python = f"import tilth\n\ntilth.init(project={project!r})\n"
    python += f"for row in tilth.runs({', '.join(given)}):\n    print(row.run.name, row.metrics)"
    path = with_query(f"/api/v1/p/{quote(project, safe='')}/runs", filter=question.text, order_by=question.order_text)
    return [("Python", python), ("curl", curl(path))]


routes: list[Any] = [compare_page, compare_values]
