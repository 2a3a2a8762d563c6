"""One run: curves, metrics, params, notes, tags, artifacts, code and environment; and the forms that change it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.core.ports import Blobs
from tilth.domains.models import queries as models
from tilth.domains.tracking import actions, queries
from tilth.domains.tracking.rules.batches import check_batch
from tilth.domains.tracking.types import UnknownRun
from tilth.guard import AccessTo, Permission, get, post
from tilth.web import charts
from tilth.web.difference import coloured
from tilth.web.formatting import metric as metric_text
from tilth.web.metric_names import charts_of, is_system, lower_is_better, ranked
from tilth.web.pages.artifacts import FileView, file_view, read_text
from tilth.web.pages.frame import Asked, back, curl, may, project_url, read_form, shell
from tilth.web.pages.run_values import series_of
from tilth.web.pages.runs import Tile
from tilth.web.render import page
from tilth.web.run_table import duration_of
from tilth.wire.registry import LoggedModelView
from tilth.wire.tracking import ArtifactEntry, LogBatch, MetricSummary, RunDetail, RunInfo, RunUpdate

MAX_CHARTS = 24
SHOWN_ARTIFACTS = 500
SHOWN_IMAGES = 4
CALIBRATION_FILE = "calibration.json"


class MissingTagName(Invalid):
    def __init__(self) -> None:
        super().__init__("a tag needs a name: fill in the field 'Name'")


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    note: str
    url: str
    image: str


@dataclass(frozen=True, slots=True)
class ModelLink:
    label: str
    url: str
    note: str


@get("/p/{project:str}/runs/{run_id:str}", permission=Permission.RUN_READ)
async def run_page(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Response[str]:
    project = access.project

    def ask(tx: Tx) -> tuple[RunDetail, list[ArtifactEntry], list[LoggedModelView], RunInfo | None]:
        detail = queries.run_detail(tx, project.id, run_id)
        if detail is None:
            raise UnknownRun(run_id)
        logged = models.logged_models_page(tx, project.id, run_id=run_id).logged_models
        whole = [models.logged_model_view(tx, project.id, model.id) for model in logged[:20]]
        entries = queries.artifacts_of(tx, project.id, run_id, recursive=True)[:SHOWN_ARTIFACTS]
        above = detail.run.parent_run_id
        return detail, entries, whole, queries.run_info(tx, project.id, above) if above else None

    detail, entries, logged, parent = await access.read(ask)
    run, base = detail.run, project_url(project.name, "runs", run_id)
    live = run.status in ("running", "scheduled") and not run.deleted
    # The live part is asked for every two seconds; files do not change what it shows.
    blobs = None if request.headers.get("hx-target") == "live" else request.app.state["tilth_blobs"]
    diff, diff_lines = await _difference(blobs, entries)
    own = [metric for metric in detail.metrics if not is_system(metric.key)]
    files = [file_view(project.name, run_id, entry) for entry in entries]
    return page(
        "run.html",
        await shell(request, access, "runs", [("Runs", project_url(project.name, "runs")), (run.name, "")]),
        base=base,
        runs_url=project_url(project.name, "runs"),
        experiment_url=f"{project_url(project.name, 'runs')}?experiment={quote(run.experiment_id, safe='')}",
        run=run,
        detail=detail,
        parent_name=parent.name if parent is not None else run.parent_run_id,
        live=live,
        took=duration_of(run, now()),
        headline=_headline(own),
        charts=_charts(own, base),
        system_charts=_charts([metric for metric in detail.metrics if is_system(metric.key)], base),
        metrics=own,
        system=[metric for metric in detail.metrics if is_system(metric.key)],
        calibration=await _calibration(blobs, entries),
        artifacts=files,
        previews=[file for file in files if file.image_url][:SHOWN_IMAGES],
        models=_model_links(project.name, logged),
        tags=[(key, value) for key, value in sorted(detail.tags.items()) if not key.startswith(("mlflow.", "tilth."))],
        diff=diff,
        diff_lines=diff_lines,
        may_write=may(access, Permission.RUN_WRITE),
        snippets=_snippets(project.name, run_id, files),
    )


def _headline(metrics: list[MetricSummary]) -> list[Tile]:
    by_key = {metric.key: metric for metric in metrics}
    tiles = []
    for key in ranked(list(by_key))[:5]:
        metric = by_key[key]
        best = metric.min if lower_is_better(key) else metric.max
        note = f"best {metric_text(best)} of {metric.count:,}" if metric.count > 1 else ""
        tiles.append(Tile(key, metric_text(metric.value), note))
    return tiles


def _charts(metrics: list[MetricSummary], base: str) -> list[Chart]:
    several = {metric.key: metric.count for metric in metrics if metric.count > 1}
    order = [*ranked(list(several)), *sorted(key for key in several if is_system(key))]
    found = []
    for title, keys in list(charts_of(order).items())[:MAX_CHARTS]:
        asked = "&".join(f"key={quote(key, safe='')}" for key in keys)
        points = max(several[key] for key in keys)
        found.append(Chart(title, f"{points:,} points", f"{base}/curves?{asked}", f"{base}/curves.svg?{asked}"))
    return found


async def _difference(blobs: Blobs | None, entries: list[ArtifactEntry]) -> tuple[Markup | None, int]:
    """The uncommitted changes that the client kept with the run."""
    entry = next((entry for entry in entries if entry.path.endswith((".diff", ".patch"))), None)
    if entry is None or blobs is None:
        return None, 0
    text, _ = await read_text(blobs, entry)
    return (coloured(text), text.count("\n")) if text.strip() else (None, 0)


async def _calibration(blobs: Blobs | None, entries: list[ArtifactEntry]) -> Markup | None:
    """Drawn if the run kept `calibration.json`: {"predicted": [...], "observed": [...], "count": [...]}, one entry per bin."""
    entry = next((entry for entry in entries if entry.path.rpartition("/")[2] == CALIBRATION_FILE), None)
    if entry is None or blobs is None:
        return None
    text, _ = await read_text(blobs, entry)
    try:
        bins = json.loads(text)
        columns = [[float(value) for value in bins[name]] for name in ("predicted", "observed", "count")]
        return charts.calibration_curve(columns[0], columns[1], [int(value) for value in columns[2]])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _model_links(project: str, logged: list[LoggedModelView]) -> list[ModelLink]:
    links = []
    for model in logged:
        for place in model.registrations:
            url = project_url(project, "models", place.model, "versions", place.version)
            links.append(ModelLink(f"{place.model} v{place.version}", url, model.flavour))
    return links


def _snippets(project: str, run_id: str, files: list[FileView]) -> list[tuple[str, str]]:
    path = f"/api/v1/p/{project}/runs/{run_id}"
    python = f"import tilth\n\ntilth.init(project={project!r})\nwith tilth.run(resume={run_id!r}) as run:\n    run.tag(seen=True)"
    return [("CLI", f"tilth run show {run_id} --project {project} --json"), ("Python", python), ("curl", curl(path))]


@get("/p/{project:str}/runs/{run_id:str}/curves", permission=Permission.RUN_READ)
async def curves(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> dict[str, Any]:
    """Metrics of one run, for a chart."""
    keys, project_id = request.query_params.getall("key", [])[:8], access.project.id

    def ask(tx: Tx) -> dict[str, Any]:
        run = queries.run_info(tx, project_id, run_id)
        histories = queries.metric_histories(tx, project_id, run_id, keys, most=800)
        series = [series_of(key, history.points) for key, history in histories.items()]
        return {"series": series, "live": run is not None and run.status == "running"}

    return await access.read(ask)


@get("/p/{project:str}/runs/{run_id:str}/curves.svg", permission=Permission.RUN_READ)
async def curves_image(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Response[str]:
    """The same chart as a picture, for readers without JavaScript."""
    keys, project_id = request.query_params.getall("key", [])[:8], access.project.id
    histories = await access.read(lambda tx: queries.metric_histories(tx, project_id, run_id, keys, most=300))
    lines = [
        charts.Series(key, [(float(step), float(value)) for step, _, value in history.points])
        for key, history in histories.items()
    ]
    drawing = charts.standalone(charts.curves(lines, ", ".join(keys)))
    return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "no-store"})


@post("/p/{project:str}/runs/{run_id:str}/notes", permission=Permission.RUN_WRITE)
async def save_notes(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    change = RunUpdate(notes=(await read_form(request)).text("notes"))
    await access.write(lambda tx: actions.update_run(tx, access.actor, access.project.id, run_id, change))
    return back(project_url(access.project.name, "runs", run_id), "saved")


@post("/p/{project:str}/runs/{run_id:str}/tags", permission=Permission.RUN_WRITE)
async def save_tag(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    form = await read_form(request)
    if not form.text("key"):
        raise MissingTagName
    batch = LogBatch(tags={form.text("key"): None if form.has("remove") else form.text("value")})
    check_batch(batch)
    await access.write(lambda tx: actions.log(tx, access.project.id, run_id, batch, now()))
    return back(project_url(access.project.name, "runs", run_id), "saved")


@post("/p/{project:str}/runs/{run_id:str}/delete", permission=Permission.RUN_DELETE)
async def delete_run(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.delete_run(tx, access.actor, access.project.id, run_id))
    return back(project_url(access.project.name, "runs", run_id))


@post("/p/{project:str}/runs/{run_id:str}/restore", permission=Permission.RUN_DELETE)
async def restore_run(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.restore_run(tx, access.actor, access.project.id, run_id))
    return back(project_url(access.project.name, "runs", run_id), "restored")


routes: list[Any] = [run_page, curves, curves_image, save_notes, save_tag, delete_run, restore_run]
