"""The curves of one run: which charts there are, grouped by what their names begin with, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.params import FromPath

from tilth.backends.sql import Tx
from tilth.core.clock import Millis
from tilth.domains.tracking import queries
from tilth.guard import AccessTo, Permission, get
from tilth.web import charts
from tilth.web.metric_names import charts_of, family, is_system, ranked
from tilth.web.pages.frame import Asked
from tilth.wire.tracking import MetricSummary

CHARTS_AT_ONCE = 24
MAX_KEYS = 8
OVERLAID = 12
MOST_POINTS = 280
"""Of a curve on a chart that is some 560 pixels wide."""
"""Child runs whose curves are laid over those of their parent, the newest."""


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    note: str
    url: str
    image: str


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """Charts whose names begin alike, as `optim/lr` and `optim/momentum`. name: empty for those that stand alone."""

    name: str
    charts: Sequence[Chart]


@dataclass(frozen=True, slots=True)
class ChartPage:
    """shown of total charts; more_at: how many to ask for next, 0 if all are there."""

    groups: Sequence[ChartGroup]
    shown: int
    total: int
    more_at: int


def chart_page(metrics: Sequence[MetricSummary], base: str, most: int = CHARTS_AT_ONCE) -> ChartPage:
    several = {metric.key: metric.count for metric in metrics if metric.count > 1}
    order = [*ranked(list(several)), *sorted(key for key in several if is_system(key))]
    titles = charts_of(order)
    groups: dict[str, list[Chart]] = {}
    for title, keys in list(titles.items())[:most]:
        asked = "&".join(f"key={quote(key, safe='')}" for key in keys)
        points = max(several[key] for key in keys)
        chart = Chart(title, f"{points:,} points", f"{base}/curves?{asked}", f"{base}/curves.svg?{asked}")
        groups.setdefault(_group(title), []).append(chart)
    alone = [chart for name, own in groups.items() if not name or len(own) == 1 for chart in own]
    together = [ChartGroup(name, own) for name, own in groups.items() if name and len(own) > 1]
    shown = min(len(titles), most)
    grouped = [ChartGroup("", alone), *together] if alone else together
    return ChartPage(grouped, shown, len(titles), most + CHARTS_AT_ONCE if shown < len(titles) else 0)


def _group(title: str) -> str:
    bare = family(title)
    return bare.partition("/")[0] if "/" in bare and not is_system(title) else ""


def series_of(label: str, points: Sequence[tuple[int, int, Any]], total: int, *, moments: bool) -> dict[str, Any]:
    """As curves.js draws it: steps, moments (if wanted) and values in columns; the later of two values at one step wins."""
    by_step = {step: (ts, value) for step, ts, value in points}
    return {
        "label": label,
        "x": list(by_step),
        "t": [Millis(ts) for ts, _ in by_step.values()] if moments else [],
        "y": [_rounded(value) for _, value in by_step.values()],
        "total": total,
    }


def _rounded(value: Any) -> Any:
    """Six significant digits are more than a screen shows, and a third of the bytes."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


@get("/p/{project:str}/runs/{run_id:str}/curves", permission=Permission.RUN_READ)
async def curves(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> dict[str, Any]:
    """Metrics of one run, for a chart. `children=1` lays the first metric of its child runs over it; `moments=false` leaves times out."""
    asked = request.query_params
    keys, project_id = asked.getall("key", [])[:MAX_KEYS], access.project.id
    first, last = _step(asked.get("from_step")), _step(asked.get("to_step"))
    after, moments = None if first is None else first - 1, asked.get("moments") != "false"

    def ask(tx: Tx) -> dict[str, Any]:
        run = queries.run_info(tx, project_id, run_id)
        histories = queries.metric_histories(tx, project_id, run_id, keys, most=MOST_POINTS, after_step=after, until_step=last)
        series = [series_of(key, history.points, history.total, moments=moments) for key, history in histories.items()]
        if asked.get("children") == "1" and keys:
            for child in queries.children_of(tx, project_id, run_id)[-OVERLAID:]:
                found = queries.metric_histories(tx, project_id, child.id, keys[:1], most=120, after_step=after, until_step=last)
                series += [series_of(child.name, history.points, history.total, moments=moments) for history in found.values()]
        return {"series": series, "live": run is not None and run.status == "running"}

    return await access.read(ask)


def _step(text: str | None) -> int | None:
    """A step of an address; None for anything else."""
    bare = (text or "").removeprefix("-")
    return int(text or "") if bare.isascii() and bare.isdigit() and len(bare) < 19 else None


@get("/p/{project:str}/runs/{run_id:str}/curves.svg", permission=Permission.RUN_READ)
async def curves_image(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Response[str]:
    """The same chart as a picture, for readers without JavaScript."""
    keys, project_id = request.query_params.getall("key", [])[:MAX_KEYS], access.project.id
    histories = await access.read(lambda tx: queries.metric_histories(tx, project_id, run_id, keys, most=300))
    lines = [
        charts.Series(key, [(float(step), float(value)) for step, _, value in history.points])
        for key, history in histories.items()
    ]
    drawing = charts.standalone(charts.curves(lines, ", ".join(keys)))
    return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "no-store"})


routes: list[Any] = [curves, curves_image]
