"""Two versions of one model, read for a comparison."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.models.queries import evaluations, facts, logged, pages, registry
from tilth.domains.models.rules.diffing import Side, difference
from tilth.wire.evaluations import VersionDifference


def version_difference(tx: Tx, project_id: str, name: str, a: int, b: int) -> VersionDifference:
    """Raises UnknownModel, UnknownVersion."""
    return difference(_side(tx, project_id, name, a), _side(tx, project_id, name, b))


def _side(tx: Tx, project_id: str, name: str, version: int) -> Side:
    detail = pages.version_detail(tx, project_id, name, version)
    source = detail.logged_model
    return Side(
        version=detail.version,
        run=facts.run_facts(tx, project_id, detail.version.run_id),
        params=logged.params_of(tx, project_id, source.id) if source else {},
        document=source.document if source else None,
        files=source.files if source else (),
        card=detail.card.fields,
        evaluations=evaluations.evaluations_of_version(tx, registry.model_by_name(tx, project_id, name), version),
    )
