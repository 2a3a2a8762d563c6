"""How far the scores of two versions lie apart: population stability index over deciles of the champion. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilth.wire.plane import VersionTally
from tilth.wire.rollouts import ScoreBin
from tilth.wire.scores import SCORE_BOUNDS

BINS = 10
EMPTY_SHARE = 1e-4
Z_999 = 3.0902323061678


def score_bins(candidate: VersionTally, champion: VersionTally) -> tuple[ScoreBin, ...]:
    """Bins that hold at least a tenth of the champion's scores each, and one of the answers without a number if there are any.

    A score that alone makes a tenth has a bin of its own: a model that always says the same differs from one that says more.
    Empty without answers on either side.
    """
    ours, theirs = _answers(candidate), _answers(champion)
    if not ours or not theirs:
        return ()
    bins = [
        ScoreBin(
            low=SCORE_BOUNDS[first - 1] if first else None,
            high=SCORE_BOUNDS[last] if last < len(SCORE_BOUNDS) else None,
            candidate=_within(candidate, first, last) / ours,
            champion=_within(champion, first, last) / theirs,
        )
        for first, last in _groups(champion)
    ]
    bins = [each for each in bins if each.candidate or each.champion]
    if candidate.missing_scores or champion.missing_scores:
        bins.append(ScoreBin(None, None, candidate.missing_scores / ours, champion.missing_scores / theirs, missing=True))
    return tuple(bins)


def population_stability(bins: Sequence[ScoreBin]) -> float:
    """Population stability index of the candidate's shares against the champion's, in nats, >= 0.

    Empty bins count as 1e-4. Practice reads 0.1 as "look" and 0.25 as "act". Source: Siddiqi, Credit Risk Scorecards (2006).
    """
    pairs = [(max(each.candidate, EMPTY_SHARE), max(each.champion, EMPTY_SHARE)) for each in bins]
    return sum((ours - theirs) * math.log(ours / theirs) for ours, theirs in pairs)


def chance(bins: int, ours: int, theirs: int) -> float:
    """What the index of two samples of ONE distribution exceeds in one case of a thousand.

    Times n m / (n + m) it is about chi-square with bins - 1 degrees of freedom (Yurdakul, Statistical properties of population
    stability index, 2018); its quantile by Wilson and Hilferty (1931).
    """
    free = bins - 1
    if free < 1:
        return 0.0
    spread = 2 / (9 * free)
    quantile = free * (1 - spread + Z_999 * math.sqrt(spread)) ** 3
    return quantile * (1 / ours + 1 / theirs)


def _groups(champion: VersionTally) -> list[tuple[int, int]]:
    """Ranges (first, last) of fine buckets that cover all of them."""
    total = sum(champion.scores.values())
    ends: list[int] = []
    gathered = 0
    for bucket, count in sorted(champion.scores.items()):
        alone = count * BINS >= total
        if alone and bucket - 1 > (ends[-1] if ends else -1):
            ends.append(bucket - 1)
        gathered = 0 if alone else gathered + count
        if alone or gathered * BINS >= total:
            ends.append(bucket)
            gathered = 0
    starts = [0, *(end + 1 for end in ends)]
    return [(start, end) for start, end in zip(starts, [*ends, len(SCORE_BOUNDS)], strict=True) if start <= end]


def _within(tally: VersionTally, first: int, last: int) -> int:
    return sum(count for bucket, count in tally.scores.items() if first <= bucket <= last)


def _answers(tally: VersionTally) -> int:
    return sum(tally.scores.values()) + tally.missing_scores
