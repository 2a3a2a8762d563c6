"""What a window of traffic says about each guardrail of a rollout. Pure.

Beyond its limit a guardrail is `broken` only when chance does not explain it (an interval of 99 % lies beyond the limit, too), and
`unclear` until then: neither stops nor lets pass.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from tilth.domains.serving.rules.liveness import percentile_ms
from tilth.domains.serving.rules.proportions import difference, wilson
from tilth.domains.serving.rules.stability import chance, population_stability
from tilth.wire.plane import LATENCY_BOUNDS_US, VersionTally
from tilth.wire.rollouts import Finding, FindingState, Guardrails, ScoreBin

LEAST_TO_BREAK = 20
"""Requests before which no share is called broken: an interval of three requests says little about the next thousand."""
LEAST_SCORES = 100
SLOW_SHARE = 0.01
"""Of the requests that may lie above a limit of the 99th percentile."""


def findings(
    rails: Guardrails, candidate: VersionTally, champion: VersionTally, bins: Sequence[ScoreBin], *, alone: bool
) -> tuple[Finding, ...]:
    """One for each guardrail that is switched on, without those of labels. alone: the champion gets no requests in this step."""
    found = []
    if rails.max_error_rate is not None:
        found.append(_error_rate(rails.max_error_rate, candidate, champion))
    if rails.max_error_rate_rise is not None:
        name, what = "error_rate_rise", "errors"
        counts = (candidate.errors, candidate.requests, champion.errors, champion.requests)
        found.append(_rise(name, what, rails.max_error_rate_rise, *counts, alone=alone))
    if rails.max_refused_rate_rise is not None:
        name, what = "refused_rate_rise", "refused requests"
        counts = (candidate.refused, candidate.requests, champion.refused, champion.requests)
        found.append(_rise(name, what, rails.max_refused_rate_rise, *counts, alone=alone))
    if rails.max_p99_ms is not None:
        found.append(_p99(rails.max_p99_ms, candidate, champion))
    if rails.max_p99_ratio is not None:
        found.append(_p99_ratio(rails, rails.max_p99_ratio, candidate, champion, alone=alone))
    if rails.max_score_psi is not None:
        found.append(_score_psi(rails.max_score_psi, candidate, champion, bins, alone=alone))
    return tuple(found)


def _error_rate(limit: float, candidate: VersionTally, champion: VersionTally) -> Finding:
    value = _rate(candidate.errors, candidate.requests)
    state: FindingState = "waiting"
    words = "no request yet"
    if value is not None:
        sure = candidate.requests >= LEAST_TO_BREAK and wilson(candidate.errors, candidate.requests)[0] > limit
        state = _state(beyond=value > limit, sure=sure)
        words = f"{candidate.errors:,} of {candidate.requests:,} requests failed ({_percent(value)}, limit {_percent(limit)})"
    return Finding("error_rate", state, "share", words, value, limit, _rate(champion.errors, champion.requests))


def _rise(
    name: str, what: str, limit: float, hits: int, of: int, champion_hits: int, champion_of: int, *, alone: bool
) -> Finding:
    value, other = _rate(hits, of), _rate(champion_hits, champion_of)
    if alone:
        return Finding(name, "idle", "share", "the champion gets no requests in this step", value, None, other)
    if value is None or other is None:
        return Finding(name, "waiting", "share", "no request yet on one of the two sides", value, limit, other)
    sure = min(of, champion_of) >= LEAST_TO_BREAK and difference(hits, of, champion_hits, champion_of)[0] > limit
    words = f"{what}: {_percent(value)} against {_percent(other)} of the champion (limit {_percent(limit)} above it)"
    return Finding(name, _state(beyond=value - other > limit, sure=sure), "share", words, value, other + limit, other)


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _p99(limit_ms: float, candidate: VersionTally, champion: VersionTally) -> Finding:
    name, other = "p99_ms", percentile_ms(champion.latency_buckets, 0.99)
    value = percentile_ms(candidate.latency_buckets, 0.99)
    if value is None:
        return Finding(name, "waiting", "ms", "no request yet", None, limit_ms, other)
    slow, of = _slower(candidate, limit_ms), sum(candidate.latency_buckets)
    sure = of >= LEAST_SCORES and wilson(slow, of)[0] > SLOW_SHARE
    words = f"99 % of the requests within {value:.3g} ms (limit {limit_ms:.3g} ms)"
    return Finding(name, _state(beyond=value > limit_ms, sure=sure), "ms", words, value, limit_ms, other)


def _p99_ratio(rails: Guardrails, ratio: float, candidate: VersionTally, champion: VersionTally, *, alone: bool) -> Finding:
    name, other = "p99_ratio", percentile_ms(champion.latency_buckets, 0.99)
    value = percentile_ms(candidate.latency_buckets, 0.99)
    if alone:
        return Finding(name, "idle", "ms", "the champion gets no requests in this step", value, None, other)
    if other is None or sum(champion.latency_buckets) < LEAST_SCORES:
        words = f"the champion answered {sum(champion.latency_buckets):,} of the {LEAST_SCORES} requests that its p99 needs"
        return Finding(name, "waiting", "ms", words, value, None, other)
    limit_ms = max(ratio * other, rails.p99_ratio_from_ms)
    if value is None:
        return Finding(name, "waiting", "ms", "no request yet", None, limit_ms, other)
    # A machine that stalls makes both sides slow: the candidate must be slow more often than the champion, too.
    sides = (
        _slower(candidate, limit_ms),
        sum(candidate.latency_buckets),
        _slower(champion, limit_ms),
        sum(champion.latency_buckets),
    )
    sure = sides[1] >= LEAST_SCORES and wilson(*sides[:2])[0] > SLOW_SHARE and difference(*sides)[0] > 0
    words = f"p99 {value:.3g} ms against {other:.3g} ms of the champion (limit {limit_ms:.3g} ms)"
    return Finding(name, _state(beyond=value > limit_ms, sure=sure), "ms", words, value, limit_ms, other)


def _score_psi(
    limit: float, candidate: VersionTally, champion: VersionTally, bins: Sequence[ScoreBin], *, alone: bool
) -> Finding:
    name = "score_psi"
    if alone:
        return Finding(name, "idle", "psi", "the champion gives no scores in this step")
    ours, theirs = (sum(each.scores.values()) + each.missing_scores for each in (candidate, champion))
    if min(ours, theirs) < LEAST_SCORES:
        least = f"{ours:,} and {theirs:,} scores; {LEAST_SCORES} of each side are needed"
        # A model that answers but gives nothing that counts as a score (several outputs of text) is not waited for.
        mute = not ours and not theirs and min(candidate.rows, champion.rows) >= LEAST_SCORES
        return Finding(name, "idle" if mute else "waiting", "psi", "no scores to compare" if mute else least, None, limit)
    value, noise = population_stability(bins), chance(len(bins), ours, theirs)
    words = f"the scores lie {value:.3f} (PSI) away from the champion's, limit {limit:g}"
    if value > limit and value <= noise:
        words += f"; chance alone reaches {noise:.2f} with so few scores"
    return Finding(name, _state(beyond=value > limit, sure=value > noise), "psi", words, value, limit)


def _state(*, beyond: bool, sure: bool) -> FindingState:
    if not beyond:
        return "ok"
    return "broken" if sure else "unclear"


def _rate(hits: int, of: int) -> float | None:
    return hits / of if of else None


def _slower(tally: VersionTally, limit_ms: float) -> int:
    """Requests in the buckets that lie wholly above the limit."""
    first = bisect_left(LATENCY_BOUNDS_US, limit_ms * 1000) + 1
    return sum(tally.latency_buckets[first:])
