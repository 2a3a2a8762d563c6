"""Artifacts of a run: rows that point to stored bytes, and the project's claim on them."""

from __future__ import annotations

from tilth.backends.sql import Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import Digest, ProjectId
from tilth.core.names import check_artifact_path
from tilth.domains.audit.actions import record
from tilth.domains.tracking.queries import changes, hot
from tilth.domains.tracking.types import ArtifactClash, RunDeleted, UnknownArtifact, UnknownRun
from tilth.wire.tracking import ArtifactEntry


def check_writable(tx: Tx, project_id: ProjectId, run_id: str, path: str) -> None:
    """Before bytes are taken in: raises InvalidName, UnknownRun, RunDeleted, ArtifactClash."""
    check_artifact_path(path)
    head = hot.head_to_write(tx, project_id, run_id)
    if head is None:
        raise UnknownRun(run_id)
    if head.deleted_at is not None:
        raise RunDeleted(run_id)
    clash = changes.clashing_artifact(tx, project_id, run_id, path)
    if clash is not None:
        raise ArtifactClash(path, clash)


def add_artifact(
    tx: Tx, project_id: ProjectId, run_id: str, path: str, *, digest: Digest, size: int, content_type: str
) -> ArtifactEntry:
    """Points `path` to bytes that are stored already; an artifact of that path is replaced. Raises as check_writable."""
    check_writable(tx, project_id, run_id, path)
    standing = changes.standing_artifact(tx, project_id, run_id, path)
    moment = now()
    row = {"digest": digest, "size": size, "content_type": content_type, "created": moment}
    changes.put_artifact(tx, project_id, run_id, path, row)
    if standing is None or standing.digest != digest:
        blob_use.claim(tx, project_id, digest, size)
        if standing is not None:
            blob_use.release(tx, project_id, standing.digest)
    return ArtifactEntry(path, False, size, digest, content_type, moment)


def delete_artifact(tx: Tx, actor: Actor, project_id: ProjectId, run_id: str, path: str) -> None:
    """Lets go of the bytes for good; they are collected after a grace period. Raises UnknownArtifact."""
    standing = changes.standing_artifact(tx, project_id, run_id, path)
    if standing is None:
        raise UnknownArtifact(path, run_id)
    changes.delete_artifact(tx, project_id, run_id, path)
    blob_use.release(tx, project_id, standing.digest)
    detail = {"path": path, "digest": standing.digest, "bytes": standing.size}
    record(tx, actor, "artifact.deleted", project_id=project_id, thing=run_id, detail=detail)
