"""How two versions' answers to the same rows compare."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.domains.serving.rules.agreement import Pair, agreement, score_of

numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


def pairs(*both: tuple[object, object]) -> list[Pair]:
    return [
        Pair(f"{n:032x}.0", {"y": ours}, {"y": theirs}, candidate_us=1000 * n, champion_us=2000 * n)
        for n, (ours, theirs) in enumerate(both, 1)
    ]


@given(st.lists(numbers, min_size=1, max_size=50))
def test_a_version_agrees_with_itself(values: list[float]) -> None:
    found = agreement(pairs(*((value, value) for value in values)), len(values), 100)
    assert (found.same, found.coverage, found.mean_difference, found.max_difference) == (1.0, 1.0, 0.0, 0.0)
    assert found.stability == pytest.approx(0.0, abs=1e-12)
    assert found.disagreements == []


def test_probabilities_agree_in_class_at_one_half_and_the_greatest_differences_come_first() -> None:
    found = agreement(pairs((0.4, 0.4), (0.6, 0.55), (0.1, 0.9)), 6, 100)
    assert (found.rows, found.answered, found.coverage) == (3, 6, 0.5)
    assert found.same == pytest.approx(1 / 3)
    assert found.same_class == pytest.approx(2 / 3)
    assert found.mean_difference == pytest.approx((0.05 + 0.8) / 3)
    assert found.max_difference == pytest.approx(0.8)
    assert [worst.row_id[-3:] for worst in found.disagreements] == ["3.0", "2.0"]
    assert (found.candidate.p50_ms, found.champion.p99_ms) == (2.0, 6.0)


def test_plain_numbers_have_no_class_and_texts_no_difference() -> None:
    amounts = agreement(pairs((10.0, 12.0), (-3.0, -3.0)), 2, 100)
    assert (amounts.same_class, amounts.max_difference) == (None, 2.0)
    words = agreement(pairs(("late", "late"), ("late", "early")), 2, 100)
    assert (words.same_class, words.mean_difference, words.stability) == (0.5, None, None)
    assert [(worst.candidate, worst.champion) for worst in words.disagreements] == [("late", "early")]


def test_a_row_without_a_number_counts_as_another_answer() -> None:
    found = agreement(pairs((None, 0.5), (0.5, 0.5)), 2, 100)
    assert found.same == 0.5
    assert any(each.missing and each.candidate == 0.5 for each in found.bins)


def test_several_outputs_are_one_class_and_tensors_are_compared_element_by_element() -> None:
    assert score_of({"a": 0.1, "b": 0.7, "c": 0.2}) == 1.0
    assert score_of({"a": True}) == 1.0
    both = [Pair("1.0", {"a": 0.2, "b": 0.8}, {"a": 0.4, "b": 0.6}), Pair("2.0", {"a": 0.9, "b": 0.1}, {"a": 0.3, "b": 0.7})]
    assert agreement(both, 2, 100).same_class == 0.5
    lists = [Pair("1.0", {"v": [[1.0, 2.0]]}, {"v": [[1.0, 2.0 + 1e-15]]}), Pair("2.0", {"v": [1.0]}, {"v": [2.0]})]
    found = agreement(lists, 2, 100)
    assert (found.same, found.stability) == (0.5, None)


def test_nothing_to_compare_is_told_as_such() -> None:
    found = agreement([], 7, 100)
    assert (found.rows, found.coverage, found.same_class, found.candidate.p50_ms) == (0, 0.0, None, None)
    assert not math.isnan(found.same)
