"""While a rollout is judged by labels, its tallies follow them: each transaction that changes labels adds what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tilth.backends.sql import Tx
from tilth.domains.serving.queries import labels, rollouts
from tilth.domains.serving.rules.label_guardrails import label_findings
from tilth.domains.serving.rules.outcomes import LabelTally, tally_of
from tilth.domains.serving.types import Deployment, Rollout
from tilth.wire.rollouts import Finding


@contextmanager
def counted(tx: Tx, found: Deployment, prediction_ids: Sequence[str], join_keys: Sequence[str] = ()) -> Iterator[None]:
    """Around what changes labels of these predictions, or of those of these keys. The deployment is locked.

    Looks at these rows alone, before and after, so that it never matters how many there are besides.
    """
    going = rollouts.rollout_under_way(tx, found.project_id, found.id)
    if going is None or not going.plan.guardrails.labels:
        yield
        return
    where = (tx, going.project_id, going.deployment_id, going.created, prediction_ids, join_keys)
    before = labels.labelled_since(*where)
    yield
    after = labels.labelled_since(*where)
    tallies = rollouts.label_tallies(tx, going.project_id, going.id)
    for version in (going.candidate, going.champion):
        was, is_ = (tally_of(*seen[version]) if version in seen else LabelTally() for seen in (before, after))
        if was != is_:
            known = tallies.get(version, LabelTally())
            rollouts.keep_label_tally(tx, going.project_id, going.id, version, known.plus(was, -1).plus(is_))


def labels_say(tx: Tx, going: Rollout) -> tuple[Finding, ...]:
    """One finding for each guardrail on labels, over everything that was answered since the rollout began."""
    rails = going.plan.guardrails.labels
    if not rails:
        return ()
    tallies = rollouts.label_tallies(tx, going.project_id, going.id)
    return label_findings(rails, *(tallies.get(version, LabelTally()) for version in (going.candidate, going.champion)))
