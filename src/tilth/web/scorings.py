"""Batch scorings on pages: that of a run, and the newest of a model version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.domains.tracking.rules.filters import Condition
from tilth.wire.scoring import SCORED_VERSION_TAG, SCORING_TAG, ScoringRecord
from tilth.wire.tracking import RunInfo

SHOWN_SCORINGS = 8


@dataclass(frozen=True, slots=True)
class ScoringLine:
    """record is None while the run goes on, and where it failed."""

    run: RunInfo
    record: ScoringRecord | None


def record_in(tags: Mapping[str, str]) -> ScoringRecord | None:
    """What the run scored; None where it scored nothing, or somebody else wrote the tag."""
    try:
        return msgspec.json.decode(tags.get(SCORING_TAG, ""), type=ScoringRecord)
    except (msgspec.DecodeError, RecursionError):
        return None


def scorings_of(tx: Tx, project_id: str, model: str, version: int) -> list[ScoringLine]:
    """The newest runs that scored files with the version."""
    named = Condition("tag", SCORED_VERSION_TAG, "=", f"{model}/{version}")
    runs = queries.runs_page(tx, project_id, terms=[named], limit=SHOWN_SCORINGS, total=False).runs
    tags = queries.tags_of(tx, project_id, [run.id for run in runs], [SCORING_TAG]) if runs else {}
    return [ScoringLine(run, record_in(tags.get(run.id, {}))) for run in runs]
