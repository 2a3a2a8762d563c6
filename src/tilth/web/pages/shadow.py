"""Versions in the shadow of a deployment: how they are doing, and how their answers compare with those that were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.clock import DAY, now
from tilth.core.errors import Invalid
from tilth.domains.models import queries as models
from tilth.domains.serving import actions, queries
from tilth.domains.serving.api.predictions import READER
from tilth.domains.serving.api.shadows import DEFAULT_DAYS, shadow_views
from tilth.domains.serving.types import Deployment
from tilth.guard import AccessTo, Permission, get, post
from tilth.web.commands import shown_command
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import Asked, back, curl, may, project_url, read_form, read_whole, shell
from tilth.web.render import page
from tilth.web.score_charts import score_bars
from tilth.wire.shadows import ShadowReport, ShadowView

BASE = "/p/{project:str}/deployments/{name:str}/shadow"
MOST_VERSIONS = 50
LOOK, ACT = 0.1, 0.25
"""How the population stability index is read in practice."""


class NoVersion(Invalid):
    """The form names no version."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The report in one sentence, with its tone."""

    words: str
    tone: str


@get(BASE, permission=Permission.DEPLOYMENT_READ)
async def shadow_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    """With the report of the version that `version` names, else of the first one in the shadow."""
    project = access.project

    def look(tx: Tx) -> tuple[Deployment, str, list[int]]:
        found = queries.deployment_by_name(tx, project.id, name)
        model = models.model_by_id(tx, project.id, found.model_id).name
        versions = [known.version for known in models.model_detail(tx, project.id, model, limit=MOST_VERSIONS).versions]
        return found, model, versions

    found, model, versions = await access.read(look)
    there = (await shadow_views(request, access, name)).shadows
    chosen = read_whole(request, "version", 0) or (there[0].version if there else 0)
    report = await _report(request, found, chosen) if chosen else None
    serving = {route.version for route in found.routes if route.weight} | {shadow.version for shadow in there}
    free = [version for version in versions if version not in serving]
    base = project_url(project.name, "deployments", name)
    command = shown_command("tilth", "deployment", "shadow", name, str(free[0] if free else 2), "--project", project.name)
    return page(
        "shadow.html",
        await shell(
            request,
            access,
            "deployments",
            [("Deployments", project_url(project.name, "deployments")), (name, base), ("Shadow", "")],
        ),
        tabs=deployment_tabs(access, name, "shadow"),
        base=base,
        here=f"{base}/shadow",
        d=found,
        model=model,
        model_url=project_url(project.name, "models", model),
        shadows=there,
        free=free,
        chosen=chosen,
        report=report,
        a=report.agreement if report else None,
        reading=_reading(report) if report else None,
        chart=_chart(report) if report else None,
        days=DEFAULT_DAYS,
        may_change=may(access, Permission.DEPLOYMENT_CHANGE),
        may_look=may(access, Permission.PREDICTION_READ),
        start_command=command,
        trouble=_trouble(there),
        snippets=[
            ("CLI", shown_command("tilth", "deployment", "shadow-report", name, str(chosen or 2), "--project", project.name)),
            ("curl", curl(f"/api/v1/p/{project.name}/deployments/{name}/shadows/{chosen or 2}/report")),
        ],
    )


@post(BASE, permission=Permission.DEPLOYMENT_CHANGE)
async def change_shadow(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    """Starts the version of the form, or with `stop` ends it."""
    form = await read_form(request)
    text = form.text("version")
    if not text.isdecimal() or len(text) > 9:
        raise NoVersion(f"{text[:40]!r} is no version; write its number")
    change = actions.stop_shadow if form.has("stop") else actions.start_shadow
    await access.write(lambda tx: change(tx, access.actor, access.project.id, name, int(text)))
    return back(f"{project_url(access.project.name, 'deployments', name, 'shadow')}?version={int(text)}", "saved")


async def _report(request: Asked, found: Deployment, version: int) -> ShadowReport:
    moment = now()
    report: ShadowReport = await request.app.state[READER].compare(found, version, moment - DEFAULT_DAYS * DAY, moment + 1)
    return report


def _reading(report: ShadowReport) -> Reading:
    seen = report.agreement
    if not seen.rows:
        return Reading("Nothing to compare yet: no answer of this version is kept.", "")
    alike = f"v{report.version} gave the same answer to {seen.same * 100:.1f} % of {seen.rows:,} rows"
    if seen.same_class is not None:
        alike += f" and the same class to {seen.same_class * 100:.1f} %"
    if seen.stability is None:
        return Reading(f"{alike}.", "")
    if seen.stability >= ACT:
        return Reading(f"{alike}. Its scores shifted a lot (PSI {seen.stability:.2f}): find out why before it answers.", "bad")
    if seen.stability >= LOOK:
        return Reading(f"{alike}. Its scores shifted (PSI {seen.stability:.2f}): look at the rows that differ most.", "warn")
    return Reading(f"{alike}. Its scores lie as before (PSI {seen.stability:.2f}).", "good")


def _chart(report: ShadowReport) -> Any:
    if not report.agreement.bins:
        return None
    return score_bars(report.agreement.bins, f"v{report.version}, in the shadow", "what was answered")


def _trouble(there: list[ShadowView]) -> str:
    """What somebody must know of the process that runs them."""
    if there and there[0].dropped_bytes:
        return f"The shadow was too far behind and left out {there[0].dropped_bytes / 1e6:,.0f} MB of the log."
    return ""


routes: list[Any] = [shadow_page, change_shadow]
