"""Models that come from elsewhere, with their ids, numbers and times. What is there already stays as it is."""

from __future__ import annotations

import re

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.core.ids import ProjectId
from tilth.core.names import check_name
from tilth.domains.audit.actions import record
from tilth.domains.models.actions.gates import judge_imported_alias
from tilth.domains.models.actions.registry import create_model
from tilth.domains.models.queries import facts, imports, logged, registry
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.rules import naming
from tilth.domains.tracking import queries as tracking
from tilth.wire.imports import (
    ImportedLoggedModel,
    ImportedModelVersions,
    ImportLoggedModel,
    ImportModel,
    ImportVersion,
)

MAX_VERSIONS = 1000


class InvalidImport(Invalid):
    """An id or a number that no model can have."""


def import_logged_model(tx: Tx, actor: Actor, project_id: ProjectId, wanted: ImportLoggedModel) -> ImportedLoggedModel:
    """Opens it under the id it had; its files are put and sealed as those of any other.

    Raises InvalidImport, InvalidName, UnknownRun, UnknownExperiment.
    """
    if not re.fullmatch(r"m-[0-9a-f]{32}", wanted.id):
        raise InvalidImport(f"logged model id {wanted.id[:80]!r} is not `m-` and 32 hexadecimal digits")
    check_name(wanted.name, "logged model")
    standing = imports.owner_across_projects(tx, wanted.id)
    if standing is not None:
        return ImportedLoggedModel(wanted.id, "exists" if standing.project_id == project_id else "taken", standing.status)
    experiment = None if wanted.experiment is None else tracking.experiment_row(tx, project_id, name=wanted.experiment)
    experiment_id = facts.experiment_for(tx, project_id, wanted.run_id, None if experiment is None else str(experiment.id))
    row = {
        "id": wanted.id,
        "project_id": project_id,
        "experiment_id": experiment_id,
        "source_run_id": wanted.run_id,
        "name": wanted.name,
        "model_type": naming.check_text(wanted.model_type, "model type"),
        "status": "pending",
        "status_message": "",
        "created": _moment(wanted.created),
        "updated": now(),
        "creator_id": actor.id,
        "creator_name": wanted.creator or actor.name,
        "manifest_digest": None,
        "size": 0,
        "flavour": "",
        "document": None,
        "deleted_at": None,
    }
    logged.insert_logged_model(tx, row)
    naming.check_model_words(wanted.params, wanted.tags)
    logged.put_pairs(tx, project_id, wanted.id, params=wanted.params, tags=wanted.tags)
    record(tx, actor, "logged_model.imported", project_id=project_id, thing=wanted.id, detail={"name": wanted.name})
    return ImportedLoggedModel(wanted.id, "created", "pending")


def import_model(tx: Tx, actor: Actor, project_id: ProjectId, wanted: ImportModel) -> ImportedModelVersions:
    """Adds the versions and aliases that are missing. An alias goes where the gates and approvals of this project let it, wherever the
    version was promoted before.

    Raises InvalidImport, Invalid, UnknownLoggedModel.
    """
    if len(wanted.versions) > MAX_VERSIONS:
        raise InvalidImport(f"{len(wanted.versions)} versions in one request; at most {MAX_VERSIONS}: send several requests")
    if registry.model_or_none(tx, project_id, wanted.name) is None:
        create_model(tx, actor, project_id, wanted.name, description=wanted.description, tags=wanted.tags)
        made = registry.model_by_name(tx, project_id, wanted.name, lock=True)
        registry.update_model(tx, made, created=_moment(wanted.created))
    model = registry.model_by_name(tx, project_id, wanted.name, lock=True)
    present = imports.versions_created(tx, model)
    added = [version for version in wanted.versions if version.version not in present]
    for version in added:
        _insert(tx, actor, model, version)
    here = {*present, *(version.version for version in added)}
    aliases, refused = _add_aliases(tx, actor, model, {a: v for a, v in wanted.aliases.items() if v in here})
    if added or aliases:
        numbers = [version.version for version in added]
        highest = max([model.last_version, *numbers])
        registry.update_model(tx, model, last_version=highest, updated=now())
        detail = {"versions": numbers, "aliases": aliases}
        record(tx, actor, "model.imported", project_id=project_id, thing=wanted.name, detail=detail)
    known = [version for version in wanted.versions if version.version in present]
    same = [version.version for version in known if present[version.version] == version.created]
    others = [version.version for version in known if present[version.version] != version.created]
    return ImportedModelVersions([version.version for version in added], aliases, same, others, refused)


def _insert(tx: Tx, actor: Actor, model: RegisteredModel, wanted: ImportVersion) -> None:
    if not 1 <= wanted.version < 2**31:
        raise InvalidImport(f"version {wanted.version} of model {model.name!r} is not a number from 1 on")
    source = None
    if wanted.logged_model_id is not None:
        source = logged.logged_model_by_id(tx, model.project_id, wanted.logged_model_id)
    row = {
        "model_id": model.id,
        "version": wanted.version,
        "project_id": model.project_id,
        "logged_model_id": None if source is None else source.id,
        "manifest_digest": None if source is None else source.manifest_digest,
        "run_id": wanted.run_id,
        "run_link": naming.check_text(wanted.run_link, "run link"),
        "source": naming.check_text(wanted.source, "source"),
        "status": "ready",
        "status_message": "",
        "stage": naming.check_stage(wanted.stage or "None"),
        "description": naming.check_text(wanted.description, "description"),
        "created": _moment(wanted.created),
        "updated": now(),
        "creator_id": actor.id,
        "creator_name": wanted.creator or actor.name,
        "deleted_at": None,
    }
    registry.insert_version(tx, row)
    registry.change_tags(tx, model, wanted.version, dict(naming.check_tags(wanted.tags)))


def _add_aliases(tx: Tx, actor: Actor, model: RegisteredModel, aliases: dict[str, int]) -> tuple[list[str], list[str]]:
    """Those that were missing: (set now, kept out by gates or a missing approval)."""
    standing = registry.aliases_of(tx, model)
    added, refused = [], []
    for alias, version in aliases.items():
        if naming.check_alias(alias) in standing:
            continue
        if not judge_imported_alias(tx, actor, model, version, alias):
            refused.append(alias)
            continue
        registry.put_alias(tx, model, alias, version, now())
        added.append(alias)
    return added, refused


def _moment(at: int) -> int:
    if not 0 <= at <= 253_402_300_799_999:
        raise InvalidImport(f"{str(at)[:24]} is not a moment; give milliseconds since 1970")
    return at
