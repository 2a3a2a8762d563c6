"""How the answers of two versions to the same rows compare. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from tilth.domains.serving.rules.stability import population_stability, score_bins
from tilth.wire.plane import VersionTally
from tilth.wire.scores import score_bucket
from tilth.wire.shadows import Agreement, Disagreement, Latencies

SAME = 1e-9
"""Relative difference below which two numbers are one: engines round differently in the last digits."""
MOST_SHOWN = 20
HALF = 0.5

Outputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """One row that both versions answered. latencies in us, None where not known; a request's latency stands with each of its rows."""

    row_id: str
    candidate: Outputs
    champion: Outputs
    candidate_us: int | None = None
    champion_us: int | None = None

    @property
    def is_first(self) -> bool:
        """Of its request."""
        return self.row_id.endswith(".0")


def agreement(pairs: Sequence[Pair], answered: int, most_rows: int) -> Agreement:
    """answered: rows that were answered in that time, of which `pairs` are those that the candidate answered, too."""
    scores = [(score_of(pair.candidate), score_of(pair.champion)) for pair in pairs]
    numbers = [(ours, theirs) for ours, theirs in scores if _is_number(ours) and _is_number(theirs)]
    differences = [abs(ours - theirs) for ours, theirs in numbers]
    bins = score_bins(_tally([ours for ours, _ in scores]), _tally([theirs for _, theirs in scores])) if numbers else ()
    return Agreement(
        rows=len(pairs),
        answered=answered,
        coverage=len(pairs) / answered if answered else 0.0,
        same=_share([_same(pair.candidate, pair.champion) for pair in pairs]),
        same_class=_same_class(pairs, scores),
        mean_difference=math.fsum(differences) / len(differences) if differences else None,
        max_difference=max(differences, default=None),
        stability=population_stability(bins) if bins else None,
        bins=list(bins),
        candidate=_latencies([pair.candidate_us for pair in pairs if pair.is_first]),
        champion=_latencies([pair.champion_us for pair in pairs if pair.is_first]),
        disagreements=_worst(pairs, scores),
        most_rows=most_rows,
    )


def score_of(outputs: Outputs) -> float | str | None:
    """The value of the only output, or the index of the greatest of several; None where there is none."""
    values = list(outputs.values())
    if len(values) == 1:
        return (
            float(values[0]) if isinstance(values[0], bool) else values[0] if isinstance(values[0], int | float | str) else None
        )
    numbers = [value for value in values if _is_number(value)]
    if not numbers or len(numbers) != len(values):
        return None
    return float(max(range(len(values)), key=values.__getitem__))


def _same_class(pairs: Sequence[Pair], scores: Sequence[tuple[Any, Any]]) -> float | None:
    if not pairs:
        return None
    if len(pairs[0].champion) > 1 or isinstance(scores[0][1], str):
        return _share([ours == theirs for ours, theirs in scores])
    both = [score for pair in scores for score in pair if _is_number(score)]
    if not both or min(both) < 0 or max(both) > 1:
        return None
    return _share([_is_number(ours) and _is_number(theirs) and (ours >= HALF) == (theirs >= HALF) for ours, theirs in scores])


def _same(ours: Outputs, theirs: Outputs) -> bool:
    return ours.keys() == theirs.keys() and all(_equal(value, theirs[name]) for name, value in ours.items())


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if _is_number(ours) and _is_number(theirs):
        return math.isclose(ours, theirs, rel_tol=SAME, abs_tol=SAME)
    return bool(ours == theirs)


def _worst(pairs: Sequence[Pair], scores: Sequence[tuple[Any, Any]]) -> list[Disagreement]:
    """The rows with the greatest differences first; texts that differ count as 1."""

    def distance(ours: Any, theirs: Any) -> float:
        if _is_number(ours) and _is_number(theirs):
            return float(abs(ours - theirs))
        return float(ours != theirs)

    ranked = sorted(
        ((distance(*score), pair.row_id, *score) for pair, score in zip(pairs, scores, strict=True)),
        key=lambda each: (-each[0], each[1]),
    )
    return [Disagreement(row_id, ours, theirs) for far, row_id, ours, theirs in ranked[:MOST_SHOWN] if far > SAME]


def _tally(scores: Sequence[Any]) -> VersionTally:
    numbers = [score for score in scores if _is_number(score)]
    counts = Counter(map(score_bucket, numbers))
    return VersionTally("", scores=dict(counts), missing_scores=len(scores) - len(numbers))


def _latencies(micros: Sequence[int | None]) -> Latencies:
    known = sorted(value for value in micros if value is not None)
    if not known:
        return Latencies(None, None, None)

    def at(share: float) -> float:
        return known[min(len(known) - 1, math.ceil(share * len(known)) - 1)] / 1000

    return Latencies(at(0.5), at(0.9), at(0.99))


def _share(truths: Sequence[bool]) -> float:
    return sum(truths) / len(truths) if truths else 0.0


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
