"""Kept predictions of a deployment: the newest ones, and everything that is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from litestar.params import FromPath

from tilth.backends.sql import Tx
from tilth.domains.models import queries as models
from tilth.domains.models.types import UnknownModel, UnknownVersion
from tilth.domains.serving import queries
from tilth.domains.serving.api.predictions import READER
from tilth.domains.serving.jobs.trial import ModelServerAway, TrialDesk
from tilth.domains.serving.queries.labels import label_history
from tilth.domains.serving.types import Deployment
from tilth.guard import Access, AccessTo, Permission, get
from tilth.web.commands import shown_command
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import Asked, curl, may, project_url, read_whole, shell, with_query
from tilth.web.pages.try_it import TRIALS
from tilth.web.reasons import Reasons, reasons_of
from tilth.web.render import page
from tilth.wire.labels import LabelVersion
from tilth.wire.prediction_tables import PredictionDetail, PredictionPage, PredictionRow

BASE = "/p/{project:str}/deployments/{name:str}/predictions"
ROWS = 50
SHOWN_INPUTS = 6
"""Columns of inputs in the list; the page of one prediction has all."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a prediction with its labels, the newest first, and what shadows said to the same row."""

    row: PredictionRow
    labels: Sequence[LabelVersion]
    shadows: Sequence[PredictionRow]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an answer comes from. An empty text where it is not known any more."""

    run_id: str


@get(BASE, permission=Permission.PREDICTION_READ)
async def predictions_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    found = await access.read(lambda tx: queries.deployment_by_name(tx, access.project.id, name))
    project, base = access.project.name, project_url(access.project.name, "deployments", name, "predictions")
    version, token = read_whole(request, "version", 0), request.query_params.get("after", "")
    kept: PredictionPage = await request.app.state[READER].page(
        found, 0, 1 << 53, versions=[version] if version else None, limit=ROWS, token=token
    )
    rows = kept.predictions
    inputs = list(dict.fromkeys(key for row in rows for key in row.inputs))
    return page(
        "predictions.html",
        await shell(request, access, "deployments", _crumbs(project, name, ("Predictions", ""))),
        base=base,
        tabs=deployment_tabs(access, name, "predictions"),
        deployment_url=project_url(project, "deployments", name),
        model_base=project_url(project, "models"),
        d=found,
        rows=rows,
        inputs=inputs[:SHOWN_INPUTS],
        more_inputs=max(0, len(inputs) - SHOWN_INPUTS),
        outputs=list(dict.fromkeys(key for row in rows for key in row.outputs)),
        only=version,
        versions=sorted({route.version for route in found.routes} | ({version} if version else set()), reverse=True),
        later=bool(token),
        next_url=with_query(base, version=version or None, after=kept.next_page_token) if kept.next_page_token else None,
        labelled=any(row.label is not None for row in rows),
        sampled=any(row.sample_weight != 1 for row in rows),
        snippets=_list_snippets(project, name),
        short=_short,
    )


@get(BASE + "/{prediction_id:str}", permission=Permission.PREDICTION_READ)
async def prediction_page(
    request: Asked, access: AccessTo[None], name: FromPath[str], prediction_id: FromPath[str]
) -> Response[str]:
    """A prediction that is not kept yet, or not any more, is a page that looks again by itself, and says so."""
    found = await access.read(lambda tx: queries.deployment_by_name(tx, access.project.id, name))
    detail: PredictionDetail | None = await request.app.state[READER].one(found, prediction_id)
    project = access.project.name
    base = project_url(project, "deployments", name, "predictions")
    lines, lineage = await access.read(lambda tx: _known(tx, access, found, detail))
    return page(
        "prediction.html",
        await shell(request, access, "deployments", _crumbs(project, name, ("Predictions", base), (prediction_id[:12], ""))),
        base=base,
        tabs=deployment_tabs(access, name, "predictions"),
        deployment_url=project_url(project, "deployments", name),
        model_base=project_url(project, "models"),
        runs_url=project_url(project, "runs"),
        d=found,
        id=prediction_id[:80],
        detail=detail,
        lines=lines,
        lineage=lineage,
        reasons=await _reasons(request, access, found, detail),
        may_label=may(access, Permission.LABEL_WRITE),
        label_command=shown_command("tilth", "labels", "log", name, "labels.csv", "--project", project),
        snippets=[
            ("CLI", shown_command("tilth", "predictions", "show", name, prediction_id, "--project", project)),
            ("curl", curl(f"/api/v1/p/{project}/deployments/{name}/predictions/{prediction_id}")),
        ],
        short=_short,
    )


async def _reasons(request: Asked, access: Access[Any], found: Deployment, detail: PredictionDetail | None) -> Reasons | None:
    """Of the first row, where the page was asked for them."""
    if detail is None or not request.query_params.get("reasons"):
        return None
    desk: TrialDesk = request.app.state[TRIALS]
    row = detail.rows[0]
    body = msgspec.json.encode({"dataframe_records": [row.inputs]})
    try:
        who = f"page:{access.principal.actor.name}"
        return reasons_of(await desk.explain(access.project.name, found.name, row.version, body, who), row.inputs)
    except ModelServerAway as away:
        return Reasons(error=str(away))


def _known(
    tx: Tx, access: Access[Any], found: Deployment, detail: PredictionDetail | None
) -> tuple[list[Line], dict[int, Lineage]]:
    if detail is None:
        return [], {}
    project_id = access.project.id
    lines = [
        Line(
            row,
            label_history(tx, project_id, found.id, row.prediction_id, row.row),
            [shadow for shadow in detail.shadows if shadow.row == row.row],
        )
        for row in detail.rows[:ROWS]
    ]
    first = detail.rows[0]
    return lines, {first.version: _lineage(tx, project_id, first)}


def _lineage(tx: Tx, project_id: str, row: PredictionRow) -> Lineage:
    try:
        version = models.version_detail(tx, project_id, row.model, row.version).version
    except (UnknownModel, UnknownVersion):
        return Lineage("")
    return Lineage(version.run_id or "")


def _crumbs(project: str, name: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        ("Deployments", project_url(project, "deployments")),
        (name, project_url(project, "deployments", name)),
        *more,
    ]


def _list_snippets(project: str, name: str) -> list[tuple[str, str]]:
    python = f"import tilth\n\ntilth.init(project={project!r})\nframe = tilth.predictions({name!r})\nprint(frame.head())"
    return [
        ("Python", python),
        ("CLI", shown_command("tilth", "predictions", "list", name, "--project", project)),
        ("curl", curl(f"/api/v1/p/{project}/deployments/{name}/predictions")),
    ]


def _short(value: Any) -> str:
    """A value of an input or output in one cell."""
    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case str() | int():
            return str(value)
        case Mapping() | Sequence():
            return msgspec.json.encode(value).decode()[:200]
        case _:
            return str(value)[:200]


routes: list[Any] = [predictions_page, prediction_page]
