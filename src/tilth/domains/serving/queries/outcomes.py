"""How good labelled predictions were, by version."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.serving.queries.deployments import deployment_by_name
from tilth.domains.serving.queries.labels import labelled_scores, versions_with_labels
from tilth.domains.serving.rules.outcomes import kind_of, outcomes, tally_of
from tilth.wire.labels import OutcomeView, VersionOutcomes


def outcomes_by_version(tx: Tx, project_id: str, name: str, since: int, until: int) -> list[VersionOutcomes]:
    """Over what was answered in [since, until), of more than 200,000 rows of a version the newest. Raises UnknownDeployment."""
    found = deployment_by_name(tx, project_id, name)
    versions = versions_with_labels(tx, project_id, found.id, since, until)
    return [_measured(tx, project_id, found.id, version, since, until) for version in versions]


def _measured(tx: Tx, project_id: str, deployment_id: str, version: int, since: int, until: int) -> VersionOutcomes:
    tally = tally_of(*labelled_scores(tx, project_id, deployment_id, version, since, until), exact=True)
    metrics = [OutcomeView(name, each.value, each.low, each.high) for name, each in outcomes(tally).items()]
    return VersionOutcomes(version, kind_of(tally), tally.rows, metrics)
