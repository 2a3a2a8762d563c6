"""Deleting models, versions and logged models for good. Each is one transaction; what somebody still serves stays."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.backends.sql import Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import Millis
from tilth.core.ids import Digest, ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.comments.actions import forget_comments
from tilth.domains.models.queries import logged, purging


def purge_models(tx: Tx, actor: Actor, project_id: ProjectId, before: Millis, *, ids: Sequence[str] | None = None) -> int:
    """Models with all their versions, at most ten at once. Returns how many went."""
    gone = 0
    for row in purging.deleted_models(tx, project_id, before, ids=ids, limit=10):
        if purging.is_held(tx, project_id, row.id, None):
            continue
        _release_scores(tx, project_id, model_id=row.id)
        numbers = purging.version_numbers(tx, project_id, row.id)
        forget_comments(tx, project_id, "version", [f"{row.id}/{number}" for number in numbers])
        forget_comments(tx, project_id, "model", [row.id])
        purging.delete_model(tx, project_id, row.id)
        record(tx, actor, "model.purged", project_id=project_id, thing=row.name, detail={"id": row.id})
        gone += 1
    return gone


def purge_versions(tx: Tx, actor: Actor, project_id: ProjectId, before: Millis, *, ids: Sequence[str] | None = None) -> int:
    """Versions that were deleted by themselves, at most 100 at once. ids: `model/number`. Returns how many went."""
    gone = 0
    for row in purging.deleted_versions(tx, project_id, before):
        name = f"{row.name}/{row.version}"
        if (ids is not None and name not in ids) or purging.is_held(tx, project_id, row.model_id, row.version):
            continue
        _release_scores(tx, project_id, model_id=row.model_id, version=row.version)
        forget_comments(tx, project_id, "version", [f"{row.model_id}/{row.version}"])
        purging.delete_version(tx, project_id, row.model_id, row.version)
        record(tx, actor, "model_version.purged", project_id=project_id, thing=name)
        gone += 1
        if gone == 100:
            break
    return gone


def purge_logged_models(tx: Tx, actor: Actor, project_id: ProjectId, before: Millis, *, ids: Sequence[str] | None = None) -> int:
    """Logged models that no version refers to, at most ten at once. Returns how many went."""
    found = purging.deleted_logged_models(tx, project_id, before, ids=ids, limit=10)
    for row in found:
        for entry in logged.files_of(tx, project_id, row.id):
            blob_use.release(tx, project_id, entry.digest)
        _release_scores(tx, project_id, logged_model_id=row.id)
        purging.delete_logged_model(tx, project_id, row.id)
        record(tx, actor, "logged_model.purged", project_id=project_id, thing=row.id, detail={"name": row.name})
    return len(found)


def _release_scores(
    tx: Tx, project_id: ProjectId, *, model_id: str | None = None, version: int | None = None, logged_model_id: str | None = None
) -> None:
    found = purging.score_digests(tx, project_id, model_id=model_id, version=version, logged_model_id=logged_model_id)
    for digest in found:
        blob_use.release(tx, project_id, Digest(digest))
