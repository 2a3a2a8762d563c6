"""How a rollout is written on the command line."""

from __future__ import annotations

import click
import pytest

from tilth.cli.rollout_plan import guardrails_of
from tilth.wire.rollout_text import UnreadableSteps, seconds_of, span_text, steps_of
from tilth.wire.rollouts import StepPlan


def test_steps_say_percents_and_how_long_each_one_lasts() -> None:
    assert steps_of("5:10m,25%,100:1.5h", "30s") == (StepPlan(5, 600), StepPlan(25, 30), StepPlan(100, 5400))


def test_spans_are_seconds_unless_they_say_otherwise() -> None:
    assert [seconds_of(text) for text in ("90", "90s", "2m", "1h", "1d", "0")] == [90, 90, 120, 3600, 86400, 0]
    assert [span_text(seconds) for seconds in (90, 120, 3600, 86400, 0)] == ["90 s", "2 min", "1 h", "1 d", "0 s"]


def test_guardrails_are_limits_or_off() -> None:
    found = guardrails_of(["max_p99_ms=20", "score_psi=off", "p99_ratio_from_ms=5"], ["auc=0.02"], 50)
    assert found == {
        "max_p99_ms": 20,
        "max_score_psi": None,
        "p99_ratio_from_ms": 5,
        "labels": [{"metric": "auc", "max_worse": 0.02, "min_labels": 50}],
    }


@pytest.mark.parametrize("wrong", ["5;10", "five", "5:10x", ""])
def test_steps_that_cannot_be_read_are_refused(wrong: str) -> None:
    with pytest.raises(UnreadableSteps, match="write"):
        steps_of(wrong, "10m")


@pytest.mark.parametrize("wrong", ["max_p99_ms", "max_p99_ms=fast", "="])
def test_guardrails_that_cannot_be_read_are_wrong_usage(wrong: str) -> None:
    with pytest.raises(click.UsageError, match=r"max_error_rate=0\.02"):
        guardrails_of([wrong], [], 200)


def test_an_unknown_guardrail_is_answered_with_those_there_are() -> None:
    with pytest.raises(click.UsageError, match="no guardrail 'max_latency'; there are max_error_rate, "):
        guardrails_of(["max_latency=20"], [], 200)
