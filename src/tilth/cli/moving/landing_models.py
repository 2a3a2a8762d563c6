"""Logged models and registered models of a source, brought into a project of this server."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tilth.cli.moving.arrival import Arrival
from tilth.cli.moving.fitting import fit_name, other_id
from tilth.cli.moving.source import Source, SourceExperiment, SourceLoggedModel, SourceModel, SourceVersion, Unreachable
from tilth.cli.moving.tally import Tally
from tilth.core.errors import TilthError
from tilth.wire.imports import ImportLoggedModel, ImportModel, ImportVersion

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def land_models(
    source: Source,
    to: Arrival,
    experiments: Iterable[SourceExperiment],
    runs: dict[str, str],
    tally: Tally,
    *,
    registered: bool,
    dry_run: bool,
) -> None:
    """runs: ids of the source's runs -> ids here. registered: with the registered models."""
    logged: dict[str, str] = {}
    for experiment in experiments:
        for model in source.logged_models(experiment):
            tally.came("logged models")
            if not dry_run:
                _land_logged(source, to, model, runs, logged, tally)
    for found in source.models() if registered else ():
        tally.came("models")
        tally.came("versions", len(found.versions))
        if not dry_run:
            _land_model(source, to, found, runs, logged, tally)


def _land_logged(
    source: Source, to: Arrival, model: SourceLoggedModel, runs: dict[str, str], logged: dict[str, str], tally: Tally
) -> None:
    id_ = model.id if _MODEL_ID.fullmatch(model.id) else f"m-{other_id(model.id, to.salt)}"
    wanted = ImportLoggedModel(
        id=id_,
        name=fit_name(model.name, "logged model", "model"),
        created=model.created,
        experiment=model.experiment,
        run_id=runs.get(model.run) if model.run else None,
        model_type=model.model_type,
        creator=model.creator,
        params=model.params,
        tags=model.tags,
    )
    try:
        landed = to.logged_model(wanted)
        if landed.landed == "taken":
            wanted.id = f"m-{other_id(model.id, to.salt)}"
            landed = to.logged_model(wanted)
        if landed.status == "pending" and not model.ready:
            tally.left.append(f"logged model {model.id} was never finished in the source; it stays pending here")
        elif landed.status == "pending":
            _fill(source, to, wanted.id, model.files)
    except TilthError as error:
        tally.missing.append(f"logged model {model.id}: {error}")
        return
    logged[model.id] = wanted.id
    tally.found("logged models")


def _fill(source: Source, to: Arrival, id_: str, place: str) -> None:
    """Raises Unreachable, and what the server finds wrong with the folder."""
    standing = to.model_files(id_)
    for file in source.files(place):
        if file.size is None or standing.get(file.path) != file.size:
            to.put_model_file(id_, file.path, source.read(file))
    problem = to.seal(id_)
    if problem:
        raise Unreachable(problem)


def _land_model(
    source: Source, to: Arrival, model: SourceModel, runs: dict[str, str], logged: dict[str, str], tally: Tally
) -> None:
    versions = [
        ImportVersion(
            version=found.version,
            created=found.created,
            source=found.source[:8000],
            logged_model_id=_made_of(source, to, model, found, runs, logged, tally),
            run_id=runs.get(found.run) if found.run else None,
            run_link=found.run_link,
            stage=found.stage,
            description=found.description,
            creator=found.creator,
            tags=found.tags,
        )
        for found in model.versions
    ]
    aliases = {alias: version for alias, version in model.aliases.items() if version in {found.version for found in versions}}
    wanted = ImportModel(model.name, model.created, model.description, model.creator, model.tags, versions, aliases)
    try:
        landed = to.model(wanted)
    except TilthError as error:
        tally.missing.append(f"model {model.name!r}: {error}")
        return
    tally.found("models")
    tally.found("versions", len(landed.versions) + len(landed.same))
    tally.missing += [f"model {model.name!r}: another version {number} is here already" for number in landed.others]
    tally.missing += [
        f"model {model.name!r}: its gates or a missing approval keep out the alias {alias}" for alias in landed.refused
    ]


def _made_of(
    source: Source,
    to: Arrival,
    model: SourceModel,
    version: SourceVersion,
    runs: dict[str, str],
    logged: dict[str, str],
    tally: Tally,
) -> str | None:
    """The logged model behind a version. One that was made of a folder of a run gets a logged model of its own, with that folder."""
    if version.logged_model is not None and version.logged_model in logged:
        return logged[version.logged_model]
    name = f"version {version.version} of model {model.name!r}"
    if not version.files:
        tally.missing.append(f"{name}: the logged model {version.logged_model} it was made of did not come")
        return None
    id_ = f"m-{other_id(f'{model.name}/{version.version}/{version.created}', to.salt)}"
    run = runs.get(version.run) if version.run else None
    try:
        landed = to.logged_model(
            ImportLoggedModel(id_, fit_name(model.name, "logged model", "model"), version.created, run_id=run)
        )
        if landed.status == "pending":
            _fill(source, to, id_, version.files)
    except TilthError as error:
        tally.missing.append(f"{name}: its files: {error}; the version came without them")
        return None
    return id_
