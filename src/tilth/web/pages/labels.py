"""Labels of a deployment: how much of what it answered is known to have come true, and how good it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.clock import DAY, now
from tilth.domains.serving import queries
from tilth.domains.serving.queries.outcomes import outcomes_by_version
from tilth.domains.serving.rules.outcomes import HIGHER_IS_BETTER
from tilth.guard import AccessTo, Permission, get
from tilth.web import charts
from tilth.web.commands import shown_command
from tilth.web.interval_charts import Interval, interval_bar, span_of
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import Asked, curl, project_url, shell
from tilth.web.render import page
from tilth.wire.labels import Coverage, OutcomeView, VersionOutcomes

BASE = "/p/{project:str}/deployments/{name:str}/labels"
DAYS = 30


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric of one version; its bar lies over the span of all versions."""

    version: int
    rows: int
    metric: OutcomeView
    higher: bool
    bar: Markup


@get(BASE, permission=Permission.DEPLOYMENT_READ)
async def labels_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    project, until = access.project, now() + 1
    since = until - DAYS * DAY

    def look(tx: Tx) -> tuple[Coverage, list[VersionOutcomes]]:
        return queries.label_coverage(tx, project.id, name, since), outcomes_by_version(tx, project.id, name, since, until)

    coverage, outcomes = await access.read(look)
    base = project_url(project.name, "deployments", name)
    return page(
        "labels.html",
        await shell(
            request, access, "deployments", [("Deployments", project_url(project.name, "deployments")), (name, base), ("Labels", "")]
        ),
        tabs=deployment_tabs(access, name, "labels"),
        name=name,
        days=DAYS,
        c=coverage,
        chart=_chart(coverage),
        lines=metric_lines(outcomes),
        log_command=shown_command("tilth", "labels", "log", name, "landed.csv", "--project", project.name),
        snippets=[
            ("CLI", shown_command("tilth", "labels", "coverage", name, "--project", project.name)),
            ("Python", f"import tilth\n\ntilth.init(project={project.name!r})\n"
             f"tilth.labels.log({name!r}, [{{'prediction_id': '...', 'label': 1}}])"),
            ("curl", curl(f"/api/v1/p/{project.name}/deployments/{name}/labels/outcomes")),
        ],
    )  # fmt: skip


def _chart(coverage: Coverage) -> Markup | None:
    """The labelled share of each day, oldest first."""
    days: dict[str, tuple[int, int]] = {}
    for row in coverage.days:
        predictions, labelled = days.get(row.day, (0, 0))
        days[row.day] = (predictions + row.predictions, labelled + row.labelled)
    if len(days) < 2:
        return None
    ordered = sorted(days.items())
    shares = [labelled / predictions * 100 for _, (predictions, labelled) in ordered]
    return charts.bars(shares, [day[5:] for day, _ in ordered], "Labelled share of each day in percent")


def metric_lines(outcomes: list[VersionOutcomes]) -> list[MetricLine]:
    """Metric by metric, each with its versions beside each other."""
    names = list(dict.fromkeys(metric.name for each in outcomes for metric in each.metrics))
    lines = []
    for wanted in names:
        found = [(each, metric) for each in outcomes for metric in each.metrics if metric.name == wanted]
        drawn = [Interval(f"v{each.version}", metric.value, metric.low, metric.high) for each, metric in found]
        span = span_of(drawn)
        lines += [
            MetricLine(each.version, each.rows, metric, HIGHER_IS_BETTER[wanted], interval_bar(interval, span))
            for (each, metric), interval in zip(found, drawn, strict=True)
        ]
    return lines


routes: list[Any] = [labels_page]
