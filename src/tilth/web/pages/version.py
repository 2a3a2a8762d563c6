"""One version of a model: where it stands in its life, what was measured, what gates and people say, its card and what it is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.params import FromPath
from markupsafe import Markup

from tilth.backends.sql import Tx
from tilth.core.names import slug_of
from tilth.domains.models import queries
from tilth.domains.models.queries.things import thing_of_version
from tilth.domains.models.rules.gates import parse_gate
from tilth.domains.serving import queries as serving
from tilth.domains.serving.api.deployments import surroundings
from tilth.domains.tracking import queries as tracking
from tilth.guard import AccessTo, Permission, get
from tilth.web.commands import shown_command
from tilth.web.formatting import milliseconds, number
from tilth.web.importances import importance_part, reasons_part
from tilth.web.interval_charts import Interval, interval_bar, span_of
from tilth.web.metric_names import ranked
from tilth.web.pages.comments import comments_part
from tilth.web.pages.frame import Asked, curl, may, project_url, shell
from tilth.web.render import draw, page
from tilth.web.scorings import ScoringLine, scorings_of
from tilth.web.statics import FILES
from tilth.web.tiles import Tile
from tilth.wire.evaluations import EvaluationView, MetricValue, Verdict, VersionLife
from tilth.wire.registry import LoggedModelView, VersionDetail, VersionView
from tilth.wire.tracking import RunInfo

VERSION = "/p/{project:str}/models/{name:str}/versions/{version:int}"
SHOWN_EVALUATIONS = 5
SHOWN_OTHERS = 100


@dataclass(frozen=True, slots=True)
class MetricLine:
    name: str
    measured: MetricValue
    bar: Markup


@dataclass(frozen=True, slots=True)
class SliceLine:
    """low: whether its interval lies wholly below the value over all rows (above, where less is better)."""

    column: str
    value: str
    rows: int
    measured: MetricValue
    bar: Markup


@dataclass(frozen=True, slots=True)
class EvaluationPart:
    """key: the metric that the slices are shown by. more: older evaluations of the same name."""

    evaluation: EvaluationView
    metrics: list[MetricLine]
    key: str
    slices: list[SliceLine]
    more: int


@dataclass(frozen=True, slots=True)
class GateLine:
    verdict: Verdict
    bar: Markup | None


@dataclass(frozen=True, slots=True)
class _Found:
    detail: VersionDetail
    life: VersionLife
    run: RunInfo | None
    metrics: dict[str, float]
    served_by: list[str]
    versions: list[int]
    aliases: dict[str, int]
    scorings: list[ScoringLine]


@get(VERSION, permission=Permission.MODEL_READ)
async def version_page(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Response[str]:
    project, around = access.project, await surroundings(request, access)

    def ask(tx: Tx) -> _Found:
        detail = queries.version_detail(tx, project.id, name, version)
        run_id = detail.version.run_id
        whole = queries.model_detail(tx, project.id, name, limit=SHOWN_OTHERS)
        return _Found(
            detail=detail,
            life=queries.version_life(tx, project.id, name, version),
            run=tracking.run_info(tx, project.id, run_id) if run_id else None,
            metrics=tracking.latest_metrics(tx, project.id, [run_id]).get(run_id, {}) if run_id else {},
            served_by=[found.name for found in serving.deployments_of_model(tx, around, name) if found.version == version],
            versions=[each.version for each in whole.versions if each.version != version],
            aliases=whole.model.aliases,
            scorings=scorings_of(tx, project.id, name, version),
        )

    found = await access.read(ask)
    v, model_url = found.detail.version, project_url(project.name, "models", name)
    base, thing = f"{model_url}/versions/{version}", await access.read(lambda tx: thing_of_version(tx, project.id, name, version))
    crumbs = [("Models", project_url(project.name, "models")), (name, model_url), (f"v{version}", "")]
    logged = found.detail.logged_model
    return page(
        "version.html",
        await shell(request, access, "models", crumbs),
        base=base,
        comments=await comments_part(access, thing, base),
        model_url=model_url,
        v=v,
        card=found.detail.card,
        warnings=list(dict.fromkeys([*v.warnings, *found.detail.card.warnings])),
        signature=logged.document.signature if logged is not None and logged.document is not None else None,
        importance=importance_part(logged.document if logged is not None else None),
        reasons=reasons_part(logged.document if logged is not None else None),
        files=logged.files if logged is not None else [],
        served_by=found.served_by,
        deployments_url=project_url(project.name, "deployments"),
        moves=found.detail.alias_moves,
        scorings=found.scorings,
        life=found.life,
        approval=found.life.approvals[0] if found.life.approvals else None,
        gates=_gate_lines(found.life),
        evaluations=_evaluation_parts(found.life.evaluations),
        evaluate_command=shown_command(
            "tilth", "model", "evaluate", f"{name}/{version}", "held-out.parquet", "--target", "COLUMN", "--project", project.name
        ),
        against=_against(version, found.versions, found.aliases),
        tiles=_tiles(found),
        run_name=found.run.name if found.run is not None else "",
        runs_url=project_url(project.name, "runs"),
        deployment_name=slug_of(name),
        may_write=may(access, Permission.MODEL_WRITE),
        may_alias=may(access, Permission.ALIAS_SET),
        may_relax=may(access, Permission.GATE_RELAX),
        may_delete=may(access, Permission.MODEL_DELETE),
        provenance=logged.provenance if logged is not None else None,
        may_trust=_awaits_trust(logged) and may(access, Permission.MODEL_TRUST),
        may_decide=may(access, Permission.APPROVAL_DECIDE),
        may_deploy=may(access, Permission.DEPLOYMENT_CHANGE),
        snippets=_snippets(project.name, v),
    )


def _awaits_trust(logged: LoggedModelView | None) -> bool:
    """Whether a maintainer's word is all that keeps it from being served."""
    if logged is None or logged.provenance is None or logged.provenance.note or logged.provenance.trusted is not None:
        return False
    return logged.provenance.runs_code or logged.provenance.verdict == "flagged"


def _against(version: int, others: list[int], aliases: dict[str, int]) -> list[tuple[int, str]]:
    """What this version is offered to be compared with: the ones with an alias first, then its neighbours downwards."""
    names = {number_: [alias for alias, at in aliases.items() if at == number_] for number_ in others}
    order = sorted(others, key=lambda other: (not names[other], other > version, -other))
    return [(other, f"v{other}" + "".join(f" @{alias}" for alias in names[other])) for other in order]


def _tiles(found: _Found) -> list[Tile]:
    """Of the newest evaluation where there is one, else of the source run."""
    if not found.life.evaluations:
        return [Tile(key, number(found.metrics[key]), "in the source run") for key in ranked(list(found.metrics))[:4]]
    newest = found.life.evaluations[0]
    tiles = []
    for key in ranked(list(newest.metrics))[:3]:
        measured = newest.metrics[key]
        sure = f"{number(measured.low)} to {number(measured.high)}" if measured.low is not None else f"on {newest.dataset}"
        tiles.append(Tile(key, number(measured.value), sure))
    if newest.latency_p99_ms is not None:
        tiles.append(
            Tile("p99 of one row", milliseconds(newest.latency_p99_ms), f"p50 {milliseconds(newest.latency_p50_ms)}, in process")
        )
    tiles.append(Tile("Measured on", f"{newest.rows:,} rows", newest.dataset))
    return tiles


def _gate_lines(life: VersionLife) -> list[GateLine]:
    lines = []
    for verdict in life.verdicts:
        if verdict.value is None:
            lines.append(GateLine(verdict, None))
            continue
        tone = {"passed": "f1", "failed": "f5"}.get(verdict.outcome, "f8")
        shown = Interval(str(parse_gate(verdict.expression).measure), verdict.value, verdict.low, verdict.high, tone)
        span = span_of([shown], *([verdict.limit] if verdict.limit is not None else []))
        lines.append(GateLine(verdict, interval_bar(shown, span, limit=verdict.limit)))
    return lines


def _evaluation_parts(evaluations: list[EvaluationView]) -> list[EvaluationPart]:
    """The newest evaluation of each name, with its metrics, and its slices by the most telling of them."""
    newest: dict[str, EvaluationView] = {}
    for each in evaluations:
        newest.setdefault(each.name, each)
    return [
        _part(each, sum(other.name == each.name for other in evaluations) - 1)
        for each in list(newest.values())[:SHOWN_EVALUATIONS]
    ]


def _part(evaluation: EvaluationView, more: int) -> EvaluationPart:
    keys = ranked(list(evaluation.metrics))
    lines = []
    for key in keys:
        shown = Interval(key, (m := evaluation.metrics[key]).value, m.low, m.high)
        # Each around its own value, all to one scale: what is compared is how sure they are.
        half = (
            _half_width(shown) if evaluation.task == "regression" else max(_half_width(each) for each in _intervals(evaluation))
        )
        lines.append(MetricLine(key, m, interval_bar(shown, (m.value - 1.3 * half, m.value + 1.3 * half))))
    key = keys[0]
    parts = [(each, each.metrics[key]) for each in evaluation.slices if key in each.metrics]
    whole = evaluation.metrics[key].value
    intervals = [Interval(f"{key}, {each.column}={each.value}", m.value, m.low, m.high, "f2") for each, m in parts]
    span = span_of(intervals, whole)
    slices = [
        SliceLine(each.column, each.value, each.rows, measured, interval_bar(shown, span, limit=whole))
        for (each, measured), shown in zip(parts, intervals, strict=True)
    ]
    return EvaluationPart(evaluation, lines, key, slices, more)


def _intervals(evaluation: EvaluationView) -> list[Interval]:
    return [Interval(key, m.value, m.low, m.high) for key, m in evaluation.metrics.items()]


def _half_width(shown: Interval) -> float:
    low, high = shown.bounds
    return max(shown.value - low, high - shown.value)


def _snippets(project: str, v: VersionView) -> list[tuple[str, str]]:
    reference = f"{v.model}@{v.aliases[0]}" if v.aliases else f"{v.model}/{v.version}"
    path = project_url(project, "models", v.model, "versions", v.version).replace("/p/", "/api/v1/p/", 1)
    python = f"import tilth\n\ntilth.init(project={project!r})\nmodel = tilth.load_model({reference!r})"
    measure = (
        "import pandas as pd\nimport tilth\n\n"
        f"tilth.init(project={project!r})\nrows = pd.read_parquet('held-out.parquet')\n"
        f"print(tilth.evaluate({reference!r}, rows, target='COLUMN', slices=[]))"
    )
    files = ("--in", "rows.parquet", "--out", "scores.parquet")
    mlflow = f"import mlflow\n\nmodel = mlflow.pyfunc.load_model({json.dumps(f'models:/{v.model}/{v.version}')})"
    return [
        ("CLI", shown_command("tilth", "deploy", reference, "--project", project, "--wait")),
        ("Python", python),
        (
            "Score files",
            shown_command("tilth", "score", reference, *files, "--project", project),
        ),
        ("Evaluate", measure),
        ("MLflow", f"# where MLFLOW_TRACKING_URI is set, as `tilth env` prints it\n{mlflow}"),
        ("curl", curl(path)),
    ]


@get(VERSION + "/card.html", permission=Permission.MODEL_READ)
async def card_as_a_file(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Response[str]:
    """The card as one HTML file that needs nothing else. It is downloaded: its style stands inside, which our pages do not allow."""
    card = await access.read(lambda tx: queries.card(tx, access.project.id, name, version))
    file = f"{name}-{version}-card.html"
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file, safe='')}",
        "content-security-policy": "sandbox",
    }
    sheet = Markup("<style>{}</style>").format(Markup(FILES["card.css"].plain.decode()))
    return Response(draw("card.html", card=card, sheet=sheet), media_type="text/html; charset=utf-8", headers=headers)


routes: list[Any] = [version_page, card_as_a_file]
