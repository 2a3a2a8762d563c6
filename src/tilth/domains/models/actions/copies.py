"""Logged models made of what a run has stored already: the rows are copied, the bytes stay where they are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tilth.backends.sql import Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.errors import Conflict
from tilth.core.hashing import FileEntry, Manifest
from tilth.core.ids import Digest, ProjectId, new_logged_model_id
from tilth.domains.audit.actions import record
from tilth.domains.models.queries import facts, logged
from tilth.domains.tracking import queries as tracking
from tilth.wire.models import ModelDocument


class ArtifactsMoved(Conflict):
    """Artifacts of a run changed while a version was made of them."""


def run_files(tx: Tx, project_id: ProjectId, run_id: str, folder: str) -> list[FileEntry]:
    """Files of the run below `folder` ("" is the root), with paths relative to it; at most 10,000. None for a run that is not there."""
    start = len(folder) + 1 if folder else 0
    found = tracking.artifacts_of(tx, project_id, run_id, folder=folder, recursive=True)
    return [FileEntry(e.path[start:], Digest(e.digest), e.size or 0) for e in found if not e.is_dir and e.digest]


def copy_of_run(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    run_id: str,
    folder: str,
    source: str,
    files: Sequence[FileEntry],
    document: ModelDocument | None,
) -> str:
    """A ready logged model made of `files`, which `run_files` gave before; its id. It is listed nowhere but at its version.

    Raises ArtifactsMoved when the run has other files by now, UnknownRun.
    """
    if run_files(tx, project_id, run_id, folder) != list(files):
        raise ArtifactsMoved(f"the artifacts of run {run_id} below {folder!r} changed just now; register the version again")
    id_, at, manifest = new_logged_model_id(), now(), Manifest.of(files)
    logged.insert_logged_model(
        tx,
        {
            "id": id_,
            "project_id": project_id,
            "experiment_id": facts.experiment_for(tx, project_id, run_id, None),
            "source_run_id": run_id,
            "name": folder.rpartition("/")[2] or "model",
            "model_type": "",
            "status": "ready",
            "status_message": "",
            "created": at,
            "updated": at,
            "creator_id": actor.id,
            "creator_name": actor.name,
            "manifest_digest": manifest.digest,
            "size": manifest.size,
            "flavour": document.flavour if document is not None else "mlflow",
            "document": msgspec.to_builtins(document) if document is not None else None,
            "copied_from": source,
            "deleted_at": None,
        },
    )
    for entry in manifest.files:
        blob_use.claim(tx, project_id, entry.digest, entry.size)
        logged.put_file(tx, project_id, id_, entry)
    detail = {"run": run_id, "source": source[:500], "files": len(manifest.files), "bytes": manifest.size}
    record(tx, actor, "logged_model.copied", project_id=project_id, thing=id_, detail=detail)
    return id_
