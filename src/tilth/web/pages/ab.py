"""A/B tests of a deployment: the arms, how they differ at every look, what that says, and what to do next."""

from __future__ import annotations

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
from tilth.domains.serving.actions import ab_tests as actions
from tilth.domains.serving.api.ab_tests import MOST, conclude
from tilth.domains.serving.rules.ab_design import OF_THE_ROW
from tilth.domains.serving.rules.ab_statistics import LEAST_UNITS, MISMATCH_P
from tilth.domains.serving.types.ab_tests import UnknownAbTest
from tilth.guard import Access, AccessTo, Permission, get, post
from tilth.web.ab_charts import course
from tilth.web.commands import shown_command
from tilth.web.interval_charts import Interval, interval_bar, interval_columns, span_of
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import Asked, Form, NotANumber, back, curl, may, project_url, read_form, shell
from tilth.web.render import Tone, page
from tilth.wire.ab import AbArm, AbComparison, AbEvidence, AbGoal, AbOutcome, AbRow, AbView, ConcludeAb, CreateAb

BASE = "/p/{project:str}/deployments/{name:str}/ab"
MOST_VERSIONS = 50
STATES: dict[str, Tone] = {"draft": "", "running": "run", "stopped": "warn", "concluded": "ok"}
NOTICES: dict[AbOutcome, str] = {
    "mismatch": "bad", "waiting": "", "better": "good", "worse": "warn", "equivalent": "good", "exhausted": "warn", "open": "",
}  # fmt: skip
SAID: dict[AbOutcome, str] = {
    "mismatch": "The split is wrong.",
    "waiting": "Too early to say.",
    "better": "There is a winner.",
    "worse": "The control is better.",
    "equivalent": "No difference that matters.",
    "exhausted": "The plan is fulfilled without a winner.",
    "open": "No telling yet.",
}


@dataclass(frozen=True, slots=True)
class ArmLine:
    """A row of the table: an arm, and what it shows against the control. verdict: a word and the class of its colour."""

    arm: AbArm
    against: AbComparison | None
    mean_bar: Markup
    difference_bar: Markup
    verdict: tuple[str, Tone]


@get(BASE, permission=Permission.DEPLOYMENT_READ)
async def ab_tests_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    """The newest test, or how to begin the first one."""
    return await _page(request, access, name, None)


@get(BASE + "/{number:int}", permission=Permission.DEPLOYMENT_READ)
async def ab_test_page(request: Asked, access: AccessTo[None], name: FromPath[str], number: FromPath[int]) -> Response[str]:
    if not 0 < number < MOST:
        raise UnknownAbTest(name, number)
    return await _page(request, access, name, number)


async def _page(request: Asked, access: Access[Any], name: str, number: int | None) -> Response[str]:
    project = access.project

    def look(tx: Tx) -> tuple[str, int, list[AbRow], AbView | None, list[int]]:
        found = queries.deployment_by_name(tx, project.id, name)
        listed = queries.ab_test_rows(tx, project.id, name)
        which = number or (listed[0].number if listed else None)
        test = queries.ab_test_detail(tx, project.id, name, which, now()) if which is not None else None
        model = models.model_by_id(tx, project.id, found.model_id).name
        versions = [known.version for known in models.model_detail(tx, project.id, model, limit=MOST_VERSIONS).versions]
        return model, found.version, listed, test, versions

    model, served, listed, test, versions = await access.read(look)
    base = project_url(project.name, "deployments", name)
    evidence = test.evidence if test is not None else None
    return page(
        "ab.html",
        await shell(
            request, access, "deployments", [("Deployments", project_url(project.name, "deployments")), (name, base), ("A/B", "")]
        ),
        tabs=deployment_tabs(access, name, "ab"),
        name=name,
        base=base,
        here=f"{base}/ab/{test.number}" if test is not None else f"{base}/ab",
        model=model,
        model_url=project_url(project.name, "models", model),
        t=test,
        e=evidence,
        tone=STATES[test.state] if test is not None else "",
        states=STATES,
        notice=NOTICES[evidence.verdict.outcome] if evidence is not None else "",
        said=SAID[evidence.verdict.outcome] if evidence is not None else "",
        arms=arm_lines(evidence, test.goal) if evidence is not None and test is not None else [],
        means=_means(evidence) if evidence is not None else None,
        course=course(evidence.path, test.effect) if evidence is not None and test is not None and evidence.path else None,
        least_units=LEAST_UNITS,
        mismatch=evidence is not None and evidence.mismatch_p < MISMATCH_P,
        per_row=OF_THE_ROW,
        before=[known for known in listed if test is None or known.number != test.number],
        served=served,
        versions=[version for version in versions if version != served],
        may_change=may(access, Permission.DEPLOYMENT_CHANGE),
        create_command=shown_command(
            "tilth", "ab", "create", name, "--arm", f"{served}=50", "--arm", f"{versions[0] if versions else 2}=50", "--effect", "0.02",
            "--baseline", "0.3", "--start",
        ),
        snippets=[
            ("CLI", shown_command("tilth", "ab", "show", name, str(test.number if test else 1), "--project", project.name)),
            ("curl", curl(f"/api/v1/p/{project.name}/deployments/{name}/ab{f'/{test.number}' if test else ''}")),
        ],
    )  # fmt: skip


def arm_lines(evidence: AbEvidence, goal: AbGoal) -> list[ArmLine]:
    """goal: which side of no difference is the good one."""
    against = {each.version: each for each in evidence.comparisons}
    means = {arm.version: _mean_of(arm) for arm in evidence.arms}
    differences = {each.version: _difference_of(each) for each in evidence.comparisons}
    mean_span = span_of([mean for mean in means.values() if mean])
    span = span_of([each for each in differences.values() if each], 0.0)
    return [
        ArmLine(
            arm=arm,
            against=against.get(arm.version),
            mean_bar=interval_bar(mean, mean_span) if (mean := means[arm.version]) else Markup(),
            difference_bar=interval_bar(each, span, limit=0.0) if (each := differences.get(arm.version)) else Markup(),
            verdict=_word(against.get(arm.version)),
        )
        for arm in evidence.arms
    ]


def _mean_of(arm: AbArm) -> Interval | None:
    return None if arm.mean is None else Interval(f"v{arm.version}", arm.mean, arm.low, arm.high, "f1" if arm.control else "f2")


def _difference_of(each: AbComparison) -> Interval | None:
    if each.difference is None or each.low is None:
        return None
    return Interval(f"v{each.version} less the control", each.difference, each.low, each.high, "f2")


def _word(each: AbComparison | None) -> tuple[str, Tone]:
    if each is None:
        return "control", ""
    if each.wins:
        return "better", "ok"
    return ("worse", "bad") if each.loses else ("no telling", "")


def _means(evidence: AbEvidence) -> Markup | None:
    """The mean of each arm, where every one of them has one."""
    drawn = [mean for arm in evidence.arms if (mean := _mean_of(arm)) is not None]
    return interval_columns(drawn, "Mean of each arm with its 95 % interval") if len(drawn) == len(evidence.arms) else None


@post(BASE, permission=Permission.DEPLOYMENT_CHANGE)
async def create_ab_test(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    wanted = _wanted(await read_form(request))

    def change(tx: Tx) -> int:
        made = actions.create(tx, access.actor, access.project.id, name, wanted)
        if wanted.start:
            actions.start(tx, access.actor, access.project.id, name, made.number)
        return made.number

    number = await access.write(change)
    return back(project_url(access.project.name, "deployments", name, "ab", number), "created")


def _wanted(form: Form) -> CreateAb:
    share = form.number("percent")
    body = {
        "arms": [
            {"version": int(form.number("control")), "percent": round(100 - share, 2)},
            {"version": int(form.number("version")), "percent": share},
        ],
        "metric": form.text("metric"),
        "goal": form.text("goal") if form.text("metric") == "label" else None,
        "effect": form.number("effect"),
        "baseline": form.number("baseline") if form.text("baseline") else None,
        "hypothesis": form.text("hypothesis"),
        "start": form.has("start"),
    }
    try:
        return msgspec.convert(body, CreateAb)
    except msgspec.ValidationError as error:
        raise NotANumber(f"this test cannot be made: {error}") from None


@post(BASE + "/{number:int}/{verb:str}", permission=Permission.DEPLOYMENT_CHANGE)
async def steer_ab_test(
    request: Asked, access: AccessTo[None], name: FromPath[str], number: FromPath[int], verb: FromPath[str]
) -> Redirect:
    """verb: start, stop or conclude (with the field `winner`)."""
    form = await read_form(request)
    who = (access.actor, access.project.id, name, number)
    if not 0 < number < MOST:
        raise UnknownAbTest(name, number)
    match verb:
        case "start":
            await access.write(lambda tx: actions.start(tx, *who))
        case "stop":
            await access.write(lambda tx: actions.stop(tx, *who, note=form.text("note")))
        case "conclude":
            await conclude(access, name, number, ConcludeAb(int(form.number("winner")), form.text("note")))
        case _:
            raise UnknownAbTest(name, number)
    return back(project_url(access.project.name, "deployments", name, "ab", number), "saved")


routes: list[Any] = [ab_tests_page, ab_test_page, create_ab_test, steer_ab_test]
