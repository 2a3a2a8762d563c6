"""Logged models: opened, filled with files, sealed. From then on nothing about their bytes changes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tilth.backends.sql import Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.errors import TooLarge
from tilth.core.hashing import FileEntry, Manifest
from tilth.core.ids import ProjectId, new_logged_model_id
from tilth.core.killpoints import reach
from tilth.core.names import check_artifact_path, check_name
from tilth.domains.audit.actions import record
from tilth.domains.models.actions.evaluations import forget_evaluations
from tilth.domains.models.actions.provenance import record_provenance
from tilth.domains.models.queries import facts, logged
from tilth.domains.models.queries.logged import LoggedModel
from tilth.domains.models.queries.provenance import provenance_of
from tilth.domains.models.rules import naming
from tilth.domains.models.rules.provenance import moved_in
from tilth.domains.models.types import IncompleteModel, LoggedModelStatus, ModelParamChanged, ModelSealed, VersionInUse
from tilth.wire.models import DOCUMENT_NAME, ModelDocument


class TooManyFiles(TooLarge):
    """A logged model holds at most `logged.MAX_FILES` files."""


def create_logged_model(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    *,
    name: str,
    source_run_id: str | None = None,
    experiment_id: str | None = None,
    model_type: str = "",
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> LoggedModel:
    """Opens a logged model with the status pending. Its experiment is that of the source run when none is named.

    Raises UnknownRun, UnknownExperiment, Invalid.
    """
    check_name(name, "logged model")
    naming.check_text(model_type, "model type")
    experiment_id = facts.experiment_for(tx, project_id, source_run_id, experiment_id)
    id_, at = new_logged_model_id(), now()
    logged.insert_logged_model(
        tx,
        {
            "id": id_,
            "project_id": project_id,
            "experiment_id": experiment_id,
            "source_run_id": source_run_id,
            "name": name,
            "model_type": model_type,
            "status": "pending",
            "status_message": "",
            "created": at,
            "updated": at,
            "creator_id": actor.id,
            "creator_name": actor.name,
            "manifest_digest": None,
            "size": 0,
            "flavour": "",
            "document": None,
            "deleted_at": None,
        },
    )
    naming.check_model_words(params or {}, tags or {})
    logged.put_pairs(tx, project_id, id_, params=params or {}, tags=tags or {})
    record(tx, actor, "logged_model.created", project_id=project_id, thing=id_, detail={"name": name, "run": source_run_id})
    return logged.logged_model_by_id(tx, project_id, id_)


def add_file(tx: Tx, project_id: ProjectId, logged_model_id: str, entry: FileEntry, *, reopen: bool = False) -> FileEntry:
    """Notes a file whose bytes are stored already; a file of the same path is replaced.

    reopen: a model that is ready, but never became a version, may change still; it loses its seal.
    Not audited: an open logged model belongs to the run that fills it. Raises UnknownLoggedModel, ModelSealed, TooManyFiles.
    """
    check_artifact_path(entry.path)
    model = changeable(tx, project_id, logged_model_id) if reopen else _open_model(tx, project_id, logged_model_id)
    before = logged.file_of(tx, project_id, model.id, entry.path)
    if before == entry:
        return entry
    if before is None and logged.count_files(tx, project_id, model.id) >= logged.MAX_FILES:
        raise TooManyFiles(f"logged model {model.id} has {logged.MAX_FILES} files already; pack some of them into one archive")
    if before is not None:
        blob_use.release(tx, project_id, before.digest)
    blob_use.claim(tx, project_id, entry.digest, entry.size)
    logged.put_file(tx, project_id, model.id, entry)
    _unseal(tx, model)
    return entry


def remove_files(tx: Tx, project_id: ProjectId, logged_model_id: str, path: str) -> int:
    """Lets go of the file `path`, or of every file below the folder of that name ("" is the root). How many went.

    Raises UnknownLoggedModel, ModelSealed once a version was made of the model.
    """
    model = changeable(tx, project_id, logged_model_id)
    inside = f"{path}/" if path else ""
    gone = [e for e in logged.files_of(tx, project_id, model.id) if e.path == path or e.path.startswith(inside)]
    for entry in gone:
        blob_use.release(tx, project_id, entry.digest)
    logged.delete_some_files(tx, project_id, model.id, [entry.path for entry in gone])
    if gone:
        _unseal(tx, model)
    return len(gone)


def changeable(tx: Tx, project_id: ProjectId, logged_model_id: str) -> LoggedModel:
    """The model, held, if its files may change still: no version was ever made of it, and nobody imported it.

    Raises UnknownLoggedModel, ModelSealed.
    """
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    if logged.was_registered(tx, project_id, model.id):
        raise ModelSealed(model.id, "registered")
    if model.status == "ready" and provenance_of(tx, project_id, model.id) is not None:
        # What was looked at, and maybe trusted, is these files and no others.
        raise ModelSealed(model.id, "imported")
    return model


def _unseal(tx: Tx, model: LoggedModel) -> None:
    if model.manifest_digest is not None:
        logged.update_logged_model(tx, model.project_id, model.id, manifest_digest=None, document=None, flavour="", updated=now())


def seal(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    logged_model_id: str,
    manifest: Manifest,
    document: ModelDocument | None,
    flavour: str,
) -> LoggedModel:
    """Makes a logged model ready. `manifest` and `document` were read and checked outside the transaction.

    Sealing again what is sealed with the same manifest changes nothing. Raises ModelSealed, also when a file came in between.
    """
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    if model.status == "ready" and model.manifest_digest == manifest.digest:
        return model
    if (
        model.status == "failed"
        or model.manifest_digest is not None
        or Manifest.of(logged.files_of(tx, project_id, model.id)) != manifest
    ):
        sealed = model.status == "failed" or model.manifest_digest is not None
        raise ModelSealed(model.id, model.status if sealed else "being uploaded elsewhere")
    _check_isolation(tx, model, document)
    reach("model_before_seal")
    if document is not None and document.isolated and provenance_of(tx, project_id, model.id) is None:
        # It was imported into another Tilth and moved here: trust is not moved with it.
        record_provenance(tx, actor, project_id, model.id, moved_in(model.name, manifest.digest))
    logged.update_logged_model(
        tx,
        project_id,
        model.id,
        status="ready",
        updated=now(),
        manifest_digest=manifest.digest,
        size=manifest.size,
        flavour=flavour,
        document=msgspec.to_builtins(document) if document is not None else None,
    )
    reach("model_after_seal")
    record(
        tx,
        actor,
        "logged_model.sealed",
        project_id=project_id,
        thing=model.id,
        detail={"manifest_digest": manifest.digest, "files": len(manifest.files), "bytes": manifest.size},
    )
    return logged.logged_model_by_id(tx, project_id, model.id)


def _check_isolation(tx: Tx, model: LoggedModel, document: ModelDocument | None) -> None:
    """What came from elsewhere and may run code is served by a process of its own, whatever its folder says. Raises IncompleteModel."""
    provenance = provenance_of(tx, model.project_id, model.id)
    if provenance is not None and provenance.runs_code and document is not None and not document.isolated:
        raise IncompleteModel(
            f"logged model {model.id} may run code that came with it, and its {DOCUMENT_NAME} lacks `isolated`; import it again"
        )


def give_up(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, message: str) -> LoggedModel:
    """Marks an upload as failed; it takes no more files. Raises UnknownLoggedModel, ModelSealed."""
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    if model.status == "ready":
        raise ModelSealed(model.id, model.status)
    message = naming.check_text(message, "message")
    logged.update_logged_model(tx, project_id, model.id, status="failed", status_message=message, updated=now())
    record(tx, actor, "logged_model.failed", project_id=project_id, thing=model.id, detail={"message": message[:500]})
    return logged.logged_model_by_id(tx, project_id, model.id)


def mark(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, status: LoggedModelStatus) -> None:
    """Sets the status alone, as MLflow's clients do. What a version was made of stays ready: raises ModelSealed."""
    model = changeable(tx, project_id, logged_model_id)
    if model.status != status:
        logged.update_logged_model(tx, project_id, model.id, status=status, updated=now())
        record(tx, actor, "logged_model.marked", project_id=project_id, thing=model.id, detail={"status": status})


def add_params(tx: Tx, project_id: ProjectId, logged_model_id: str, params: dict[str, str]) -> None:
    """What a program says about the model it logs; not audited. Raises UnknownLoggedModel, Invalid, ModelParamChanged."""
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    naming.check_model_words(params, {})
    known = logged.params_of(tx, project_id, model.id)
    for key, value in params.items():
        if known.get(key, value) != value:
            raise ModelParamChanged(model.id, key, known[key], value)
    logged.put_pairs(tx, project_id, model.id, params=params, tags={})


def untag_logged_model(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, key: str) -> bool:
    """Whether there was such a tag. Raises UnknownLoggedModel."""
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    if key not in logged.tags_of(tx, project_id, model.id):
        return False
    logged.delete_tag(tx, project_id, model.id, key)
    record(tx, actor, "logged_model.tagged", project_id=project_id, thing=model.id, detail={"removed": [key]})
    return True


def tag_logged_model(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, tags: dict[str, str]) -> None:
    """Sets tags; they may change after sealing, being words about the model."""
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    naming.check_model_words({}, tags)
    logged.put_pairs(tx, project_id, model.id, params={}, tags=tags)
    record(tx, actor, "logged_model.tagged", project_id=project_id, thing=model.id, detail={"tags": sorted(tags)})


def delete_logged_model(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str) -> None:
    """Lets go of the bytes for good; they are collected after a grace period. Raises VersionInUse while a version points to it."""
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    _refuse_while_registered(tx, model)
    _release(tx, project_id, model, logged.files_of(tx, project_id, model.id))
    forget_evaluations(tx, project_id, model.id)
    logged.update_logged_model(tx, project_id, model.id, deleted_at=now())
    record(tx, actor, "logged_model.deleted", project_id=project_id, thing=model.id, detail={"name": model.name})


def _refuse_while_registered(tx: Tx, model: LoggedModel) -> None:
    names = logged.registrations_of(tx, model.project_id, model.id)
    if names:
        raise VersionInUse(
            f"logged model {model.id} is {', '.join(f'{n.model} version {n.version}' for n in names[:5])}; delete the version first"
        )


def _release(tx: Tx, project_id: ProjectId, model: LoggedModel, files: Sequence[FileEntry]) -> None:
    for entry in files:
        blob_use.release(tx, project_id, entry.digest)
    logged.delete_files(tx, project_id, model.id)


def _open_model(tx: Tx, project_id: ProjectId, logged_model_id: str) -> LoggedModel:
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    if model.status != "pending":
        raise ModelSealed(model.id, model.status)
    return model
