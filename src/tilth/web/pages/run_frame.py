"""What every tab of a run's page shows: name, state, facts, tabs, and what can be done with the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.tracking import queries
from tilth.domains.tracking.queries import care
from tilth.domains.tracking.types import UnknownRun
from tilth.guard import Access, Permission
from tilth.web.commands import shown_command
from tilth.web.pages.frame import Asked, curl, may, project_url, shell
from tilth.web.render import page
from tilth.web.run_table import duration_of
from tilth.wire.tracking import REPRODUCES_TAG, RunDetail, RunInfo

TABS = {
    "overview": "Overview",
    "system": "System",
    "artifacts": "Artifacts",
    "code": "Code",
    "logs": "Logs",
    "environment": "Environment",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run with what its head tells."""

    detail: RunDetail
    parent: RunInfo | None
    first: RunInfo | None
    """The run that this one makes again."""
    archived: bool

    @property
    def run(self) -> RunInfo:
        return self.detail.run

    @property
    def going(self) -> bool:
        return self.run.status in ("running", "scheduled") and not self.run.deleted


def load(tx: Tx, project_id: str, run_id: str) -> Loaded:
    """Raises UnknownRun."""
    detail = queries.run_detail(tx, project_id, run_id)
    if detail is None:
        raise UnknownRun(run_id)
    above, first = detail.run.parent_run_id, detail.tags.get(REPRODUCES_TAG)
    states = care.run_states(tx, project_id, [run_id])
    archived = bool(states) and states[0].archived is not None
    return Loaded(
        detail,
        queries.run_info(tx, project_id, above) if above else None,
        queries.run_info(tx, project_id, first) if first else None,
        archived,
    )


async def run_response(
    request: Asked, access: Access[Any], loaded: Loaded, tab: str, template: str, *, here: str = "", **values: Any
) -> Response[str]:
    """The page of a run with the tab `tab`. here: address of this very view, which a running run asks for again and again."""
    project, run = access.project.name, loaded.run
    base, runs_url = project_url(project, "runs", run.id), project_url(project, "runs")
    return page(
        template,
        await shell(request, access, "runs", [("Runs", runs_url), (run.name, "")]),
        base=base,
        here=here or (base if tab == "overview" else f"{base}?tab={tab}"),
        runs_url=runs_url,
        compare_url=project_url(project, "compare"),
        experiment_url=f"{runs_url}?experiment={quote(run.experiment_id, safe='')}",
        tab=tab,
        tabs=[(key, label, base if key == "overview" else f"{base}?tab={key}") for key, label in TABS.items()],
        run=run,
        detail=loaded.detail,
        parent=loaded.parent,
        first=loaded.first,
        archived=loaded.archived,
        live=loaded.going,
        took=duration_of(run, now()),
        may_write=may(access, Permission.RUN_WRITE),
        snippets=_snippets(project, run.id),
        **values,
    )


def _snippets(project: str, run_id: str) -> Sequence[tuple[str, str]]:
    python = f"import tilth\n\ntilth.init(project={project!r})\nwith tilth.run(resume={run_id!r}) as run:\n    run.tag(seen=True)"
    return [
        ("CLI", shown_command("tilth", "run", "show", run_id, "--project", project, "--json")),
        ("Python", python),
        ("curl", curl(f"/api/v1/p/{quote(project, safe='')}/runs/{run_id}")),
    ]
