"""Rollouts of a deployment: the steps, what was measured against which limit, each verdict, and the buttons that steer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.models import queries as models
from tilth.domains.serving import queries
from tilth.domains.serving.actions import rollouts as actions
from tilth.domains.serving.api.deployments import read_statuses
from tilth.domains.serving.queries import rollout_pages
from tilth.domains.serving.types import UnknownRollout
from tilth.guard import Access, AccessTo, Permission, get, post
from tilth.web.commands import shown_command
from tilth.web.formatting import age, milliseconds, percent
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import Asked, Form, NotANumber, back, curl, may, project_url, read_form, shell
from tilth.web.render import page
from tilth.web.score_charts import limit_bar, score_bars
from tilth.wire.rollout_text import span_text, steps_of
from tilth.wire.rollouts import Evidence, Finding, Guardrails, RolloutDetail, RolloutView, StartRollout, StepView

BASE = "/p/{project:str}/deployments/{name:str}/rollouts"
SHOWN_BEFORE = 20
MOST_VERSIONS = 50
NAMES = {
    "error_rate": "Error rate",
    "error_rate_rise": "Errors above champion",
    "refused_rate_rise": "Refusals above champion",
    "p99_ms": "p99 latency",
    "p99_ratio": "p99 beside champion",
    "score_psi": "Score shift (PSI)",
}
WORDS = {"ok": "holds", "waiting": "too little seen", "unclear": "unclear", "broken": "broken", "idle": "not judged"}
TONES = {"ok": "ok", "waiting": "", "unclear": "warn", "broken": "bad", "idle": ""}
STATES = {"running": "run", "paused": "warn", "finished": "ok", "rolled_back": "bad", "cancelled": ""}
KINDS = {"advance": "ok", "finish": "ok", "roll_back": "bad", "hold": "", "pause": "warn"}
LIVES = {"passed": "done", "current": "now", "waiting": "", "stopped": "bad"}


@dataclass(frozen=True, slots=True)
class Rail:
    """A guardrail as a row: texts in its own unit, and a bar where there is a value and a limit."""

    name: str
    state: str
    tone: str
    value: str
    champion: str
    limit: str
    words: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Stop:
    """A step on the track."""

    css: str
    title: str
    note: str


@get(BASE, permission=Permission.DEPLOYMENT_READ)
async def rollouts_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    """The newest rollout, or how to begin the first one."""
    return await _page(request, access, name, "latest")


@get(BASE + "/{rollout:str}", permission=Permission.DEPLOYMENT_READ)
async def rollout_page(request: Asked, access: AccessTo[None], name: FromPath[str], rollout: FromPath[str]) -> Response[str]:
    return await _page(request, access, name, rollout)


async def _page(request: Asked, access: Access[Any], name: str, which: str) -> Response[str]:
    project = access.project

    def look(tx: Tx) -> tuple[Any, RolloutDetail | None, list[RolloutView], str, list[int]]:
        found = queries.deployment_by_name(tx, project.id, name)
        listed = rollout_pages.rollout_page(tx, project.id, name, limit=SHOWN_BEFORE).rollouts
        try:
            detail = rollout_pages.rollout_detail(tx, project.id, name, which)
        except UnknownRollout:
            if listed:
                raise
            detail = None
        model = models.model_by_id(tx, project.id, found.model_id).name
        versions = [known.version for known in models.model_detail(tx, project.id, model, limit=MOST_VERSIONS).versions]
        return found, detail, listed, model, [version for version in versions if version != found.version]

    found, detail, listed, model, versions = await access.read(look)
    base = project_url(project.name, "deployments", name)
    scores = _compared(detail) if detail else None
    under_way = bool(listed) and listed[0].ended is None
    return page(
        "rollout.html",
        await shell(
            request,
            access,
            "deployments",
            [("Deployments", project_url(project.name, "deployments")), (name, base), ("Rollouts", "")],
        ),
        tabs=deployment_tabs(access, name, "rollouts"),
        base=base,
        here=f"{base}/rollouts/{detail.rollout.id}" if detail else f"{base}/rollouts",
        d=found,
        model=model,
        model_url=project_url(project.name, "models", model),
        r=detail.rollout if detail else None,
        tone=STATES.get(detail.rollout.state, "") if detail else "",
        kinds=KINDS,
        states=STATES,
        verdicts=detail.verdicts if detail else [],
        rails=rails_of(detail.rollout.evidence.findings) if detail and detail.rollout.evidence else [],
        stops=[_stop(step, detail.rollout, now()) for step in detail.rollout.steps] if detail else [],
        scores=scores,
        chart=score_bars(scores.bins, f"v{scores.candidate.version}, candidate", f"v{scores.champion.version}, champion")
        if scores
        else "",
        before=[known for known in listed if detail is None or known.id != detail.rollout.id],
        versions=versions,
        defaults=Guardrails(),
        may_change=may(access, Permission.DEPLOYMENT_CHANGE),
        under_way=under_way,
        start_command=shown_command("tilth", "rollout", "start", f"{model}/{versions[0] if versions else 2}", "--name", name),
        snippets=[
            ("CLI", shown_command("tilth", "rollout", "show", name, "--project", project.name)),
            ("curl", curl(f"/api/v1/p/{project.name}/deployments/{name}/rollouts/{which}")),
        ],
    )


def rails_of(findings: Sequence[Finding]) -> list[Rail]:
    return [
        Rail(
            name=NAMES.get(found.guardrail, found.guardrail.removeprefix("label_") + " of labels"),
            state=WORDS[found.state],
            tone=TONES[found.state],
            value=_in_unit(found, found.value),
            champion=_in_unit(found, found.champion),
            limit=_in_unit(found, found.limit),
            words=found.words,
            bar=_bar(found),
        )
        for found in findings
    ]


def _bar(found: Finding) -> Markup:
    # Of a metric more may be better, so a bar from zero to its value would say nothing.
    if found.value is None or found.limit is None or found.unit == "metric":
        return Markup()
    return limit_bar(found.value, found.limit, broken=found.state in ("broken", "unclear"), champion=found.champion)


def _in_unit(found: Finding, value: float | None) -> str:
    if value is None:
        return "–"
    return {"share": percent, "ms": milliseconds}.get(found.unit, "{:.3g}".format)(value)


def _stop(step: StepView, rollout: RolloutView, present: int) -> Stop:
    planned = f"at least {span_text(step.bake_s)}"
    if step.state == "passed" and step.started and step.ended:
        planned = f"held {span_text(round((step.ended - step.started) / 1000))}"
    elif step.state == "current":
        planned = f"live {age(step.live_since, present)}, {planned}" if step.live_since else "being taken up"
    elif step.state == "stopped":
        planned = rollout.state.replace("_", " ")
    elif rollout.ended is not None:
        planned = "not taken"
    return Stop(LIVES[step.state], f"{step.percent:g} %", planned)


def _compared(detail: RolloutDetail) -> Evidence | None:
    """The newest window in which both versions gave scores: at 100 % the champion gives none."""
    known = [detail.rollout.evidence, *(verdict.evidence for verdict in detail.verdicts)]
    return next((seen for seen in known if seen is not None and seen.bins), None)


@post(BASE, permission=Permission.DEPLOYMENT_CHANGE)
async def start_rollout(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    wanted = _wanted(await read_form(request))
    workers = await read_statuses(request)
    made = await access.write(lambda tx: actions.start(tx, access.actor, access.project.id, name, wanted, workers))
    return back(project_url(access.project.name, "deployments", name, "rollouts", made.id), "rolling")


def _wanted(form: Form) -> StartRollout:
    rails = {
        key: form.number(key) if form.text(key) else None
        for key in ("max_error_rate", "max_p99_ms", "max_score_psi")
        if form.has(key)
    }
    if rails.get("max_error_rate") is not None:
        rails["max_error_rate"] = (rails["max_error_rate"] or 0.0) / 100
    body = {
        "version": int(form.number("version")),
        "steps": msgspec.to_builtins(steps_of(form.text("steps"), form.text("bake") or "10m")),
        "min_requests": int(form.number("min_requests", "200")),
        "guardrails": rails,
        "promote_alias": form.has("promote_alias"),
        "note": form.text("note"),
    }
    try:
        return msgspec.convert(body, StartRollout)
    except msgspec.ValidationError as error:
        raise NotANumber(f"this rollout cannot be started: {error}") from None


@post(BASE + "/{rollout:str}/{verb:str}", permission=Permission.DEPLOYMENT_CHANGE)
async def steer_rollout(
    request: Asked, access: AccessTo[None], name: FromPath[str], rollout: FromPath[str], verb: FromPath[str]
) -> Redirect:
    """verb: pause, resume, promote (with the field `to_end`: to the end) or rollback."""
    form, workers = await read_form(request), await read_statuses(request)
    note, to_end = form.text("note"), form.has("to_end")

    def change(tx: Tx) -> None:
        who = (tx, access.actor, access.project.id, name, rollout)
        match verb:
            case "pause":
                actions.pause(*who, note=note)
            case "resume":
                actions.resume(*who, note=note)
            case "promote":
                actions.promote(*who, workers, to_end=to_end, note=note)
            case "rollback":
                actions.roll_back(*who, workers, note=note)
            case _:
                raise UnknownRollout(name, f"{rollout}/{verb}")

    await access.write(change)
    return back(project_url(access.project.name, "deployments", name, "rollouts", rollout), "saved")


routes: list[Any] = [rollouts_page, rollout_page, start_rollout, steer_rollout]
