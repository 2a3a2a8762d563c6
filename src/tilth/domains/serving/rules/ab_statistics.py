"""The statistics of an A/B test: how many units it takes, what two arms differ by, and whether the split is as it was asked for. Pure.

Looked at as often as anybody likes, an ordinary interval is wrong far more often than it says. `always_valid` holds at every look at once:
the mixture sequential probability ratio test of Robbins (1970) with a normal mixture, as Johari, Koomen, Pekelis and Walsh, Always Valid
Inference (Operations Research, 2022), use it for running experiments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tilth.domains.serving.rules.distributions import chi_square_tail, normal_quantile, t_quantile
from tilth.domains.serving.rules.proportions import difference
from tilth.domains.serving.types.ab_tests import Interval, Sample

LEAST_UNITS = 100
"""Of each arm: with fewer, the variance of a difference is itself a guess, on which a verdict at every look must not stand."""
MISMATCH_P = 0.001
"""Below it the split is not the one that was asked for. Source: Fabijan et al., Diagnosing Sample Ratio Mismatch (KDD 2019)."""


def units_for_shares(baseline: float, effect: float, *, alpha: float, power: float, ratio: float = 1.0) -> int:
    """Units of the control arm that find a change of a share from `baseline` by `effect` (absolute) with probability `power`.

    ratio: units of the treatment for each one of the control. Two-sided. Source: Fleiss, Levin and Paik, Statistical Methods for Rates and
    Proportions, 4.2, without continuity correction.
    """
    other = baseline + effect
    pooled = (baseline + ratio * other) / (1 + ratio)
    under_null = math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    under_effect = math.sqrt(baseline * (1 - baseline) + other * (1 - other) / ratio)
    needed = normal_quantile(1 - alpha / 2) * under_null + normal_quantile(power) * under_effect
    return math.ceil((needed / effect) ** 2)


def units_for_means(deviation: float, effect: float, *, alpha: float, power: float, ratio: float = 1.0) -> int:
    """As units_for_shares, for a mean of values with this standard deviation in both arms."""
    needed = normal_quantile(1 - alpha / 2) + normal_quantile(power)
    return math.ceil((needed * deviation / effect) ** 2 * (1 + 1 / ratio))


def interval_of_means(treatment: Sample, control: Sample, alpha: float) -> Interval:
    """Treatment less control, for one look. Source: Welch (1947), degrees of freedom by Satterthwaite (1946)."""
    first, second = treatment.variance / treatment.units, control.variance / control.units
    value = treatment.mean - control.mean
    if first + second == 0:
        return Interval(value, value, value)
    degrees = (first + second) ** 2 / (first**2 / (treatment.units - 1) + second**2 / (control.units - 1))
    half = t_quantile(1 - alpha / 2, degrees) * math.sqrt(first + second)
    return Interval(value, value - half, value + half)


def interval_of_shares(treatment: Sample, control: Sample, alpha: float) -> Interval:
    """Treatment less control, for one look."""
    z = normal_quantile(1 - alpha / 2)
    hits, other_hits = treatment.mean * treatment.units, control.mean * control.units
    return Interval(treatment.mean - control.mean, *difference(hits, treatment.units, other_hits, control.units, z))


def interval_once(treatment: Sample, control: Sample, alpha: float) -> Interval:
    """The interval for one look: of shares where every value is 0 or 1, else of means."""
    if treatment.binary and control.binary:
        return interval_of_shares(treatment, control, alpha)
    return interval_of_means(treatment, control, alpha)


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """p: the probability, if there were no difference, that the evidence would ever be as strong. Valid at every look."""

    interval: Interval
    p: float


def always_valid(treatment: Sample, control: Sample, *, alpha: float, effect: float) -> AlwaysValid | None:
    """Treatment less control, valid however often it is looked at. None with fewer than LEAST_UNITS in an arm, or without variance.

    effect: the smallest difference that matters; the mixture expects true differences of this order, and is valid whatever they are.
    """
    if min(treatment.units, control.units) < LEAST_UNITS:
        return None
    spread = _variance_of_difference(treatment, control)
    if not spread > 0:
        return None
    value, mixed = treatment.mean - control.mean, effect * effect
    whole = spread + mixed
    log_ratio = mixed * value**2 / (2 * spread * whole) - math.log(whole / spread) / 2
    half = math.sqrt(spread * whole / mixed * (2 * math.log(1 / alpha) + math.log(whole / spread)))
    return AlwaysValid(Interval(value, value - half, value + half), math.exp(min(0.0, -log_ratio)))


def _variance_of_difference(treatment: Sample, control: Sample) -> float:
    if not (treatment.binary and control.binary):
        return treatment.variance / treatment.units + control.variance / control.units
    # One hit and one miss more in each arm: no arm is sure of itself before it has seen both.
    # Source: Agresti and Caffo, Simple and effective confidence intervals for proportions (2000).
    shares = [((each.mean * each.units + 1) / (each.units + 2), each.units + 2) for each in (treatment, control)]
    return sum(share * (1 - share) / units for share, units in shares)


def mismatch_p(counted: Sequence[int], weights: Sequence[float]) -> float:
    """The probability of a split at least as far from `weights` by chance (chi-square). 1.0 without units."""
    units, whole = sum(counted), sum(weights)
    if not units or len(counted) < 2:
        return 1.0
    expected = [units * weight / whole for weight in weights]
    value = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(counted, expected, strict=True))
    return chi_square_tail(value, len(counted) - 1)
