"""The import itself: what a source tells, brought into a project of this server, and counted on both sides.

There is no memory of an import but the server's own: what is there already is compared by counts and left alone, what is missing is
added. So an import that was killed goes on where it stopped, and one that is repeated brings what came since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from tilth.cli.moving.arrival import Arrival
from tilth.cli.moving.fitting import fit_name, fit_points, fit_run, fits_as_artifact, id_here, other_id
from tilth.cli.moving.landing_models import land_models
from tilth.cli.moving.source import Points, Source, SourceExperiment, SourceFile, SourceRun, Unreachable, Unreadable
from tilth.cli.moving.tally import Tally
from tilth.core.errors import TilthError
from tilth.core.killpoints import reach
from tilth.wire.imports import MAX_IMPORT_POINTS, ImportExperiment, ImportRun, ImportRuns, RunTally
from tilth.wire.tracking import MetricPoint

BATCH_RUNS = 50
BATCH_POINTS = 10_000
ORIGINAL_ID = "tilth.imported_id"
"""Tag of a run that could not keep its id."""

Progress = Callable[[str, int], None]
"""Called with the name of an experiment and the runs of it that are done since the last call."""


def land(source: Source, to: Arrival, names: tuple[str, ...], progress: Progress, *, dry_run: bool = False) -> Tally:
    """Brings experiments (all, or those named), their runs, logged models and, where all experiments come, the registered models."""
    tally = Tally()
    chosen = [experiment for experiment in source.experiments() if not names or experiment.name in names]
    for name in names:
        if name not in {experiment.name for experiment in chosen}:
            tally.missing.append(f"there is no experiment {name!r}")
    ids: dict[str, str] = {}
    for experiment in chosen:
        tally.came("experiments")
        if dry_run:
            _count(source, experiment, tally, progress)
        else:
            _land_experiment(source, to, experiment, ids, tally, progress)
    land_models(source, to, chosen, ids, tally, registered=not names, dry_run=dry_run)
    if not dry_run:
        here = to.experiments()
        tally.found("experiments", sum(_name(experiment) in here for experiment in chosen))
        for experiment in chosen:
            if experiment.deleted:
                to.delete_experiment(_name(experiment))
    return tally


def _count(source: Source, experiment: SourceExperiment, tally: Tally, progress: Progress) -> None:
    for run in source.runs(experiment):
        _came(fit_run(run, tally.left), _points(source, run, tally), tally)
        for file in _files(source, run, tally):
            tally.came("artifacts")
            tally.came("artifact bytes", file.size or 0)
        progress(experiment.name, 1)


def _land_experiment(
    source: Source, to: Arrival, experiment: SourceExperiment, ids: dict[str, str], tally: Tally, progress: Progress
) -> None:
    name = _name(experiment)
    tags = {key: value for key, value in experiment.tags.items() if len(value) <= 8000}
    try:
        to.runs(ImportRuns([], [ImportExperiment(name, experiment.created, tags)]))
    except TilthError as error:
        tally.missing.append(f"experiment {experiment.name!r}: {error}")
        return
    runs = source.runs(experiment)
    while batch := [fit_run(run, tally.left) for run in islice(runs, BATCH_RUNS)]:
        _land_runs(source, to, name, batch, ids, tally)
        progress(experiment.name, len(batch))


def _land_runs(source: Source, to: Arrival, experiment: str, batch: list[SourceRun], ids: dict[str, str], tally: Tally) -> None:
    mapped = {run.id: id_here(run.id, to.salt) for run in batch}
    parents = {run.parent: id_here(run.parent, to.salt) for run in batch if run.parent and run.parent not in ids}
    _, taken = to.known(list({*mapped.values(), *parents.values()}))
    mapped = {old: other_id(old, to.salt) if new in taken else new for old, new in mapped.items()}
    ids |= {old: other_id(old, to.salt) if new in taken else new for old, new in parents.items()} | mapped
    here, _ = to.known(list(mapped.values()))
    waiting: list[ImportRun] = []
    waiting_points = 0
    points_of: dict[str, Points] = {}
    for run in batch:
        points = _points(source, run, tally)
        _came(run, points, tally)
        count = sum(map(len, points.values()))
        if mapped[run.id] in here:
            points_of[run.id] = points
            continue
        whole = count <= MAX_IMPORT_POINTS
        if not whole:
            points_of[run.id] = points
        if waiting and waiting_points + count > BATCH_POINTS and whole:
            to.runs(ImportRuns(waiting))
            waiting, waiting_points = [], 0
        # A deleted run takes no more points: one with a long history is deleted once they are there.
        waiting.append(_wanted(run if whole else replace(run, deleted=None), experiment, ids, points if whole else {}))
        waiting_points += count if whole else 0
    if waiting:
        to.runs(ImportRuns(waiting))
    reach("import_after_runs")
    here, _ = to.known(list(mapped.values()))
    for run in batch:
        _complete(source, to, run, mapped[run.id], here, points_of.get(run.id, {}), tally)
    _verify(to, batch, mapped, tally)


def _complete(
    source: Source, to: Arrival, run: SourceRun, id_: str, here: dict[str, RunTally], points: Points, tally: Tally
) -> None:
    """Points and artifacts that the run lacks still."""
    standing = here.get(id_)
    if standing is None:
        return
    missing = [
        MetricPoint(key, value, step, ts)
        for key, found in points.items()
        for step, ts, value in found[standing.points.get(key, 0) :]
    ]
    files = []
    for file in _files(source, run, tally):
        tally.came("artifacts")
        held = standing.artifacts.get(file.path)
        if held is None or (file.size is not None and held != file.size):
            files.append(file)
        tally.came("artifact bytes", file.size if file.size is not None else held or 0)
    deleted = standing.deleted and bool(missing or files)
    if deleted:
        to.change_runs("restore", [id_])
    if missing:
        to.log(id_, missing)
    for file in files:
        _put(source, to, id_, file, tally)
    if deleted or (run.deleted is not None and not standing.deleted):
        to.change_runs("delete", [id_])


def _put(source: Source, to: Arrival, id_: str, file: SourceFile, tally: Tally) -> None:
    counted = 0

    def pieces() -> Iterator[bytes]:
        nonlocal counted
        for piece in source.read(file):
            counted += len(piece)
            yield piece

    try:
        to.put_artifact(id_, file.path, pieces())
    except TilthError as error:
        tally.missing.append(f"run {id_}: artifact {file.path}: {error}")
    if file.size is None:
        tally.came("artifact bytes", counted)


def _verify(to: Arrival, batch: list[SourceRun], mapped: dict[str, str], tally: Tally) -> None:
    here, _ = to.known(list(mapped.values()))
    for run in batch:
        found = here.get(mapped[run.id])
        if found is None:
            continue
        tally.found("runs")
        tally.found("metric points", sum(found.points.values()))
        tally.found("params", found.params)
        tally.found("tags", found.tags - (ORIGINAL_ID not in run.tags and _is_renamed(run, mapped[run.id])))
        tally.found("data sets", found.inputs)
        tally.found("artifacts", len(found.artifacts))
        tally.found("artifact bytes", sum(found.artifacts.values()))


def _points(source: Source, run: SourceRun, tally: Tally) -> Points:
    """Those that can be read: one damaged run keeps none of the others out."""
    try:
        return fit_points(source.points(run), run.id, tally.left)
    except Unreadable as error:
        tally.missing.append(f"run {run.id}: {error}")
        return {}


def _files(source: Source, run: SourceRun, tally: Tally) -> Iterator[SourceFile]:
    if not run.files:
        return
    try:
        for file in source.files(run.files):
            if fits_as_artifact(file.path, f"run {run.id}", tally.left):
                yield file
    except Unreachable as error:
        tally.missing.append(f"run {run.id}: artifacts: {error}")


def _came(run: SourceRun, points: Points, tally: Tally) -> None:
    tally.came("runs")
    tally.came("metric points", sum(map(len, points.values())))
    tally.came("params", len(run.params))
    tally.came("tags", len(run.tags))
    tally.came("data sets", len(run.inputs))


def _wanted(run: SourceRun, experiment: str, ids: dict[str, str], points: Points) -> ImportRun:
    id_ = ids[run.id]
    # A run that was renamed before keeps what it was called at first.
    renamed = {ORIGINAL_ID: run.id[:8000]} if _is_renamed(run, id_) else {}
    return ImportRun(
        id=id_,
        experiment=experiment,
        name=run.name,
        status=run.status,  # type: ignore[arg-type]
        started=run.started,
        ended=run.ended,
        user_name=run.user,
        source=run.origin,
        notes=run.notes,
        error=run.error,
        parent_run_id=ids.get(run.parent) if run.parent else None,
        environment=run.environment,
        deleted=run.deleted,
        archived=run.archived,
        params=run.params,
        tags=renamed | run.tags,
        metrics=points,
        inputs=run.inputs,
        models=run.models,
    )


def _is_renamed(run: SourceRun, id_: str) -> bool:
    return id_ != run.id.replace("-", "").lower()


def _name(experiment: SourceExperiment) -> str:
    return fit_name(experiment.name, "experiment", f"experiment {experiment.id}")
