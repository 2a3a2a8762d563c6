"""Two versions of a model side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath, FromQuery
from markupsafe import Markup

from tilth.domains.models import queries
from tilth.guard import AccessTo, Permission, get
from tilth.web.commands import shown_command
from tilth.web.interval_charts import Interval, interval_bar, span_of
from tilth.web.pages.frame import Asked, curl, project_url, shell, with_query
from tilth.web.render import page
from tilth.wire.evaluations import Changed, EvaluationDifference, MetricDifference, VersionDifference


@dataclass(frozen=True, slots=True)
class MetricLine:
    """bar: of the difference, with zero as its line."""

    row: MetricDifference
    bar: Markup | None


@dataclass(frozen=True, slots=True)
class EvaluationPart:
    evaluation: EvaluationDifference
    lines: list[MetricLine]


@dataclass(frozen=True, slots=True)
class Part:
    """changed: what is different; same: how many rows are equal."""

    title: str
    changed: list[Changed]
    equal: list[Changed]


@get("/p/{project:str}/models/{name:str}/diff", permission=Permission.MODEL_READ)
async def diff_page(
    request: Asked, access: AccessTo[None], name: FromPath[str], a: FromQuery[int], b: FromQuery[int]
) -> Response[str]:
    project = access.project
    found = await access.read(lambda tx: queries.version_difference(tx, project.id, name, a, b))
    detail = await access.read(lambda tx: queries.model_detail(tx, project.id, name, limit=200))
    model_url = project_url(project.name, "models", name)
    crumbs = [("Models", project_url(project.name, "models")), (name, model_url), (f"v{a} and v{b}", "")]
    base = f"{model_url}/diff"
    return page(
        "version_diff.html",
        await shell(request, access, "models", crumbs),
        base=base,
        model_url=model_url,
        found=found,
        versions=sorted({a, b, *(each.version for each in detail.versions)}, reverse=True),
        evaluations=[_evaluation(each) for each in found.evaluations],
        parts=_parts(found),
        swap_url=with_query(base, a=b, b=a),
        snippets=[
            ("CLI", shown_command("tilth", "model", "diff", f"{name}/{a}", f"{name}/{b}", "--project", project.name)),
            ("curl", curl(with_query(f"{base.replace('/p/', '/api/v1/p/', 1)}", a=a, b=b))),
        ],
    )


def _evaluation(each: EvaluationDifference) -> EvaluationPart:
    return EvaluationPart(each, [MetricLine(row, _bar(row) if each.same_rows else None) for row in each.metrics])


def _bar(row: MetricDifference) -> Markup | None:
    if row.difference is None:
        return None
    tone = {"b": "f1", "a": "f5", "": "f8"}[row.better]
    shown = Interval(f"difference of {row.metric}", row.difference, row.low, row.high, tone)
    low, high = span_of([shown], 0.0)
    widest = max(abs(low), abs(high))
    return interval_bar(shown, (-widest, widest), limit=0.0)


def _parts(found: VersionDifference) -> list[Part]:
    named = [
        ("Metrics of the source runs", found.metrics),
        ("Params", found.params),
        ("Data", found.data),
        ("Signature: inputs", found.inputs),
        ("Signature: outputs", found.outputs),
        ("Card", found.card),
        ("Environment and code", found.environment),
        ("Files", found.files),
        ("About the version", found.facts),
    ]
    parts = [Part(title, [row for row in rows if not row.same], [row for row in rows if row.same]) for title, rows in named]
    # What differs is what one came for.
    return sorted((part for part in parts if part.changed or part.equal), key=lambda part: not part.changed)


routes: list[Any] = [diff_page]
