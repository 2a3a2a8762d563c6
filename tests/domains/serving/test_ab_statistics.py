"""Statistics of A/B tests beside SciPy and statsmodels, and what they promise when they are looked at again and again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, samplesize_proportions_2indep_onetail
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from tilth.domains.serving.rules.ab_statistics import (
    LEAST_UNITS,
    always_valid,
    interval_of_means,
    interval_of_shares,
    interval_once,
    mismatch_p,
    units_for_means,
    units_for_shares,
)
from tilth.domains.serving.rules.distributions import chi_square_tail, normal_quantile, t_quantile
from tilth.domains.serving.types.ab_tests import Sample

Floats = NDArray[np.float64]


def sample(values: Floats) -> Sample:
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    return Sample(len(values), float(values.mean()), float(((values - values.mean()) ** 2).sum()), binary)


def share(hits: int, units: int) -> Sample:
    return Sample(units, hits / units, hits * (1 - hits / units), True)


def p_once(treatment: Sample, control: Sample) -> float:
    """Two-sided p of a difference of means, large samples, for one look."""
    spread = treatment.variance / treatment.units + control.variance / control.units
    return 1.0 if spread == 0 else 2 * float(stats.norm.sf(abs(treatment.mean - control.mean) / math.sqrt(spread)))


@given(st.floats(1e-6, 1 - 1e-6), st.floats(1, 1e9))
def test_quantiles_of_t_are_those_of_scipy(at: float, degrees: float) -> None:
    assert t_quantile(at, degrees) == pytest.approx(stats.t.ppf(at, degrees), rel=1e-6, abs=1e-8)


@given(st.floats(0, 200), st.integers(1, 60))
def test_tails_of_chi_square_are_those_of_scipy(value: float, degrees: int) -> None:
    assert chi_square_tail(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-8, abs=1e-14)


@given(st.floats(1e-9, 1 - 1e-9))
def test_quantiles_of_the_normal_distribution_are_those_of_scipy(at: float) -> None:
    assert normal_quantile(at) == pytest.approx(stats.norm.ppf(at), abs=1e-9)


@pytest.mark.parametrize("baseline", [0.02, 0.3, 0.5])
@pytest.mark.parametrize("effect", [0.01, -0.015, 0.1])
@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_units_for_a_change_of_a_share_are_those_of_statsmodels(baseline: float, effect: float, ratio: float) -> None:
    # The reference counts its first sample, is given the share of the second, and `ratio` is of the second to the first.
    wanted = samplesize_proportions_2indep_onetail(
        -effect, baseline + effect, power=0.8, ratio=ratio, alpha=0.05, alternative="two-sided"
    )
    assert units_for_shares(baseline, effect, alpha=0.05, power=0.8, ratio=ratio) == pytest.approx(wanted, rel=1e-6, abs=1)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 4.0])
def test_units_for_a_change_of_a_mean_are_those_of_statsmodels(ratio: float) -> None:
    wanted = NormalIndPower().solve_power(effect_size=0.5 / 7, alpha=0.01, power=0.9, ratio=ratio)
    assert units_for_means(7, 0.5, alpha=0.01, power=0.9, ratio=ratio) == math.ceil(wanted)


def test_as_many_units_as_are_asked_for_find_the_effect_as_often_as_promised() -> None:
    units, rng = units_for_shares(0.2, 0.05, alpha=0.05, power=0.8), np.random.default_rng(11)
    control, treatment = rng.binomial(units, 0.2, 2000), rng.binomial(units, 0.25, 2000)
    found = [p_once(share(int(t), units), share(int(c), units)) < 0.05 for t, c in zip(treatment, control, strict=True)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0.1, 50), st.sampled_from([0.01, 0.05, 0.2]))
def test_intervals_of_means_are_welchs(first: int, second: int, scale: float, alpha: float) -> None:
    rng = np.random.default_rng(first * 100 + second)
    treatment, control = rng.normal(3, scale, first), rng.normal(1, 2, second)
    low, high = CompareMeans(DescrStatsW(treatment), DescrStatsW(control)).tconfint_diff(alpha=alpha, usevar="unequal")
    found = interval_of_means(sample(treatment), sample(control), alpha)
    assert [found.low, found.high] == pytest.approx([low, high], rel=1e-6, abs=1e-8)


@given(st.integers(1, 2000), st.integers(1, 2000), st.data(), st.sampled_from([0.01, 0.05, 0.2]))
def test_intervals_of_shares_are_newcombes(first: int, second: int, data: st.DataObject, alpha: float) -> None:
    hits, others = data.draw(st.integers(0, first)), data.draw(st.integers(0, second))
    low, high = confint_proportions_2indep(hits, first, others, second, method="newcomb", compare="diff", alpha=alpha)
    found = interval_of_shares(share(hits, first), share(others, second), alpha)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)
    assert found.low <= found.value <= found.high


@given(st.lists(st.integers(1, 100_000), min_size=2, max_size=5), st.data())
def test_a_mismatch_of_the_split_is_the_chi_square_test_of_scipy(counted: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(1, 9_999), min_size=len(counted), max_size=len(counted)))
    expected = [sum(counted) * weight / sum(weights) for weight in weights]
    assert mismatch_p(counted, weights) == pytest.approx(stats.chisquare(counted, expected).pvalue, rel=1e-6, abs=1e-12)


def test_nothing_is_no_mismatch() -> None:
    assert mismatch_p([0, 0], [5000, 5000]) == 1.0


samples = st.builds(
    lambda units, mean, deviation: Sample(units, mean, units * deviation * deviation, False),
    st.integers(LEAST_UNITS, 10**6),
    st.floats(-100, 100),
    st.floats(0.1, 100),
)


@given(samples, samples, st.floats(0.001, 10), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_evidence_crosses_its_limit_exactly_when_the_interval_excludes_zero(
    one: Sample, other: Sample, effect: float, alpha: float
) -> None:
    found = always_valid(one, other, alpha=alpha, effect=effect)
    assert found is not None
    assert 0 <= found.p <= 1
    if abs(found.p - alpha) > 1e-9:
        assert (found.p < alpha) == (found.interval.low > 0 or found.interval.high < 0)


@given(samples, samples, st.floats(0.001, 10))
def test_swapping_the_arms_mirrors_the_interval(one: Sample, other: Sample, effect: float) -> None:
    here, there = (always_valid(a, b, alpha=0.05, effect=effect) for a, b in ((one, other), (other, one)))
    assert here is not None
    assert there is not None
    assert [here.interval.low, here.interval.high, here.p] == pytest.approx([-there.interval.high, -there.interval.low, there.p])


@given(samples, samples, st.floats(0.001, 10))
def test_an_interval_that_holds_at_every_look_is_wider_than_the_one_of_a_single_look(
    one: Sample, other: Sample, effect: float
) -> None:
    found, once = always_valid(one, other, alpha=0.05, effect=effect), interval_once(one, other, 0.05)
    assert found is not None
    assert found.interval.low <= once.low <= once.high <= found.interval.high


def test_nothing_is_said_before_there_are_enough_units_or_without_variance() -> None:
    few, many = share(3, LEAST_UNITS - 1), share(50, 200)
    assert always_valid(few, many, alpha=0.05, effect=0.01) is None
    still = Sample(500, 3.0, 0.0, False)
    assert always_valid(still, still, alpha=0.05, effect=0.01) is None


LOOKS = range(LEAST_UNITS, 10_001, LEAST_UNITS)


def upto(units: int, total: float, squares: float, binary: bool) -> Sample:
    return Sample(units, total / units, squares - total * total / units, binary)


def ever_found(draws: Floats, others: Floats, effect: float) -> tuple[float, float]:
    """Shares of tests that some look found a difference in: by the sequential test, and by the interval of a single look.

    draws, others: shape (tests, units).
    """
    sequential = once = 0
    for treatment, control in zip(draws, others, strict=True):
        binary = bool(np.isin(treatment, (0.0, 1.0)).all())
        sums = [(np.cumsum(arm), np.cumsum(arm**2)) for arm in (treatment, control)]
        both = [[upto(n, float(total[n - 1]), float(squares[n - 1]), binary) for n in LOOKS] for total, squares in sums]
        pairs = list(zip(*both, strict=True))
        sequential += any((v := always_valid(t, c, alpha=0.05, effect=effect)) is not None and v.p < 0.05 for t, c in pairs)
        once += any(p_once(t, c) < 0.05 for t, c in pairs)
    return sequential / len(draws), once / len(draws)


@pytest.mark.parametrize("kind", ["share", "rare share", "skewed mean"])
def test_without_a_difference_a_hundred_looks_find_one_no_more_often_than_alpha(kind: str) -> None:
    rng = np.random.default_rng(7)
    draw, effect = {
        "share": (lambda: rng.binomial(1, 0.3, (300, 10_000)).astype(np.float64), 0.03),
        "rare share": (lambda: rng.binomial(1, 0.01, (300, 10_000)).astype(np.float64), 0.005),
        "skewed mean": (lambda: rng.lognormal(0, 1, (300, 10_000)), 0.1),
    }[kind]
    sequential, once = ever_found(draw(), draw(), effect)
    assert sequential <= 0.05
    # The reason why the page does not show the other one as a verdict.
    assert once > 0.2


def test_a_difference_that_matters_is_found() -> None:
    rng = np.random.default_rng(8)
    treatment = rng.binomial(1, 0.34, (100, 10_000)).astype(np.float64)
    control = rng.binomial(1, 0.30, (100, 10_000)).astype(np.float64)
    sequential, _ = ever_found(treatment, control, 0.04)
    assert sequential > 0.95


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 30), st.sampled_from([0.0, 1e9]))
def test_two_parts_of_a_sample_add_up_to_the_whole(values: list[float], cut: int, far: float) -> None:
    whole = np.array(values) + far
    parts = [part for part in (whole[:cut], whole[cut:]) if len(part)]
    added = sum((sample(part) for part in parts), Sample(0, 0.0, 0.0, True))
    assert added.units == len(whole)
    assert added.mean == pytest.approx(whole.mean())
    assert added.deviations == pytest.approx(((whole - whole.mean()) ** 2).sum(), rel=1e-6, abs=1e-2)
