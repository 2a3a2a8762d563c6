"""Registered models, and one model: its versions, how they compare, its gates and what it asks before an alias may move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.errors import Invalid
from tilth.domains.models import actions, queries
from tilth.domains.models.queries.things import thing_of_model
from tilth.domains.models.rules.gates import Threshold, parse_gate
from tilth.domains.tracking import queries as tracking
from tilth.guard import AccessTo, Permission, get, post
from tilth.web.commands import shown_command
from tilth.web.first_steps import first_model
from tilth.web.formatting import bar_width, number, of_total
from tilth.web.interval_charts import Interval, interval_columns
from tilth.web.metric_names import ranked
from tilth.web.pages.comments import comments_part
from tilth.web.pages.frame import PAGE_ROWS, Asked, back, curl, may, project_url, read_form, read_offset, shell, with_query
from tilth.web.render import page
from tilth.web.run_table import Cell
from tilth.wire.evaluations import AddGate, ApprovalState, EvaluationView, GateCheck, GateView, Policy, PolicyView, Verdict
from tilth.wire.registry import AliasMove, ModelDetail, VersionView
from tilth.wire.tracking import RunInfo

SHOWN_METRICS = 3
JUDGED_VERSIONS = 20
"""Gates are asked for so many of the versions on a page."""
DRAWN_VERSIONS = 30
SAME_MOVE_MS = 10_000


@dataclass(frozen=True, slots=True)
class VersionLine:
    """verdicts: what all gates say now, None for versions too far down to be asked for."""

    version: VersionView
    cells: list[Cell]
    run_name: str
    evaluated: EvaluationView | None
    verdicts: list[Verdict] | None
    approval: ApprovalState | None

    @property
    def gates_text(self) -> str:
        if not self.verdicts:
            return "–"
        return f"{sum(each.outcome == 'passed' for each in self.verdicts)} of {len(self.verdicts)}"

    @property
    def gates_tone(self) -> str:
        if not self.verdicts:
            return ""
        outcomes = {each.outcome for each in self.verdicts}
        return "bad" if "failed" in outcomes else "warn" if "unknown" in outcomes else "ok"


@dataclass(frozen=True, slots=True)
class MoveLine:
    """A move of an alias, and the check that let it pass, if gates or an approval had a say."""

    move: AliasMove
    check: GateCheck | None


@dataclass(frozen=True, slots=True)
class _Found:
    detail: ModelDetail
    metrics: dict[str, dict[str, float]]
    runs: dict[str, RunInfo]
    evaluated: dict[int, EvaluationView]
    verdicts: dict[int, list[Verdict]]
    approvals: dict[int, ApprovalState]
    gates: list[GateView]
    policy: PolicyView
    moves: list[MoveLine]


@get("/p/{project:str}/models", permission=Permission.MODEL_READ)
async def models_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, offset = access.project, read_offset(request)
    found = await access.read(lambda tx: queries.models_page(tx, project.id, limit=PAGE_ROWS, offset=offset))
    newest = {model.name: model.newest for model in found.models if model.newest is not None}
    base, end = project_url(project.name, "models"), offset + len(found.models)
    return page(
        "models.html",
        await shell(request, access, "models", [("Models", "")]),
        base=base,
        models=found.models,
        approvals=await access.read(lambda tx: queries.newest_approvals(tx, project.id, newest)),
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
    found = await access.read(lambda tx: _read(tx, project.id, name, offset))
    detail = found.detail
    base, end = project_url(project.name, "models", name), offset + len(detail.versions)
    values = _values(found)
    keys = ranked(sorted({key for each in values.values() for key in each}))[:SHOWN_METRICS]
    return page(
        "model.html",
        await shell(request, access, "models", [("Models", project_url(project.name, "models")), (name, "")]),
        base=base,
        comments=await comments_part(access, await access.read(lambda tx: thing_of_model(tx, project.id, name)), base),
        model=detail.model,
        metric_keys=keys,
        versions=_lines(found, keys, values),
        chart=_chart(found),
        gates=found.gates,
        policy=found.policy,
        moves=found.moves,
        total_text=of_total(end, detail.versions_total),
        next_url=with_query(base, **{"from": end}) if end < detail.versions_total else None,
        runs_url=project_url(project.name, "runs"),
        may_write=may(access, Permission.MODEL_WRITE),
        may_gate=may(access, Permission.GATE_ADD),
        may_relax=may(access, Permission.GATE_RELAX),
        may_delete=may(access, Permission.MODEL_DELETE),
        snippets=[
            ("CLI", shown_command("tilth", "model", "show", name, "--project", project.name, "--json")),
            ("Gate", shown_command("tilth", "gate", "add", name, "auc >= 0.7", "--alias", "champion", "--project", project.name)),
            ("curl", curl(f"{project_url(project.name, 'models', name).replace('/p/', '/api/v1/p/', 1)}")),
        ],
    )


def _read(tx: Tx, project_id: str, name: str, offset: int) -> _Found:
    detail = queries.model_detail(tx, project_id, name, limit=PAGE_ROWS, offset=offset)
    model = queries.model_by_name(tx, project_id, name)
    run_ids = [version.run_id for version in detail.versions if version.run_id]
    numbers = [version.version for version in detail.versions]
    gates = queries.gates_of(tx, model)
    checks = [check for check in queries.checks_of(tx, model, limit=200) if check.cause == "alias"]
    return _Found(
        detail=detail,
        metrics=tracking.latest_metrics(tx, project_id, run_ids),
        runs={run.id: run for run in tracking.run_infos(tx, project_id, run_ids)},
        evaluated=queries.evaluations_of_versions(tx, model, numbers),
        verdicts={number: queries.verdicts_of(tx, model, number) for number in numbers[:JUDGED_VERSIONS]} if gates else {},
        approvals=queries.approval_states(tx, model, numbers),
        gates=gates,
        policy=queries.policy_of(tx, model),
        moves=[MoveLine(move, _check_of(move, checks)) for move in queries.alias_moves(tx, model, 30)],
    )


def _check_of(move: AliasMove, checks: Sequence[GateCheck]) -> GateCheck | None:
    """Both are written in one transaction, the check just before the move."""
    return next(
        (c for c in checks if c.alias == move.alias and c.version == move.version and 0 <= move.moved - c.at < SAME_MOVE_MS), None
    )


def _values(found: _Found) -> dict[int, dict[str, float]]:
    """Figures of each version: of its newest evaluation, else of its source run."""
    values = {}
    for version in found.detail.versions:
        evaluation = found.evaluated.get(version.version)
        measured = {key: each.value for key, each in evaluation.metrics.items()} if evaluation else {}
        values[version.version] = measured or found.metrics.get(version.run_id or "", {})
    return values


def _lines(found: _Found, keys: list[str], values: dict[int, dict[str, float]]) -> list[VersionLine]:
    lines = []
    for version in found.detail.versions:
        run = found.runs.get(version.run_id or "")
        cells = []
        for place, key in enumerate(keys):
            column = [each[key] for each in values.values() if key in each]
            own = values[version.version].get(key)
            barred = f" bar w{bar_width(own, min(column), max(column))}" if place == 0 and len(column) > 1 else ""
            cells.append(Cell(number(own), f"num{barred}"))
        lines.append(
            VersionLine(
                version,
                cells,
                run.name if run is not None else "–",
                found.evaluated.get(version.version),
                found.verdicts.get(version.version) if found.gates else [],
                found.approvals.get(version.version),
            )
        )
    return lines


def _chart(found: _Found) -> tuple[str, Markup] | None:
    """The most telling metric of the newest evaluations, version by version, against the gate that asks for it. None for fewer than two."""
    measured = sorted(found.evaluated.items())[-DRAWN_VERSIONS:]
    keys = ranked(sorted({key for _, each in measured for key in each.metrics}))
    if not keys:
        return None
    aliased = set(found.detail.model.aliases.values())
    points = [
        Interval(f"v{number_}", m.value, m.low, m.high, "f1" if number_ in aliased else "f2")
        for number_, each in measured
        if (m := each.metrics.get(keys[0])) is not None
    ]
    if len(points) < 2:
        return None
    asked = [parse_gate(gate.expression) for gate in found.gates]
    limits = [each.limit for each in asked if isinstance(each, Threshold) and str(each.measure) == keys[0]]
    return keys[0], interval_columns(points, f"{keys[0]} of each version", limit=limits[0] if limits else None)


@post("/p/{project:str}/models/{name:str}/description", permission=Permission.MODEL_WRITE)
async def describe_model(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    text = (await read_form(request)).text("description")
    await access.write(lambda tx: actions.change_model(tx, access.actor, access.project.id, name, description=text))
    return back(project_url(access.project.name, "models", name), "saved")


@post("/p/{project:str}/models/{name:str}/delete", permission=Permission.MODEL_DELETE)
async def delete_model(access: AccessTo[None], name: FromPath[str]) -> Redirect:
    may_loosen = may(access, Permission.GATE_RELAX)
    await access.write(lambda tx: actions.delete_model(tx, access.actor, access.project.id, name, may_loosen=may_loosen))
    return back(project_url(access.project.name, "models"), "trashed")


@post("/p/{project:str}/models/{name:str}/gates", permission=Permission.GATE_ADD)
async def add_gate(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    form = await read_form(request)
    wanted = AddGate(form.text("expression"), form.text("evaluation"), _aliases(form.text("aliases")))
    await access.write(lambda tx: actions.add_gate(tx, access.actor, access.project.id, name, wanted))
    return back(project_url(access.project.name, "models", name), "saved")


@post("/p/{project:str}/models/{name:str}/gates/remove", permission=Permission.GATE_RELAX)
async def remove_gate(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    text = (await read_form(request)).text("number")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise MalformedGateNumber(text)
    await access.write(lambda tx: actions.remove_gate(tx, access.actor, access.project.id, name, int(text)))
    return back(project_url(access.project.name, "models", name), "removed")


@post("/p/{project:str}/models/{name:str}/policy", permission=Permission.GATE_RELAX)
async def set_policy(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    form = await read_form(request)
    policy = Policy(_aliases(form.text("free")), _aliases(form.text("approval")), form.has("separate"))
    await access.write(lambda tx: actions.set_policy(tx, access.actor, access.project.id, name, policy))
    return back(project_url(access.project.name, "models", name), "saved")


class MalformedGateNumber(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:40]!r} is no number of a gate; press Remove beside the gate")


def _aliases(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").replace("@", " ").split() if part]


routes: list[Any] = [models_page, model_page, describe_model, delete_model, add_gate, remove_gate, set_policy]
