"""Registered models, their versions, aliases and cards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.domains.models import actions, queries
from tilth.domains.models.queries.things import thing_of_model, thing_of_version
from tilth.domains.models.rules.card import HUMAN_FIELDS
from tilth.domains.serving import queries as serving
from tilth.domains.tracking import queries as tracking
from tilth.guard import AccessTo, Permission, get, post
from tilth.web.commands import shown_command
from tilth.web.first_steps import first_model
from tilth.web.formatting import bar_width, number, of_total
from tilth.web.metric_names import ranked
from tilth.web.pages.comments import comments_part
from tilth.web.pages.deployments import surroundings
from tilth.web.pages.frame import PAGE_ROWS, Asked, back, curl, may, project_url, read_form, read_offset, shell, with_query
from tilth.web.pages.runs import Tile
from tilth.web.render import page
from tilth.web.run_table import Cell
from tilth.wire.registry import ModelDetail, VersionDetail, VersionView
from tilth.wire.tracking import RunInfo

SHOWN_METRICS = 3


@dataclass(frozen=True, slots=True)
class VersionLine:
    version: VersionView
    cells: list[Cell]
    run_name: str


@get("/p/{project:str}/models", permission=Permission.MODEL_READ)
async def models_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, offset = access.project, read_offset(request)
    found = await access.read(lambda tx: queries.models_page(tx, project.id, limit=PAGE_ROWS, offset=offset))
    base, end = project_url(project.name, "models"), offset + len(found.models)
    return page(
        "models.html",
        await shell(request, access, "models", [("Models", "")]),
        base=base,
        models=found.models,
        first_model=first_model(project.name).command,
        shown_text=of_total(end, found.total),
        next_url=with_query(base, **{"from": end}) if end < found.total else None,
        snippets=[
            ("CLI", f"tilth model list --project {project.name} --json"),
            ("curl", curl(f"/api/v1/p/{project.name}/models")),
        ],
    )


@get("/p/{project:str}/models/{name:str}", permission=Permission.MODEL_READ)
async def model_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    project, offset = access.project, read_offset(request)

    def ask(tx: Tx) -> tuple[ModelDetail, dict[str, dict[str, float]], dict[str, RunInfo]]:
        detail = queries.model_detail(tx, project.id, name, limit=PAGE_ROWS, offset=offset)
        run_ids = [version.run_id for version in detail.versions if version.run_id]
        runs = [tracking.run_info(tx, project.id, run_id) for run_id in dict.fromkeys(run_ids)]
        return detail, tracking.latest_metrics(tx, project.id, run_ids), {run.id: run for run in runs if run is not None}

    detail, metrics, runs = await access.read(ask)
    base, end = project_url(project.name, "models", name), offset + len(detail.versions)
    keys = ranked(sorted({key for values in metrics.values() for key in values}))[:SHOWN_METRICS]
    return page(
        "model.html",
        await shell(request, access, "models", [("Models", project_url(project.name, "models")), (name, "")]),
        base=base,
        comments=await comments_part(access, await access.read(lambda tx: thing_of_model(tx, project.id, name)), base),
        model=detail.model,
        metric_keys=keys,
        versions=_lines(detail.versions, keys, metrics, runs),
        total_text=of_total(end, detail.versions_total),
        next_url=with_query(base, **{"from": end}) if end < detail.versions_total else None,
        runs_url=project_url(project.name, "runs"),
        may_write=may(access, Permission.MODEL_WRITE),
        snippets=[
            ("CLI", shown_command("tilth", "model", "show", name, "--project", project.name, "--json")),
            ("curl", curl(f"{project_url(project.name, 'models', name).replace('/p/', '/api/v1/p/', 1)}")),
        ],
    )


def _lines(
    versions: list[VersionView], keys: list[str], metrics: dict[str, dict[str, float]], runs: dict[str, RunInfo]
) -> list[VersionLine]:
    found = []
    for version in versions:
        values = metrics.get(version.run_id or "", {})
        run = runs.get(version.run_id or "")
        cells = []
        for place, key in enumerate(keys):
            column = [metrics[v.run_id][key] for v in versions if v.run_id in metrics and key in metrics[v.run_id]]
            barred = f" bar w{bar_width(values.get(key), min(column), max(column))}" if place == 0 and len(column) > 1 else ""
            cells.append(Cell(number(values.get(key)), f"num{barred}"))
        found.append(VersionLine(version, cells, run.name if run is not None else "–"))
    return found


@post("/p/{project:str}/models/{name:str}/description", permission=Permission.MODEL_WRITE)
async def describe_model(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    text = (await read_form(request)).text("description")
    await access.write(lambda tx: actions.change_model(tx, access.actor, access.project.id, name, description=text))
    return back(project_url(access.project.name, "models", name), "saved")


@get("/p/{project:str}/models/{name:str}/versions/{version:int}", permission=Permission.MODEL_READ)
async def version_page(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Response[str]:
    project = access.project

    around = await surroundings(request, access)

    def ask(tx: Tx) -> tuple[VersionDetail, RunInfo | None, dict[str, float], list[str]]:
        detail = queries.version_detail(tx, project.id, name, version)
        run_id = detail.version.run_id
        run = tracking.run_info(tx, project.id, run_id) if run_id else None
        values = tracking.latest_metrics(tx, project.id, [run_id]).get(run_id, {}) if run_id else {}
        served = [found.name for found in serving.deployments_of_model(tx, around, name) if found.version == version]
        return detail, run, values, served

    detail, run, metrics, served_by = await access.read(ask)
    v, model_url = detail.version, project_url(project.name, "models", name)
    base, thing = f"{model_url}/versions/{version}", await access.read(lambda tx: thing_of_version(tx, project.id, name, version))
    crumbs = [("Models", project_url(project.name, "models")), (name, model_url), (f"v{version}", "")]
    document = detail.logged_model.document if detail.logged_model is not None else None
    return page(
        "version.html",
        await shell(request, access, "models", crumbs),
        base=base,
        comments=await comments_part(access, thing, base),
        v=v,
        card=detail.card,
        warnings=list(dict.fromkeys([*v.warnings, *detail.card.warnings])),
        signature=document.signature if document is not None else None,
        files=detail.logged_model.files if detail.logged_model is not None else [],
        served_by=served_by,
        deployments_url=project_url(project.name, "deployments"),
        moves=detail.alias_moves,
        tiles=[Tile(key, number(metrics[key]), "in the source run") for key in ranked(list(metrics))[:4]],
        run_name=run.name if run is not None else "",
        runs_url=project_url(project.name, "runs"),
        deployment_name=name.lower(),
        may_write=may(access, Permission.MODEL_WRITE),
        may_alias=may(access, Permission.ALIAS_SET),
        may_deploy=may(access, Permission.DEPLOYMENT_CHANGE),
        snippets=_snippets(project.name, v),
    )


def _snippets(project: str, v: VersionView) -> list[tuple[str, str]]:
    reference = f"{v.model}@{v.aliases[0]}" if v.aliases else f"{v.model}/{v.version}"
    path = project_url(project, "models", v.model, "versions", v.version).replace("/p/", "/api/v1/p/", 1)
    python = f"import tilth\n\ntilth.init(project={project!r})\nmodel = tilth.load_model({reference!r})"
    mlflow = f"import mlflow\n\nmodel = mlflow.pyfunc.load_model({json.dumps(f'models:/{v.model}/{v.version}')})"
    return [
        ("CLI", shown_command("tilth", "deploy", reference, "--project", project, "--wait")),
        ("Python", python),
        ("MLflow", f"# where MLFLOW_TRACKING_URI is set, as `tilth env` prints it\n{mlflow}"),
        ("curl", curl(path)),
    ]


@post("/p/{project:str}/models/{name:str}/versions/{version:int}/card", permission=Permission.MODEL_WRITE)
async def fill_card(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    form = await read_form(request)
    fields: dict[str, str | None] = {key: form.text(key) or None for key in HUMAN_FIELDS if form.has(key)}
    await access.write(lambda tx: actions.fill_card(tx, access.actor, access.project.id, name, version, fields))
    return back(project_url(access.project.name, "models", name, "versions", version), "saved")


@post("/p/{project:str}/models/{name:str}/versions/{version:int}/aliases", permission=Permission.ALIAS_SET)
async def set_alias(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    form = await read_form(request)
    alias, remove = form.text("alias"), form.has("remove")

    def change(tx: Tx) -> None:
        if remove:
            actions.remove_alias(tx, access.actor, access.project.id, name, alias)
        else:
            actions.set_alias(tx, access.actor, access.project.id, name, alias, version)

    await access.write(change)
    return back(project_url(access.project.name, "models", name, "versions", version), "removed" if remove else "alias")


routes: list[Any] = [models_page, model_page, describe_model, version_page, fill_card, set_alias]
