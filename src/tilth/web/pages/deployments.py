"""Deployments: what they serve, whether every model server acknowledged it, and latency against the budget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.errors import Invalid
from tilth.core.names import check_slug
from tilth.domains.models import queries as models
from tilth.domains.models.types import UnknownModel, UnknownVersion
from tilth.domains.serving import actions, queries
from tilth.domains.serving.api.deployments import surroundings
from tilth.domains.serving.queries.ab_tests import running_ab_test
from tilth.domains.serving.queries.rollouts import rollout_under_way
from tilth.domains.serving.rules.liveness import merge, percentile_ms
from tilth.domains.serving.rules.running import how_it_runs
from tilth.domains.serving.rules.splits import before_this
from tilth.domains.serving.types import WHOLE, Generation
from tilth.guard import AccessTo, Permission, ProjectRef, get, post
from tilth.web import charts
from tilth.web.commands import shown_command
from tilth.web.formatting import of_total, percent
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import PAGE_ROWS, Asked, back, curl, may, project_url, read_form, read_offset, shell, with_query
from tilth.web.render import page
from tilth.web.version_lines import version_lines
from tilth.wire.plane import LATENCY_BOUNDS_US, WorkerStatus
from tilth.wire.serving import DeploymentDetail, DeploymentView
from tilth.wire.signature import Column

BUDGET_MS = 20
"""What a page calls slow: the 99th percentile that a deployment of a small model must stay under."""


@get("/p/{project:str}/deployments", permission=Permission.DEPLOYMENT_READ)
async def deployments_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, offset = access.project, read_offset(request)
    around = await surroundings(request, access)
    found = await access.read(lambda tx: queries.deployment_page(tx, around, limit=PAGE_ROWS, offset=offset))
    base, end = project_url(project.name, "deployments"), offset + len(found.deployments)
    gone = await access.read(lambda tx: _gone(tx, request, project))
    return page(
        "deployments.html",
        await shell(request, access, "deployments", [("Deployments", "")]),
        base=base,
        models_url=project_url(project.name, "models"),
        deployments=found.deployments,
        budget_ms=BUDGET_MS,
        gone=gone,
        may_change=may(access, Permission.DEPLOYMENT_CHANGE),
        deploy_command=shown_command("tilth", "deploy", "my-model@champion", "--project", project.name, "--wait"),
        shown_text=of_total(end, found.total),
        next_url=with_query(base, **{"from": end}) if end < found.total else None,
        snippets=[
            ("CLI", f"tilth deployment list --project {project.name} --json"),
            ("curl", curl(f"/api/v1/p/{project.name}/deployments")),
        ],
    )


@get("/p/{project:str}/deployments/{name:str}", permission=Permission.DEPLOYMENT_READ)
async def deployment_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    project, around = access.project, await surroundings(request, access)

    def ask(tx: Tx) -> tuple[DeploymentDetail, tuple[Column, ...], UnderWay | None, Generation | None]:
        detail = queries.deployment_detail(tx, around, name)
        present = queries.deployment_by_name(tx, project.id, name)
        earlier = before_this(queries.generations_of(tx, project.id, present.id), present.routes)
        return detail, _inputs(tx, project.id, detail.deployment), _under_way(tx, project, detail.deployment), earlier

    detail, inputs, under_way, earlier = await access.read(ask)
    found = detail.deployment
    chart, note = latency_chart(found.id, around.workers)
    row = _example_row(inputs)
    example = _example(found.url, row)
    return page(
        "deployment.html",
        await shell(request, access, "deployments", [("Deployments", project_url(project.name, "deployments")), (name, "")]),
        base=project_url(project.name, "deployments", name),
        tabs=deployment_tabs(access, name, "state"),
        model_url=project_url(project.name, "models", found.model),
        d=found,
        runs=how_it_runs(found.settings),
        versions=version_lines(found, around.workers),
        under_way=under_way,
        earlier=earlier,
        earlier_serves=_shares(earlier) if earlier is not None else "",
        generations=detail.generations,
        budget_ms=BUDGET_MS,
        chart=chart,
        chart_note=note,
        example_curl=example,
        may_change=may(access, Permission.DEPLOYMENT_CHANGE),
        snippets=[
            ("CLI", shown_command("tilth", "predict", name, "--project", project.name, "--json-rows", _json([row]))),
            ("Python", f"import tilth\n\ntilth.init(project={project.name!r})\nprint(tilth.predict({name!r}, [{row!r}]))"),
            ("curl", example),
            ("State", curl(project_url(project.name, "deployments", name).replace("/p/", "/api/v1/p/", 1))),
        ],
    )


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What holds the deployment just now, so that it cannot be changed by hand. url: the page that steers it."""

    words: str
    url: str


def _under_way(tx: Tx, project: ProjectRef, found: DeploymentView) -> UnderWay | None:
    base = project_url(project.name, "deployments", found.name)
    rollout = rollout_under_way(tx, project.id, found.id)
    if rollout is not None:
        step = rollout.plan.steps[rollout.step].percent
        return UnderWay(f"A rollout of v{rollout.candidate} is under way, at {step:g} %.", f"{base}/rollouts/{rollout.id}")
    test = running_ab_test(tx, project.id, found.id)
    return UnderWay(f"A/B test {test.number} is running.", f"{base}/ab/{test.number}") if test is not None else None


def _shares(generation: Generation) -> str:
    """`v2`, or `v2 95 % and v3 5 %`."""
    if len(generation.routes) == 1:
        return f"v{generation.version}"
    return " and ".join(f"v{route.version} {percent(route.weight / WHOLE)}" for route in generation.routes)


def latency_chart(deployment_id: str, workers: Sequence[WorkerStatus]) -> tuple[Markup, str]:
    """Requests of the last minute, or of all time where the last minute had none; and which of them it shows."""
    known = [status for worker in workers for status in worker.deployments if status.id == deployment_id]
    buckets, note = merge([status.window_buckets for status in known]), "the last minute"
    if not sum(buckets):
        buckets, note = merge([status.latency_buckets for status in known]), "since the model servers started"
    marks = {name: percentile_ms(buckets, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    found = {name: value * 1000 for name, value in marks.items() if value is not None}
    return charts.latency_bars(buckets, LATENCY_BOUNDS_US, BUDGET_MS * 1000, found), note


def _inputs(tx: Tx, project_id: str, found: DeploymentView) -> tuple[Column, ...]:
    try:
        logged = models.version_detail(tx, project_id, found.model, found.version).logged_model
    except (UnknownModel, UnknownVersion):
        return ()
    return logged.document.signature.inputs if logged is not None and logged.document is not None else ()


def _example_row(inputs: tuple[Column, ...]) -> dict[str, str | float | int | bool]:
    """What the model takes: a value of the right type in every column."""
    return {column.name: _value(column) for column in inputs} or {"column": 1.0}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _example(url: str, row: Mapping[str, object]) -> str:
    body = _json({"dataframe_records": [row]}).replace("'", "'\\''")
    return f'curl -X POST "{url}" \\\n  -H "Authorization: Bearer $TILTH_TOKEN" -H "Content-Type: application/json" \\\n  -d \'{body}\''


def _value(column: Column) -> str | float | int | bool:
    if column.type == "string":
        return column.categories[0] if column.categories else "text"
    return {"double": 0.5, "long": 1, "boolean": True}[column.type]


@post("/p/{project:str}/models/{name:str}/versions/{version:int}/deploy", permission=Permission.DEPLOYMENT_CHANGE)
async def deploy(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    """Deploys this version, or lets the deployment follow one of its aliases."""
    form = await read_form(request)
    target, alias = form.text("deployment"), form.text("follow")

    def change(tx: Tx) -> None:
        actions.deploy(
            tx, access.actor, access.project.id, target, model=name, version=None if alias else version, alias=alias or None
        )

    await access.write(change)
    return back(project_url(access.project.name, "deployments", target), "deploying")


@post("/p/{project:str}/deployments/{name:str}/rollback", permission=Permission.DEPLOYMENT_CHANGE)
async def rollback(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    """The form names the generation: what its button promised, whatever was deployed since the page was opened."""
    to = int((await read_form(request)).number("generation"))
    await access.write(lambda tx: actions.rollback(tx, access.actor, access.project.id, name, to_generation=to))
    return back(project_url(access.project.name, "deployments", name), "deploying")


@post("/p/{project:str}/deployments/{name:str}/delete", permission=Permission.DEPLOYMENT_CHANGE)
async def undeploy(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    around = await surroundings(request, access)

    def take_down(tx: Tx) -> DeploymentView:
        found = queries.deployment_one(tx, around, name)
        actions.undeploy(tx, access.actor, access.project.id, name)
        return found

    was = await access.write(take_down)
    base = project_url(access.project.name, "deployments")
    return back(with_query(base, gone=was.name, model=was.model, version=was.version, alias=was.alias))


@dataclass(frozen=True, slots=True)
class Gone:
    """A deployment that was just taken down, and what brings it back: a form sent to `url`, or the command."""

    name: str
    reference: str
    alias: str
    url: str
    command: str


def _gone(tx: Tx, request: Asked, project: ProjectRef) -> Gone | None:
    """Of the address that `undeploy` leads to. None unless the version is there and the name is free, so no link can say what is not so."""
    asked = request.query_params
    name, model, version = asked.get("gone", ""), asked.get("model", ""), asked.get("version", "")
    if not (name and version.isascii() and version.isdigit() and len(version) < 8):
        return None
    try:
        if queries.deployment_or_none(tx, project.id, check_slug(name, "deployment")) is not None:
            return None
        known = models.version_detail(tx, project.id, model, int(version)).version
    except (Invalid, UnknownModel, UnknownVersion):
        return None
    alias = asked.get("alias", "") if asked.get("alias", "") in known.aliases else ""
    reference = f"{known.model}@{alias}" if alias else f"{known.model}/{known.version}"
    url = project_url(project.name, "models", known.model, "versions", known.version, "deploy")
    return Gone(
        name, reference, alias, url, shown_command("tilth", "deploy", reference, "--name", name, "--project", project.name)
    )


routes: list[Any] = [deployments_page, deployment_page, deploy, rollback, undeploy]
