"""The first page of a project (what needs attention, what runs, what is served) and the search over its names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.core.clock import DAY, Millis, now
from tilth.domains.identity import queries as identity
from tilth.domains.models import queries as models
from tilth.domains.serving import queries as serving
from tilth.domains.serving.api.deployments import surroundings
from tilth.domains.tracking import queries as tracking
from tilth.domains.tracking.queries.experiment_search import experiments_with
from tilth.domains.tracking.rules.filters import Condition
from tilth.guard import AccessTo, Permission, get
from tilth.web.commands import shown_command
from tilth.web.first_steps import all_steps, connect
from tilth.web.formatting import count, counted, date, milliseconds, number, part
from tilth.web.metric_names import ranked
from tilth.web.pages.deployments import BUDGET_MS
from tilth.web.pages.frame import Asked, curl, project_url, shell
from tilth.web.render import Tone, page
from tilth.web.run_table import Column, RunValues, lines
from tilth.web.tiles import Tile
from tilth.wire.registry import ModelView
from tilth.wire.serving import DeploymentView
from tilth.wire.tracking import RunInfo

SHOWN_RUNS = 10
SHOWN_ATTENTION = 5
ATTENTION_AGE = Millis(7 * DAY)
HITS = 20


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that waits for a person."""

    word: str
    tone: Tone
    title: str
    text: str
    url: str
    at: int


@dataclass(frozen=True, slots=True)
class Overview:
    runs: list[RunInfo]
    running: int
    total_runs: str
    troubled: list[RunInfo]
    approvals: list[models.WaitingApproval]
    metrics: dict[str, dict[str, float]]
    models: list[ModelView]
    total_models: int
    deployments: list[DeploymentView]
    description: str


@get("/", permission=Permission.SIGNED_IN)
async def home(request: Asked, access: AccessTo[None]) -> Redirect:
    """The reader's own project, or the list of projects where he has none."""
    project = access.principal.default_project
    return Redirect(project_url(project.name) if project is not None else "/settings/projects", status_code=303)


@get("/p/{project:str}", permission=Permission.PROJECT_READ)
async def overview_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, around = access.project, await surroundings(request, access)

    def ask(tx: Tx) -> Overview:
        page_of_runs = tracking.runs_page(tx, project.id, limit=SHOWN_RUNS)
        found = models.models_page(tx, project.id, limit=5)
        record = identity.project_named(tx, project.name)
        return Overview(
            runs=page_of_runs.runs,
            running=len(tracking.running_runs(tx, project.id)),
            total_runs=page_of_runs.total_text,
            troubled=_troubled(tx, project.id),
            approvals=models.waiting_approvals(tx, project.id),
            metrics=tracking.latest_metrics(tx, project.id, [run.id for run in page_of_runs.runs]),
            models=found.models,
            total_models=found.total,
            deployments=serving.deployment_page(tx, around, limit=20).deployments,
            description=record.description if record is not None else "",
        )

    seen = await access.read(ask)
    base = project_url(project.name)
    keys = ranked(sorted({key for values in seen.metrics.values() for key in values}))[:3]
    attention = _attention(seen, base)
    columns = [Column(f"metrics.{key}", key, "metric", numeric=True) for key in keys]
    first = {column.key for column in columns[:1]}
    _, rows = lines(seen.runs, columns, RunValues(seen.metrics, {}, {}), first, now())
    return page(
        "overview.html",
        await shell(request, access, "overview", [("Overview", "")]),
        base=base,
        description=seen.description,
        tiles=_tiles(seen, keys, base),
        attention=attention[:SHOWN_ATTENTION],
        more_attention=max(0, len(attention) - SHOWN_ATTENTION),
        running=seen.running,
        runs=rows,
        metric_keys=keys,
        models=seen.models,
        deployments=seen.deployments,
        first_steps=None if seen.runs or seen.models or seen.deployments else all_steps(project.name),
        deploy_command=_deploy_command(seen.models, project.name),
        snippets=[
            ("Environment", connect(project.name).command),
            ("CLI", "tilth status"),
            ("curl", curl(f"/api/v1/projects/{project.name}")),
        ],
    )


def _deploy_command(known: Sequence[ModelView], project: str) -> str:
    """For the newest model: by the alias that it has, else by its newest version."""
    reference = "MODEL/1"
    if known:
        alias = next(iter(known[0].aliases), None)
        reference = f"{known[0].name}@{alias}" if alias else f"{known[0].name}/{known[0].newest or 1}"
    return shown_command("tilth", "deploy", reference, "--project", project, "--wait")


def _troubled(tx: Tx, project_id: str) -> list[RunInfo]:
    """Runs of the last seven days that failed or were lost."""
    since = now() - ATTENTION_AGE
    found: list[RunInfo] = []
    for status in ("failed", "lost"):
        terms = (Condition("attribute", "status", "=", status), Condition("attribute", "started", ">", str(since), float(since)))
        found += tracking.runs_page(tx, project_id, terms=terms, limit=100).runs
    return sorted(found, key=lambda run: run.started, reverse=True)


def _tiles(seen: Overview, keys: Sequence[str], base: str) -> list[Tile]:
    recent = [d.status.latency.p99_ms for d in seen.deployments if d.status.latency.p99_ms is not None]
    ever = [d.status.latency_since_start.p99_ms for d in seen.deployments if d.status.latency_since_start.p99_ms is not None]
    slowest, span = max(recent or ever, default=None), "last minute" if recent else "since start"
    live = sum(d.status.live for d in seen.deployments)
    tiles = [Tile("Runs", seen.total_runs, f"{seen.running} running now" if seen.running else "none running", "", f"{base}/runs")]
    newest = next((run for run in seen.runs if keys and keys[0] in seen.metrics.get(run.id, {})), None)
    if newest is not None:
        tiles.append(
            Tile(f"Newest {keys[0]}", number(seen.metrics[newest.id][keys[0]]), newest.name, "", f"{base}/runs/{newest.id}")
        )
    named = next(((m, alias, v) for m in seen.models for alias, v in m.aliases.items()), None)
    text = (
        f"{named[1]} → {named[0].name} v{named[2]}"
        if named
        else ("no alias set" if len(seen.models) == seen.total_models else "")
    )
    tiles.append(Tile("Models", count(seen.total_models), text, "", f"{base}/models"))
    everything = live == len(seen.deployments)
    words = "all live" if everything else f"{live} live"
    tiles.append(
        Tile(
            "Deployments",
            count(len(seen.deployments)),
            words if seen.deployments else "none yet",
            "good" if everything and live else "",
            f"{base}/deployments",
        )
    )
    slow = slowest is not None and slowest > BUDGET_MS
    tiles.append(
        Tile(
            "p99 latency",
            milliseconds(slowest),
            f"budget {BUDGET_MS} ms" if slowest is None else f"{span}, budget {BUDGET_MS} ms",
            "bad" if slow else ("good" if slowest is not None else ""),
        )
    )
    return tiles


def _attention(seen: Overview, base: str) -> list[Attention]:
    found = []
    for d in seen.deployments:
        url = f"{base}/deployments/{d.name}"
        if d.problem:
            found.append(Attention("held back", "warn", d.name, d.problem, url, d.updated))
        if d.status.state in ("failed", "unserved"):
            text = d.status.error or "no model server has reported within 10 seconds"
            found.append(Attention(d.status.state, "bad", d.name, text, url, d.updated))
        elif d.status.recent_errors:
            text = f"{counted(d.status.recent_errors, 'request')} failed in the last minute"
            found.append(Attention("errors", "bad", d.name, text, url, d.updated))
        elif d.status.latency.p99_ms is not None and d.status.latency.p99_ms > BUDGET_MS:
            text = f"p99 {milliseconds(d.status.latency.p99_ms)} is over the budget of {BUDGET_MS} ms"
            found.append(Attention("slow", "warn", d.name, text, url, d.updated))
    for asked in seen.approvals:
        url = f"{base}/models/{part(asked.model)}/versions/{asked.version}#approval"
        name, text = f"{asked.model} v{asked.version}", f"waits for an approval, asked for by {asked.requested_by}"
        found.append(Attention("approval", "warn", name, text, url, asked.requested))
    for run in seen.troubled:
        tone: Tone = "bad" if run.status == "failed" else "warn"
        found.append(
            Attention(
                run.status, tone, run.name, f"by {run.user_name}, in {run.experiment}", f"{base}/runs/{run.id}", run.started
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Hit:
    label: str
    url: str
    word: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    total: str
    hits: list[Hit]


@get("/p/{project:str}/search", permission=Permission.PROJECT_READ)
async def search_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, words = access.project, request.query_params.get("q", "").strip()[:200]
    around = await surroundings(request, access)

    def ask(tx: Tx) -> list[Group]:
        base = project_url(project.name)
        runs = tracking.runs_page(tx, project.id, terms=(Condition("attribute", "name", "~", words),), limit=HITS)
        experiments = experiments_with(tx, project.id, words, HITS)
        known = models.models_page(tx, project.id, search=words, limit=HITS)
        served = [d for d in serving.deployment_page(tx, around, limit=1000).deployments if words.lower() in d.name.lower()]
        groups = [
            Group(
                "Runs", runs.total_text, [Hit(run.name, f"{base}/runs/{run.id}", run.status, run.experiment) for run in runs.runs]
            ),
            Group(
                "Experiments",
                count(len(experiments)),
                [Hit(each.name, f"{base}/runs?experiment={each.id}", "", date(each.created)) for each in experiments],
            ),
            Group(
                "Models",
                count(known.total),
                [
                    Hit(m.name, project_url(project.name, "models", m.name), "", counted(m.versions, "version"))
                    for m in known.models
                ],
            ),
            Group(
                "Deployments",
                count(len(served)),
                [Hit(d.name, f"{base}/deployments/{d.name}", d.status.state, f"{d.model} v{d.version}") for d in served[:HITS]],
            ),
        ]
        return [group for group in groups if group.hits]

    groups = await access.read(ask) if words else []
    return page("search.html", await shell(request, access, "", [("Search", "")], search=words), query=words, groups=groups)


routes: list[Any] = [home, overview_page, search_page]
