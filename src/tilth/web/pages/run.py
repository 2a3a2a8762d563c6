"""One run: curves, metrics, params, notes, tags, data and models; and the tab about the machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.ports import Blobs
from tilth.domains.comments.types import Thing
from tilth.domains.models import queries as models
from tilth.domains.tracking import queries
from tilth.domains.tracking.rules.filters import Condition, Order
from tilth.guard import AccessTo, Permission, get
from tilth.web import charts
from tilth.web.formatting import metric as metric_text
from tilth.web.metric_names import is_system, lower_is_better, ranked
from tilth.web.pages.artifacts import file_view, read_text
from tilth.web.pages.comments import comments_part
from tilth.web.pages.frame import Asked, project_url, read_whole, with_query
from tilth.web.pages.run_charts import CHARTS_AT_ONCE, chart_page
from tilth.web.pages.run_files import FILE_TABS, file_tab
from tilth.web.pages.run_frame import Loaded, load, run_response
from tilth.web.scorings import record_in
from tilth.web.tiles import Tile
from tilth.wire.registry import LoggedModelView
from tilth.wire.scoring import SCORED_VERSION_TAG
from tilth.wire.tracking import ArtifactEntry, MetricSummary, RunInfo

MAX_CHARTS = 240
SHOWN_METRICS = 200
SHOWN_CHILDREN = 100
SHOWN_IMAGES = 4
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class ModelLink:
    label: str
    url: str
    note: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What the first tab shows beside the run itself. best: the best other run of the experiment by the headline metric."""

    entries: list[ArtifactEntry]
    logged: list[LoggedModelView]
    best: RunInfo | None


@get("/p/{project:str}/runs/{run_id:str}", permission=Permission.RUN_READ)
async def run_page(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Response[str]:
    project_id, tab = access.project.id, request.query_params.get("tab", "")
    if tab in FILE_TABS:
        return await file_tab(request, access, await access.read(lambda tx: load(tx, project_id, run_id)), tab)
    if tab == "system":
        loaded = await access.read(lambda tx: load(tx, project_id, run_id))
        base = project_url(access.project.name, "runs", run_id)
        system = [metric for metric in loaded.detail.metrics if is_system(metric.key)]
        found = chart_page(system, base, MAX_CHARTS)
        return await run_response(request, access, loaded, tab, "run_system.html", system=system, charts=found)
    loaded, overview = await access.read(lambda tx: _ask(tx, project_id, run_id))
    return await _overview(request, access, loaded, overview)


def _ask(tx: Tx, project_id: str, run_id: str) -> tuple[Loaded, Overview]:
    loaded = load(tx, project_id, run_id)
    logged = models.logged_models_page(tx, project_id, run_id=run_id).logged_models
    whole = [models.logged_model_view(tx, project_id, model.id) for model in logged[:20]]
    entries = queries.artifacts_of(tx, project_id, run_id, recursive=True)
    keys = ranked([metric.key for metric in loaded.detail.metrics])[:1]
    best = _best_other(tx, project_id, loaded.run, keys[0]) if keys else None
    return loaded, Overview(entries, whole, best)


def _best_other(tx: Tx, project_id: str, run: RunInfo, key: str) -> RunInfo | None:
    order = Order("metric", key, not lower_is_better(key))
    scored = Condition("metric", key, ">", "-inf", float("-inf"))
    found = queries.runs_page(tx, project_id, terms=[scored], experiment_id=run.experiment_id, order=order, limit=2).runs
    return next((other for other in found if other.id != run.id), None)


async def _overview(request: Asked, access: AccessTo[None], loaded: Loaded, overview: Overview) -> Response[str]:
    project, run_id, asked = access.project.name, loaded.run.id, request.query_params
    base = project_url(project, "runs", run_id)
    # The live part is asked for every two seconds; files do not change what it shows.
    blobs = None if request.headers.get("hx-target") == "live" else request.app.state["tilth_blobs"]
    own = [metric for metric in loaded.detail.metrics if not is_system(metric.key)]
    wanted = asked.get("metric", "").strip()[:250]
    chosen = [metric for metric in own if wanted.lower() in metric.key.lower()]
    found = chart_page(chosen, base, min(read_whole(request, "charts", CHARTS_AT_ONCE), MAX_CHARTS))
    files = [file_view(project, run_id, entry) for entry in overview.entries]
    return await run_response(
        request,
        access,
        loaded,
        "overview",
        "run.html",
        headline=_headline(own),
        charts=found,
        wanted=wanted,
        more_url=with_query(base, metric=wanted, charts=found.more_at) if found.more_at else None,
        metrics=chosen[:SHOWN_METRICS],
        metrics_total=len(own),
        metrics_left=max(len(chosen) - SHOWN_METRICS, 0),
        calibration=await _calibration(blobs, overview.entries),
        previews=[file for file in files if file.image_url][:SHOWN_IMAGES],
        models=_model_links(project, overview.logged),
        children=loaded.detail.children[:SHOWN_CHILDREN],
        children_left=max(len(loaded.detail.children) - SHOWN_CHILDREN, 0),
        tags=[(key, value) for key, value in sorted(loaded.detail.tags.items()) if not key.startswith(("mlflow.", "tilth."))],
        best=overview.best,
        scoring=record_in(loaded.detail.tags),
        scored_version=_scored_version(project, loaded.detail.tags),
        comments=await comments_part(access, Thing("run", run_id, loaded.run.name), base),
    )


def _headline(metrics: Sequence[MetricSummary]) -> list[Tile]:
    by_key = {metric.key: metric for metric in metrics}
    tiles = []
    for key in ranked(list(by_key))[:5]:
        metric = by_key[key]
        best = metric.min if lower_is_better(key) else metric.max
        note = f"best {metric_text(best)} of {metric.count:,}" if metric.count > 1 else ""
        tiles.append(Tile(key, metric_text(metric.value), note))
    return tiles


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
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _model_links(project: str, logged: list[LoggedModelView]) -> list[ModelLink]:
    links = []
    for model in logged:
        for place in model.registrations:
            url = project_url(project, "models", place.model, "versions", place.version)
            links.append(ModelLink(f"{place.model} v{place.version}", url, model.flavour))
    return links


def _scored_version(project: str, tags: Mapping[str, str]) -> ModelLink | None:
    name, _, number = tags.get(SCORED_VERSION_TAG, "").rpartition("/")
    if not name or not number.isascii() or not number.isdigit():
        return None
    return ModelLink(f"{name} v{number}", project_url(project, "models", name, "versions", number), "")


routes: list[Any] = [run_page]
