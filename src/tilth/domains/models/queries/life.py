"""The life of a version as pages, cards and commands show it."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.models.queries import evaluations, gates, registry
from tilth.domains.models.rules import life
from tilth.wire.evaluations import VersionLife


def version_life(tx: Tx, project_id: str, name: str, version: int) -> VersionLife:
    """Raises UnknownModel, UnknownVersion."""
    model = registry.model_by_name(tx, project_id, name)
    found = registry.version_of(tx, model, version)
    measured = evaluations.evaluations_of_version(tx, model, version)
    verdicts = gates.verdicts_of(tx, model, version)
    approvals = gates.approvals_of(tx, model, version)
    policy = gates.policy_of(tx, model).policy
    aliases = [alias for alias, number in registry.aliases_of(tx, model).items() if number == version]
    steps = life.steps_of(
        sealed=found.manifest_digest is not None,
        evaluations=len(measured),
        verdicts=verdicts,
        approval=approvals[0].state if approvals else None,
        policy=policy,
        aliases=aliases,
    )
    return VersionLife(steps, measured, verdicts, approvals, gates.checks_of(tx, model, version), policy)
