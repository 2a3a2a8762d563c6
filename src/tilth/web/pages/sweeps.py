"""Sweeps: the list, and one with its trials."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.domains.tracking import actions, queries
from tilth.guard import AccessTo, Permission, get, post
from tilth.web import charts
from tilth.web.commands import shown_command
from tilth.web.first_steps import first_sweep
from tilth.web.formatting import count
from tilth.web.pages.frame import PAGE_ROWS, Asked, back, curl, may, project_url, read_offset, shell, with_query
from tilth.web.render import page
from tilth.web.sweep_drawings import MAX_LINES, parallel_coordinates, rank_correlations
from tilth.wire.sweeps import SweepView, TrialPage

ONE = "/p/{project:str}/sweeps/{run_id:str}"


@get("/p/{project:str}/sweeps", permission=Permission.RUN_READ)
async def sweeps_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    project, offset = access.project, read_offset(request)
    found = await access.read(lambda tx: queries.sweeps_page(tx, project.id, limit=PAGE_ROWS, offset=offset))
    base, shown = project_url(project.name, "sweeps"), offset + len(found.sweeps)
    return page(
        "sweeps.html",
        await shell(request, access, "sweeps", [("Sweeps", "")]),
        base=base,
        sweeps=found.sweeps,
        shown=shown,
        total_text=count(found.total),
        next_url=with_query(base, **{"from": shown}) if shown < found.total else "",
        step=first_sweep(project.name),
        snippets=[
            ("CLI", shown_command("tilth", "sweep", "list", "--project", project.name)),
            ("curl", curl(f"/api/v1/p/{project.name}/sweeps")),
        ],
    )


@get(ONE, permission=Permission.RUN_READ)
async def sweep_page(request: Asked, access: AccessTo[None], run_id: FromPath[str]) -> Response[str]:
    project, offset = access.project, read_offset(request)

    def look(tx: Tx) -> tuple[SweepView, TrialPage, TrialPage]:
        found = queries.sweep_view(tx, project.id, run_id)
        rows = queries.trials_page(tx, project.id, found, limit=PAGE_ROWS, offset=offset)
        drawn = queries.trials_page(tx, project.id, found, limit=MAX_LINES, offset=0, best_first=False)
        return found, rows, drawn

    sweep, rows, drawn = await access.read(look)
    spec, runs_url = sweep.spec, project_url(project.name, "runs")
    base, shown = project_url(project.name, "sweeps", run_id), offset + len(rows.trials)
    over = [trial for trial in drawn.trials if trial.value is not None]
    names = list(dict.fromkeys(name for trial in rows.trials for name in trial.params))
    return page(
        "sweep.html",
        await shell(request, access, "sweeps", [("Sweeps", project_url(project.name, "sweeps")), (sweep.name, "")]),
        base=base,
        runs_url=runs_url,
        sweep=sweep,
        spec=spec,
        trials=rows.trials,
        params=names,
        best=next((trial for trial in rows.trials if trial.id == sweep.best_run_id), None),
        shown=shown,
        total_text=count(rows.total),
        next_url=with_query(base, **{"from": shown}) if shown < rows.total else "",
        progress=charts.progress(
            [trial.value for trial in over if trial.value is not None],
            [f"trial {trial.number}" for trial in over],
            lower_is_better=spec.goal == "minimize",
        )
        if len(over) > 1
        else None,
        parallel=parallel_coordinates(drawn.trials, spec.metric, spec.goal),
        correlations=rank_correlations(drawn.trials),
        drawn=len(drawn.trials),
        total=drawn.total,
        compare_url=with_query(project_url(project.name, "compare"), q=f'parent="{run_id}"'),
        may_stop=may(access, Permission.RUN_WRITE) and sweep.state == "running" and not sweep.stop_wanted,
        resume=_resume(run_id, by_command=bool(spec.command)),
        snippets=[
            ("CLI", shown_command("tilth", "sweep", "show", run_id, "--project", project.name)),
            ("Python", f"import tilth\n\ntilth.init(project={project.name!r})\ntrials = tilth.runs('parent=\"{run_id}\"')"),
            ("curl", curl(f"/api/v1/p/{project.name}/sweeps/{run_id}/trials")),
        ],
    )


@post(ONE + "/stop", permission=Permission.RUN_WRITE)
async def stop_sweep(access: AccessTo[None], run_id: FromPath[str]) -> Redirect:
    await access.write(lambda tx: actions.stop_sweep(tx, access.actor, access.project.id, run_id))
    return back(project_url(access.project.name, "sweeps", run_id), "stopping")


def _resume(run_id: str, *, by_command: bool) -> str:
    return shown_command("tilth", "sweep", "resume", run_id) if by_command else f'tilth.sweep(train, resume="{run_id}")'


routes: list[Any] = [sweeps_page, sweep_page, stop_sweep]
