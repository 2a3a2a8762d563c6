"""The trash of a project as a whole: runs, experiments, models, versions and logged models that were deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tilth.backends.sql import Database, Tx
from tilth.core.actors import SYSTEM, Actor
from tilth.core.clock import DAY, Clock, Millis
from tilth.core.ids import ProjectId
from tilth.domains.models.actions import purging
from tilth.domains.models.queries import purging as waiting
from tilth.domains.tracking.actions import rounds
from tilth.domains.tracking.queries import purging as tracked
from tilth.wire.care import TrashEntry, TrashKind, TrashList

_PURGES: tuple[tuple[TrashKind, Callable[..., int]], ...] = (
    ("model_version", purging.purge_versions),
    ("model", purging.purge_models),
    # Last, since a version that went may have been the only one to refer to a logged model.
    ("logged_model", purging.purge_logged_models),
)


def trash(tx: Tx, project_id: ProjectId, before: Millis, trash_days: int) -> TrashList:
    """What was deleted before the moment, longest deleted first; at most 1,000 of each kind."""

    def entry(kind: TrashKind, id_: str, name: str, deleted: int) -> TrashEntry:
        return TrashEntry(kind, id_, name, deleted, deleted + trash_days * DAY)

    found = [entry("run", row.id, row.name, row.deleted_at) for row in tracked.deleted_runs(tx, project_id, before)]
    found += [entry("experiment", r.id, r.name, r.deleted_at) for r in tracked.deleted_experiments(tx, project_id, before)]
    found += [entry("model", row.id, row.name, row.deleted_at) for row in waiting.deleted_models(tx, project_id, before)]
    for row in waiting.deleted_versions(tx, project_id, before):
        name = f"{row.name}/{row.version}"
        found.append(entry("model_version", name, name, row.deleted_at))
    found += [entry("logged_model", r.id, r.name, r.deleted_at) for r in waiting.deleted_logged_models(tx, project_id, before)]
    return TrashList(sorted(found, key=lambda e: e.deleted), trash_days, tracked.waiting_of(tx, project_id))


async def empty(
    doors: rounds.Doors, actor: Actor, project_id: ProjectId, before: Millis, *, ids: Sequence[str] | None = None
) -> dict[TrashKind, int]:
    """Deletes for good what was deleted before the moment. Returns how many of each kind; kinds without any are left out."""
    counts: dict[TrashKind, int] = {}
    for kind, purge in _PURGES:
        while gone := await doors.write(partial(purge, actor=actor, project_id=project_id, before=before, ids=ids)):
            counts[kind] = counts.get(kind, 0) + gone
    runs, experiments = await rounds.purge(doors, actor, project_id, before, ids=ids)
    counts |= {"run": runs, "experiment": experiments}
    return {kind: count for kind, count in counts.items() if count}


async def empty_all(database: Database, clock: Clock, trash_days: int) -> None:
    """One round over every project, after which nothing is left that was deleted `trash_days` ago; bytes are collected later."""
    before = Millis(clock() - trash_days * DAY)
    projects = set(await database.read(lambda tx: tracked.projects_with_trash_across_projects(tx, before)))
    projects |= set(await database.read(lambda tx: waiting.projects_with_trash_across_projects(tx, before)))
    for project in sorted(projects):
        await empty(database, SYSTEM, ProjectId(project), before)
    await rounds.remove_all_leftovers(database)
