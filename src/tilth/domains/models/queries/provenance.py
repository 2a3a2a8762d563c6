"""Where models from elsewhere come from, and who trusts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, select, update

from tilth.backends.sql import Tx, hot, upsert
from tilth.domains.models.tables import model_provenance
from tilth.wire.provenance import ProvenanceView

_ONE = hot(
    select(*model_provenance.c).where(
        model_provenance.c.project_id == bindparam("project_id"), model_provenance.c.logged_model_id == bindparam("id")
    )
)


def provenance_of(tx: Tx, project_id: str, logged_model_id: str) -> ProvenanceView | None:
    """None for a model that was logged by the program that trained it."""
    row = tx.one(_ONE, project_id=project_id, id=logged_model_id)
    if row is None:
        return None
    return ProvenanceView(
        source=row.source,
        sha256=row.sha256,
        format=row.format,
        runs_code=bool(row.runs_code),
        verdict=row.verdict,
        findings=list(row.findings),
        scanner=row.scanner,
        note=row.note,
        recorded=row.recorded,
        recorded_by=row.recorder_name,
        trusted=row.trusted,
        trusted_by=row.truster_name,
        trust_reason=row.trust_reason,
    )


def put_provenance(tx: Tx, row: Mapping[str, Any]) -> None:
    """Replaces what was said before."""
    changes = [name for name in row if name not in ("logged_model_id", "project_id")]
    tx.run(upsert(model_provenance, keys=["logged_model_id"], update=changes).values(**row))


def mark_trusted(tx: Tx, project_id: str, logged_model_id: str, *, at: int, truster_id: str, name: str, reason: str) -> None:
    tx.run(
        update(model_provenance)
        .where(model_provenance.c.project_id == project_id, model_provenance.c.logged_model_id == logged_model_id)
        .values(trusted=at, truster_id=truster_id, truster_name=name, trust_reason=reason)
    )
