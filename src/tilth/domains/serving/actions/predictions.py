"""Files of predictions arrive, become fewer, and go when their time is over."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tilth.backends.sql import Tx, blob_use
from tilth.core.actors import SYSTEM, Actor
from tilth.core.clock import DAY, Millis, now
from tilth.core.ids import Digest, ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.serving.actions.generations import Change, Form, again, apply, checked_note
from tilth.domains.serving.queries import deployments
from tilth.domains.serving.queries import predictions as queries
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import FilesReplaced, PredictionFile
from tilth.wire.prediction_tables import PredictionPolicy
from tilth.wire.shipping import Compacted, Shipment, ShippedFile

SEGMENTS_KEPT = 30 * DAY
"""How long a shipped segment is remembered, so that one which could not be deleted is never taken twice."""


def ship(tx: Tx, shipment: Shipment) -> list[str]:
    """Takes all of the shipment, or, if any of its segments was shipped before, nothing: those segments.

    The bytes of its files must be stored already. Files of deployments that are gone are left out. Like what a run logs, a shipment
    is not audited: it is what the deployment does all the time.
    """
    known = queries.known_segments_across_projects(tx, [segment.id for segment in shipment.segments])
    if known:
        return known
    at = now()
    queries.insert_segments(
        tx,
        [
            {
                "id": segment.id,
                "shipped": at,
                "frames": segment.frames,
                "undecoded": segment.undecoded,
                "dropped": segment.dropped,
                "torn_bytes": segment.torn_bytes,
            }
            for segment in shipment.segments
        ],
    )
    _add(tx, shipment.files, at)
    return []


def replace_files(tx: Tx, compacted: Compacted) -> None:
    """Puts the joined file in the place of the small ones. Raises FilesReplaced unless all of them are there."""
    old = queries.files_by_ids_across_projects(tx, compacted.replaces, lock=True)
    if len(old) != len(set(compacted.replaces)) or {file.deployment_id for file in old} != {compacted.file.deployment_id}:
        raise FilesReplaced
    _remove(tx, old)
    _add(tx, [compacted.file], now())


def note_retry(tx: Tx, actor: Actor, segments: int) -> None:
    """So many segments that were set aside are tried again."""
    record(tx, actor, "predictions.retried", project_id=None, thing="segments", detail={"segments": segments})


def drop_expired(tx: Tx, deployment: Deployment, moment: Millis) -> int:
    """Lets go of files whose last prediction is older than the deployment keeps them; how many rows went. At most 1,000 files."""
    project_id = ProjectId(deployment.project_id)
    before = Millis(moment - deployment.settings.keep_predictions_days * DAY)
    files = queries.expired_files(tx, project_id, deployment.id, before)
    if not files:
        return 0
    _remove(tx, files)
    rows = sum(file.rows for file in files)
    detail = {"files": len(files), "rows": rows, "through_day": max(file.day for file in files)}
    record(tx, SYSTEM, "predictions.expired", project_id=project_id, thing=deployment.name, detail=detail)
    return rows


def keep_predictions(tx: Tx, actor: Actor, project_id: ProjectId, name: str, policy: PredictionPolicy) -> Deployment:
    """What of the deployment's predictions is kept from now on: a new generation with other settings, and the same routes.

    Raises UnknownDeployment, NotServable when a version it routes to was deleted meanwhile.
    """
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    before = found.settings
    settings = msgspec.structs.replace(
        before,
        keep_predictions_days=before.keep_predictions_days if policy.keep_days is None else policy.keep_days,
        redact=before.redact if policy.redact is None else policy.redact,
        log_sample=before.log_sample if policy.sample is None else policy.sample,
    )
    model, routes = again(tx, project_id, found.routes)
    form = Form(found.model_id, model, routes, found.alias, settings, found.version)
    return apply(tx, Change(actor, "settings", checked_note(policy.note)), found, form)


def _add(tx: Tx, files: Sequence[ShippedFile], at: Millis) -> None:
    rows = []
    for file in files:
        found = queries.deployment_even_gone_across_projects(tx, file.deployment_id)
        if found is None:
            continue
        blob_use.claim(tx, ProjectId(found.project_id), Digest(file.digest), file.size)
        rows.append(
            {
                "id": new_id(),
                "project_id": found.project_id,
                "deployment_id": file.deployment_id,
                "day": file.day,
                "digest": file.digest,
                "size": file.size,
                "rows": file.rows,
                "first": file.first,
                "last": file.last,
                "min_id": file.min_id,
                "max_id": file.max_id,
                "columns": file.columns,
                "versions": list(file.versions),
                "shadow": file.shadow,
                "created": at,
            }
        )
    queries.insert_files(tx, rows)


def _remove(tx: Tx, files: Sequence[PredictionFile]) -> None:
    queries.delete_files_across_projects(tx, [file.id for file in files])
    for file in files:
        blob_use.release(tx, ProjectId(file.project_id), Digest(file.digest))
