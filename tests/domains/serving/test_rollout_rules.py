"""The judge of rollouts as a law: what lets a step pass, what sends it back, and what is counted within a window."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from tests.domains.serving.rollout_bench import ALWAYS_THE_SAME, LIKE_BEFORE, tally

from tilth.core.clock import Millis
from tilth.domains.serving.rules import stability
from tilth.domains.serving.rules.guardrails import findings
from tilth.domains.serving.rules.label_guardrails import label_findings
from tilth.domains.serving.rules.outcomes import LabelTally, tally_of
from tilth.domains.serving.rules.proportions import difference, wilson
from tilth.domains.serving.rules.rollouts import Advance, Finish, Hold, RollBack, Verdict, judge
from tilth.domains.serving.rules.traffic import follow, seen
from tilth.domains.serving.types import Plan, Traffic
from tilth.wire.plane import DeploymentStatus, VersionTally, WorkerStatus
from tilth.wire.rollouts import Evidence, Finding, Guardrails, LabelGuardrail, Side, StepPlan
from tilth.wire.scores import score_bucket

PLAN = Plan((StepPlan(5, 60), StepPlan(50, 60), StepPlan(100, 60)), 100, Guardrails())
STATES = st.sampled_from(["ok", "waiting", "unclear", "broken", "idle"])
WORSE = {"idle": 0, "ok": 0, "waiting": 1, "unclear": 1, "broken": 2}


def evidence(*states: Any, requests: int = 100, live_since: int | None = 0, serving: str = "live", **more: Any) -> Evidence:
    found = tuple(Finding(f"rail-{number}", state, "share", f"{state}!") for number, state in enumerate(states))
    return Evidence(5, 0, 0, live_since, serving, "", Side(2, requests), Side(1, 900), found, **more)


def rank(verdict: Verdict) -> int:
    return {RollBack: 0, Hold: 1, Advance: 2, Finish: 2}[type(verdict)]


@pytest.mark.parametrize(
    ("given_", "verdict"),
    [
        (evidence("ok"), Advance),
        (evidence("ok", "idle"), Advance),
        (evidence("ok", requests=99), Hold),
        (evidence("waiting"), Hold),
        (evidence("unclear"), Hold),
        (evidence("broken"), RollBack),
        (evidence("broken", requests=1, live_since=None, serving="pending"), RollBack),
        (evidence(live_since=None, serving="loading"), Hold),
        (evidence(serving="pending"), Hold),
        (evidence(serving="unserved"), Hold),
        (evidence(serving="failed", live_since=None, failing_since=50_001), Hold),
        (evidence(serving="failed", live_since=None, failing_since=50_000), RollBack),
    ],
)
def test_what_is_seen_decides(given_: Evidence, verdict: type) -> None:
    assert type(judge(PLAN, 0, given_, Millis(60_000))) is verdict


def test_a_step_lasts_as_long_as_was_planned() -> None:
    assert isinstance(judge(PLAN, 0, evidence(), Millis(59_999)), Hold)
    assert isinstance(judge(PLAN, 0, evidence(), Millis(60_000)), Advance)


@given(st.lists(STATES, max_size=6), st.integers(0, 300), st.integers(0, 120_000), st.integers(0, 2), st.booleans())
def test_nothing_goes_on_while_a_guardrail_is_not_known_to_hold(
    states: list[str], requests: int, now: int, step: int, paused: bool
) -> None:
    verdict = judge(PLAN, step, evidence(*states, requests=requests), Millis(now), paused=paused)
    if isinstance(verdict, Advance | Finish):
        assert not {"broken", "unclear", "waiting"} & set(states)
        assert requests >= PLAN.min_requests
        assert now >= 60_000
        assert not paused
        # One step at a time, and the end only after the last one.
        assert isinstance(verdict, Finish) == (step == 2)
    if "broken" in states:
        assert isinstance(verdict, RollBack)


@given(st.lists(STATES, min_size=1, max_size=6), st.data(), st.integers(0, 200))
def test_worse_evidence_never_gives_a_better_verdict(states: list[str], data: st.DataObject, requests: int) -> None:
    place = data.draw(st.integers(0, len(states) - 1))
    worse = data.draw(STATES.filter(lambda state: WORSE[state] >= WORSE[states[place]]))
    changed = [*states[:place], worse, *states[place + 1 :]]
    now = Millis(60_000)
    before = judge(PLAN, 0, evidence(*states, requests=requests), now)
    assert rank(judge(PLAN, 0, evidence(*changed, requests=requests), now)) <= rank(before)
    assert rank(judge(PLAN, 0, evidence(*states, requests=requests - 1), now)) <= rank(before)


def stalled(version: int, requests: int, slow: int) -> VersionTally:
    """Answered in 2 ms, but for `slow` requests at 90 ms."""
    quick, stuck = (tally(version, number, ms=ms).latency_buckets for number, ms in ((requests - slow, 2), (slow, 90)))
    joined = tuple(a + b for a, b in zip([*quick, *[0] * (len(stuck) - len(quick))], stuck, strict=True))
    return msgspec.structs.replace(tally(version, requests), latency_buckets=joined)


def state_of(name: str, candidate: VersionTally, champion: VersionTally, *, alone: bool = False, **limits: Any) -> str:
    rails = msgspec.structs.replace(Guardrails(), **limits)
    found = findings(rails, candidate, champion, stability.score_bins(candidate, champion), alone=alone)
    return next(each.state for each in found if each.guardrail == name)


@pytest.mark.parametrize(
    ("name", "candidate", "champion", "state"),
    [
        ("error_rate", tally(2, 0), tally(1), "waiting"),
        ("error_rate", tally(2, 500, errors=10), tally(1), "ok"),
        ("error_rate", tally(2, 500, errors=30), tally(1), "unclear"),
        ("error_rate", tally(2, 500, errors=60), tally(1), "broken"),
        ("error_rate", tally(2, 5, errors=5), tally(1), "unclear"),
        ("error_rate_rise", tally(2, 2000, errors=90), tally(1, 2000, errors=85), "ok"),
        ("error_rate_rise", tally(2, 2000, errors=90), tally(1, 2000, errors=5), "broken"),
        ("error_rate_rise", tally(2, 100, errors=2), tally(1, 100), "unclear"),
        ("error_rate_rise", tally(2, 100), tally(1, 0), "waiting"),
        ("refused_rate_rise", tally(2, 500, refused=200), tally(1, 500), "broken"),
        ("p99_ms", tally(2, 500, ms=400), tally(1), "broken"),
        ("p99_ms", tally(2, 50, ms=400), tally(1), "unclear"),
        ("p99_ratio", tally(2, 500, ms=10), tally(1, 500, ms=1), "ok"),
        ("p99_ratio", tally(2, 500, ms=40), tally(1, 500, ms=2), "broken"),
        ("p99_ratio", tally(2, 500, ms=40), tally(1, 50, ms=2), "waiting"),
        ("p99_ratio", stalled(2, 500, 12), stalled(1, 500, 4), "unclear"),
        ("score_psi", tally(2, 500), tally(1, 5000), "ok"),
        ("score_psi", tally(2, 500, scores=ALWAYS_THE_SAME), tally(1, 5000), "broken"),
        ("score_psi", tally(2, 500, scores={5: 99}), tally(1, 5000), "waiting"),
        ("score_psi", tally(2, 500, scores={}), tally(1, 5000, scores={}), "idle"),
        ("score_psi", tally(2, 500, scores={}, missing_scores=500), tally(1, 5000), "broken"),
    ],
)
def test_a_guardrail_says_where_the_candidate_stands(
    name: str, candidate: VersionTally, champion: VersionTally, state: str
) -> None:
    assert state_of(name, candidate, champion) == state


def test_at_a_hundred_percent_only_limits_of_its_own_are_judged() -> None:
    rails = findings(Guardrails(), tally(2, 500), tally(1, 0), (), alone=True)
    assert {each.guardrail: each.state for each in rails} == {
        "error_rate": "ok",
        "error_rate_rise": "idle",
        "refused_rate_rise": "idle",
        "p99_ms": "ok",
        "p99_ratio": "idle",
        "score_psi": "idle",
    }


def test_a_guardrail_that_is_off_finds_nothing() -> None:
    off = Guardrails(None, None, None, None, None, 20, None)
    assert findings(off, tally(2), tally(1), (), alone=False) == ()


def labelled(rows: int, skill: float, seed: int) -> LabelTally:
    draw = np.random.default_rng(seed)
    labels = (draw.random(rows) < 0.3).astype(float)
    noise = draw.random(rows)
    return tally_of(skill * labels + (1 - skill) * noise, labels)


def test_labels_send_a_blind_candidate_back_once_there_are_enough_of_them() -> None:
    rail = LabelGuardrail("auc", max_worse=0.02, min_labels=200)
    champion = labelled(2000, 0.4, 1)
    states = [
        label_findings((rail,), labelled(rows, skill, 2), champion)[0].state for rows, skill in ((100, 0), (800, 0), (800, 0.4))
    ]
    assert states == ["idle", "broken", "ok"]
    required = msgspec.structs.replace(rail, required=True)
    assert label_findings((required,), labelled(100, 0, 2), champion)[0].state == "waiting"


@given(st.integers(1, 5000), st.data())
def test_intervals_of_shares_are_those_of_statsmodels(of: int, data: st.DataObject) -> None:
    hits, other_of = data.draw(st.integers(0, of)), data.draw(st.integers(1, 5000))
    other = data.draw(st.integers(0, other_of))
    assert wilson(hits, of) == pytest.approx(proportion_confint(hits, of, 0.01, "wilson"), abs=1e-9)
    reference = confint_proportions_2indep(hits, of, other, other_of, method="newcomb", compare="diff", alpha=0.01)
    assert difference(hits, of, other, other_of) == pytest.approx(reference, abs=1e-7)


HISTOGRAMS = st.dictionaries(st.integers(250, 420), st.integers(1, 500), min_size=1, max_size=40)


@given(HISTOGRAMS, HISTOGRAMS, st.integers(0, 50))
def test_bins_share_out_every_score_and_the_index_is_never_negative(
    ours: dict[int, int], theirs: dict[int, int], mute: int
) -> None:
    bins = stability.score_bins(VersionTally("c", scores=ours, missing_scores=mute), VersionTally("m", scores=theirs))
    assert math.isclose(sum(each.candidate for each in bins), 1)
    assert math.isclose(sum(each.champion for each in bins), 1)
    assert stability.population_stability(bins) >= 0


@given(HISTOGRAMS)
def test_equal_scores_are_no_distance_apart(scores: dict[int, int]) -> None:
    bins = stability.score_bins(VersionTally("c", scores=scores), VersionTally("m", scores=scores))
    assert stability.population_stability(bins) == pytest.approx(0, abs=1e-12)


def test_the_index_is_that_of_the_formula() -> None:
    bins = stability.score_bins(tally(2, 500, scores={score_bucket(0.3): 100, score_bucket(0.7): 300}), tally(1, 500))
    ours = np.maximum([each.candidate for each in bins], 1e-4)
    theirs = np.maximum([each.champion for each in bins], 1e-4)
    assert stability.population_stability(bins) == pytest.approx(float(((ours - theirs) * np.log(ours / theirs)).sum()))
    assert len(LIKE_BEFORE) > len(bins) >= 5


def test_two_samples_of_one_model_seldom_look_like_two_models() -> None:
    draw = np.random.default_rng(4)

    def sample(rows: int) -> dict[int, int]:
        places, counts = np.unique([score_bucket(score) for score in draw.beta(2, 5, rows)], return_counts=True)
        return dict(zip(places.tolist(), counts.tolist(), strict=True))

    wrong = sum(
        state_of("score_psi", tally(2, 150, scores=sample(150)), tally(1, 900, scores=sample(900)), max_score_psi=0.05)
        == "broken"
        for _ in range(300)
    )
    assert wrong <= 3


EVENTS = st.lists(
    st.tuples(st.sampled_from(["w0", "w1"]), st.sampled_from(["count", "restart", "look"]), st.integers(0, 50)), max_size=40
)


@given(EVENTS, st.integers(0, 100))
def test_every_request_since_the_start_is_counted_once_however_often_workers_restart(
    events: list[tuple[str, str, int]], before: int
) -> None:
    counted = {"w0": before, "w1": 0}
    started = {"w0": 1, "w1": 1}
    total, told = 0, dict.fromkeys(counted, 0)

    def look(traffic: Traffic, since: int) -> Traffic:
        workers = [
            WorkerStatus(
                name, 1, started[name], 0, 1, (DeploymentStatus("d", 1, tallies=(VersionTally("m/2", requests=count),)),)
            )
            for name, count in counted.items()
        ]
        return follow(traffic, workers, "d", Millis(since))

    traffic = look(Traffic(), 10)
    for number, (name, event, requests) in enumerate(events):
        if event == "count":
            counted[name] += requests
            told[name] += requests
        elif event == "restart":
            # Whatever was counted since the last look dies with the process: nobody ever heard of it.
            told[name], counted[name], started[name] = 0, 0, 20 + number
        else:
            traffic = look(traffic, 10)
            total += sum(told.values())
            told = dict.fromkeys(counted, 0)
    stored = msgspec.convert(msgspec.to_builtins(traffic, str_keys=True), Traffic, str_keys=True)
    assert stored == traffic
    assert seen(stored, "m/2").requests == total
