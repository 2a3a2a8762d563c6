"""What an A/B test says, and that it says so by its evidence alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import Invalid
from tilth.domains.serving.rules.ab_design import design_of, planned_units
from tilth.domains.serving.rules.ab_verdicts import evidence_of
from tilth.domains.serving.types.ab_tests import Design, InvalidAbTest, Part, Sample, Span
from tilth.wire.ab import AbEvidence, ArmWanted, CreateAb


def wanted(**changes: Any) -> CreateAb:
    given: dict[str, Any] = {"arms": (ArmWanted(1, 50), ArmWanted(2, 50)), "effect": 0.05, "baseline": 0.3}
    return CreateAb(**(given | changes))


def design(**changes: Any) -> Design:
    return design_of(wanted(**changes))


def part(version: int, hits: int, units: int, *, seen: int | None = None, number: int = 0) -> Part:
    share = hits / units if units else 0.0
    return Part(version, number, seen or units, seen or units, Sample(units, share, units * share * (1 - share), True))


def evidence(*parts: Part, of: Design | None = None, crossed: int = 0) -> AbEvidence:
    return evidence_of(of or design(), parts, crossed, Span(0, 1000), 10, 2000)


def test_an_arm_that_is_certainly_better_wins() -> None:
    found = evidence(part(1, 300, 1000), part(2, 400, 1000))
    assert (found.verdict.outcome, found.verdict.winner) == ("better", 2)
    assert "version 2 is better than version 1: +0.1" in found.verdict.words
    assert found.comparisons[0].wins


def test_where_lower_is_better_the_lower_arm_wins() -> None:
    found = evidence(part(1, 300, 1000), part(2, 400, 1000), of=design(goal="lower"))
    assert (found.verdict.outcome, found.verdict.winner) == ("worse", 1)


def test_the_best_of_several_arms_wins() -> None:
    three = design(arms=(ArmWanted(1, 50), ArmWanted(2, 25), ArmWanted(3, 25)))
    found = evidence(part(1, 1200, 4000), part(2, 760, 2000), part(3, 860, 2000), of=three)
    assert (found.verdict.outcome, found.verdict.winner) == ("better", 3)
    assert [each.wins for each in found.comparisons] == [True, True]


def test_too_few_labelled_units_are_waited_for() -> None:
    found = evidence(part(1, 30, 99, seen=1000), part(2, 90, 100, seen=1000))
    assert found.verdict.outcome == "waiting"
    assert "99 labelled callers" in found.verdict.words


def test_a_split_that_is_not_the_one_asked_for_silences_everything_else() -> None:
    found = evidence(part(1, 300, 1000, seen=5400), part(2, 600, 1000, seen=5000))
    assert found.verdict.outcome == "mismatch"
    assert found.verdict.winner is None
    assert found.mismatch_p < 0.001


def test_arms_that_differ_by_less_than_what_matters_are_equivalent() -> None:
    found = evidence(part(1, 30_000, 100_000), part(2, 30_050, 100_000))
    assert found.verdict.outcome == "equivalent"


def test_a_test_without_telling_goes_on_until_its_plan_is_fulfilled() -> None:
    plan = planned_units(design())
    assert plan is not None
    halfway, done = plan // 2, plan
    assert evidence(part(1, halfway * 3 // 10, halfway), part(2, halfway * 32 // 100, halfway)).verdict.outcome == "open"
    assert evidence(part(1, done * 3 // 10, done), part(2, done * 31 // 100, done)).verdict.outcome == "exhausted"


def test_the_plan_is_made_from_the_control_where_nothing_was_expected() -> None:
    free = design(baseline=None)
    assert planned_units(free) is None
    assert planned_units(free, Sample(200, 0.3, 42, True)) == planned_units(design())
    assert planned_units(free, Sample(200, 10, 199 * 4, False)) == planned_units(design(baseline=None, deviation=2))


def test_a_smaller_arm_makes_the_plan_longer() -> None:
    skewed = planned_units(design(arms=(ArmWanted(1, 90), ArmWanted(2, 10))))
    even = planned_units(design())
    assert skewed is not None
    assert even is not None
    assert skewed > 3 * even


@pytest.mark.parametrize("baseline", [0.001, 0.999])
def test_a_plan_is_made_in_the_direction_that_a_share_can_go(baseline: float) -> None:
    assert planned_units(design(baseline=baseline, effect=0.01)) is not None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"arms": (ArmWanted(1, 50), ArmWanted(1, 50))}, "stands in two arms"),
        ({"arms": (ArmWanted(1, 50), ArmWanted(2, 40))}, "add up to 90 %"),
        ({"effect": 0.0}, "effect is 0"),
        ({"effect": float("nan")}, "effect is nan"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"power": 1.0}, "power is 1"),
        ({"baseline": 1.0}, "baseline is 1"),
        ({"baseline": 0.5, "effect": 0.6}, "no share is 0.6 above or below"),
        ({"deviation": -1.0}, "deviation is -1"),
        ({"metric": "brier", "goal": "higher"}, "brier is better when it is lower"),
    ],
)
def test_a_design_that_cannot_be_carried_out_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        design(**changes)
    assert issubclass(InvalidAbTest, Invalid)


counts = st.integers(2, 5000)


@given(counts, counts, st.data())
def test_a_winner_is_always_an_arm_whose_interval_lies_on_its_good_side(first: int, second: int, data: st.DataObject) -> None:
    hits, others = data.draw(st.integers(0, first)), data.draw(st.integers(0, second))
    found = evidence(part(1, hits, first, seen=5000), part(2, others, second, seen=5000))
    each = found.comparisons[0]
    if found.verdict.outcome == "better":
        assert each.low is not None
        assert each.low > 0
    if found.verdict.outcome == "worse":
        assert each.high is not None
        assert each.high < 0
    assert not (each.wins and each.loses)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=10))
def test_the_course_ends_where_the_test_stands(stretches: list[tuple[int, int]]) -> None:
    parts = [
        each
        for number, (one, other) in enumerate(stretches)
        for each in (part(1, one // 3, one, number=number), part(2, other // 2, other, number=number))
    ]
    found = evidence(*parts)
    each = found.comparisons[0]
    if each.low is None:
        assert found.path == []
    else:
        last = found.path[-1]
        assert (last.at, last.low, last.high) == (1000, each.low, each.high)
        assert [point.units for point in found.path] == sorted(point.units for point in found.path)
