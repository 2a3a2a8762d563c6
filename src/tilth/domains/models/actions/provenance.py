"""Models from elsewhere: where they come from is said while they are open, and a maintainer may say that their code may run."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.audit.actions import record
from tilth.domains.models.queries import logged, provenance
from tilth.domains.models.rules.provenance import checked, checked_reason, why_barred
from tilth.domains.models.types import ModelSealed, NotImported
from tilth.wire.provenance import RecordProvenance


def record_provenance(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, said: RecordProvenance) -> None:
    """Said again before the files are sealed, it replaces what was said, and a trust that was given to that is gone.

    Raises UnknownLoggedModel, ModelSealed, InvalidProvenance.
    """
    said = checked(said)
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    if model.status != "pending":
        raise ModelSealed(model.id, model.status)
    provenance.put_provenance(
        tx,
        {
            "logged_model_id": model.id,
            "project_id": project_id,
            "source": said.source,
            "sha256": said.sha256,
            "format": said.format,
            "runs_code": said.runs_code,
            "verdict": said.verdict,
            "findings": said.findings,
            "scanner": said.scanner,
            "note": said.note,
            "recorded": now(),
            "recorder_id": actor.id,
            "recorder_name": actor.name,
            "trusted": None,
            "truster_id": None,
            "truster_name": "",
            "trust_reason": "",
        },
    )
    _settle(tx, project_id, model.id)
    detail = {"source": said.source, "sha256": said.sha256, "format": said.format, "verdict": said.verdict}
    record(tx, actor, "logged_model.provenance", project_id=project_id, thing=model.id, detail=detail)


def trust_model(tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, reason: str) -> None:
    """From now on it may be served, if it can be. Raises UnknownLoggedModel, NotImported, ReasonMissing."""
    reason = checked_reason(reason)
    model = logged.lock_logged_model(tx, project_id, logged_model_id)
    found = provenance.provenance_of(tx, project_id, model.id)
    if found is None:
        raise NotImported(model.id)
    provenance.mark_trusted(tx, project_id, model.id, at=now(), truster_id=actor.id, name=actor.name, reason=reason)
    _settle(tx, project_id, model.id)
    detail = {"reason": reason, "verdict": found.verdict, "sha256": found.sha256}
    record(tx, actor, "logged_model.trusted", project_id=project_id, thing=model.id, detail=detail)


def _settle(tx: Tx, project_id: ProjectId, logged_model_id: str) -> None:
    """Whether it may be served follows from what is known by now."""
    found = provenance.provenance_of(tx, project_id, logged_model_id)
    if found is None:
        return
    barred = why_barred(
        logged_model_id,
        note=found.note,
        runs_code=found.runs_code,
        verdict=found.verdict,
        findings=found.findings,
        trusted=found.trusted is not None,
    )
    logged.update_logged_model(tx, project_id, logged_model_id, barred=barred, updated=now())
