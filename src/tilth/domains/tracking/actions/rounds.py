"""Work that takes many short transactions: rules applied, trash emptied. The edge gives the two ways to a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from tilth.backends.sql import Database, Tx
from tilth.core.actors import SYSTEM, Actor
from tilth.core.clock import Clock, Millis
from tilth.core.ids import ProjectId
from tilth.domains.tracking.actions import care as care_actions
from tilth.domains.tracking.actions import purging as purge_actions
from tilth.domains.tracking.actions import retention
from tilth.domains.tracking.queries import care, purging
from tilth.wire.care import BulkRuns, RetentionReport, RetentionRule, RetentionStep

MAX_STEPS = 200
"""Steps of one round; the next round goes on."""


class Doors(Protocol):
    """Read and write transactions: a database, or a request's guarded access to one."""

    @property
    def read(self) -> Callable[[Callable[[Tx], Any]], Awaitable[Any]]: ...

    @property
    def write(self) -> Callable[[Callable[[Tx], Any]], Awaitable[Any]]: ...


async def change_in_chunks(doors: Doors, actor: Actor, project_id: ProjectId, ids: Sequence[str], wanted: BulkRuns) -> list[str]:
    """Chunk after chunk, each all or nothing. Returns the ids that changed."""
    changed: list[str] = []
    most = care_actions.chunk_runs(wanted.do)
    for start in range(0, len(ids), most):
        some = ids[start : start + most]
        changed += await doors.write(
            partial(care_actions.change_many, actor=actor, project_id=project_id, run_ids=some, wanted=wanted)
        )
    return changed


async def apply_rules(
    doors: Doors, actor: Actor, project_id: ProjectId, at: Millis, *, spares: retention.Spares, dry_run: bool = False
) -> RetentionReport:
    """Plans every rule of the project and, unless told otherwise, executes each step in slices."""
    report = RetentionReport([], dry_run, more=False)
    spared: set[str] = set()
    for rule in await doors.read(lambda tx: retention.rules(tx, project_id)):
        planned = await _planned(doors, project_id, rule, at, spares)
        report.more = report.more or bool(planned.after)
        report.steps += planned.steps
        spared |= planned.spared
        if not dry_run:
            for step in planned.steps:
                one = partial(retention.apply, actor=actor, project_id=project_id, step=step, spares=spares)
                while await doors.write(one):
                    pass
    report.spared = len(spared)
    return report


async def _planned(
    doors: Doors, project_id: ProjectId, rule: RetentionRule, at: Millis, spares: retention.Spares
) -> retention.Planned:
    """At least MAX_STEPS steps, if there are as many."""
    steps: list[RetentionStep] = []
    spared: set[str] = set()
    after = ""
    while len(steps) < MAX_STEPS:
        some = partial(retention.plan, project_id=project_id, rule=rule, at=at, spares=spares, after=after)
        found: retention.Planned = await doors.read(some)
        steps += found.steps
        spared |= found.spared
        after = found.after
        if not after:
            break
    return retention.Planned(steps, spared, after)


async def purge(
    doors: Doors, actor: Actor, project_id: ProjectId, before: Millis, *, ids: Sequence[str] | None = None
) -> tuple[int, int]:
    """Takes out every run and experiment that was deleted before the moment. Returns how many runs and experiments.

    What they wrote is removed afterwards, by `remove_all_leftovers`.
    """
    runs = 0
    while taken := await doors.write(lambda tx: purge_actions.purge_runs(tx, actor, project_id, before, ids=ids)):
        runs += len(taken)
    doomed = await doors.read(lambda tx: purging.deleted_experiments(tx, project_id, before, ids=ids))
    for row in doomed:
        one = partial(purge_actions.purge_experiment, actor=actor, project_id=project_id, experiment_id=row.id, before=before)
        while not await doors.write(one):
            pass
    return runs, len(doomed)


async def remove_all_leftovers(database: Database) -> int:
    """Removes what purged runs wrote, in slices. Returns how many runs are wholly gone."""
    gone = 0
    while waiting := await database.read(lambda tx: purging.waiting_across_projects(tx, 500)):
        for row in waiting:
            slice_ = partial(purge_actions.remove_leftovers, project_id=ProjectId(row.project_id), run_id=row.run_id)
            while not await database.write(slice_):
                pass
            gone += 1
    return gone


async def apply_all_rules(database: Database, clock: Clock, spares: retention.Spares) -> None:
    """One round over every project that has retention rules."""
    for project in await database.read(care.projects_with_rules_across_projects):
        await apply_rules(database, SYSTEM, ProjectId(project), clock(), spares=spares)
