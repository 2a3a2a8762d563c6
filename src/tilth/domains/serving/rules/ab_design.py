"""Whether an A/B test can be carried out as it was asked for, and how many units it takes. Pure."""

from __future__ import annotations

import math

from tilth.domains.serving.rules.ab_statistics import LEAST_UNITS, units_for_means, units_for_shares
from tilth.domains.serving.rules.splits import weights
from tilth.domains.serving.types.ab_tests import Arm, Design, InvalidAbTest, Sample
from tilth.wire.ab import AbGoal, AbMetric, CreateAb

OF_THE_ROW: dict[AbMetric, str] = {
    "label": "its value, such as bought or not, or money spent",
    "accuracy": "1 where score and label agree (both above one half, or both not; of classes: equal), else 0",
    "brier": "(score - label)²",
    "absolute_error": "|score - label|",
    "squared_error": "(score - label)²",
}


def design_of(wanted: CreateAb) -> Design:
    """Raises InvalidAbTest, InvalidSplit."""
    versions = [arm.version for arm in wanted.arms]
    if len(set(versions)) != len(versions):
        raise InvalidAbTest("a version stands in two arms; give each arm a version of its own")
    parts = weights({arm.version: arm.percent for arm in wanted.arms})
    _check_number("effect", wanted.effect, 0.0, math.inf)
    _check_number("alpha", wanted.alpha, 0.0, 0.5)
    _check_number("power", wanted.power, 0.5, 1.0)
    if wanted.baseline is not None:
        _check_number("baseline", wanted.baseline, 0.0, 1.0)
        if wanted.baseline + wanted.effect >= 1 and wanted.baseline - wanted.effect <= 0:
            raise InvalidAbTest(
                f"no share is {wanted.effect:g} above or below a baseline of {wanted.baseline:g}; give a smaller effect"
            )
    if wanted.deviation is not None:
        _check_number("deviation", wanted.deviation, 0.0, math.inf)
    natural: AbGoal = "higher" if wanted.metric in ("label", "accuracy") else "lower"
    if wanted.metric != "label" and wanted.goal not in (None, natural):
        raise InvalidAbTest(f"{wanted.metric} is better when it is {natural}; leave the goal out")
    return Design(
        arms=tuple(Arm(version, parts[version]) for version in versions),
        metric=wanted.metric,
        goal=wanted.goal or natural,
        effect=wanted.effect,
        alpha=wanted.alpha,
        power=wanted.power,
        baseline=wanted.baseline,
        deviation=wanted.deviation,
    )


def _check_number(name: str, value: float, least: float, most: float) -> None:
    """Both bounds are excluded."""
    if not (math.isfinite(value) and least < value < most):
        bounds = f"above {least:g}" if math.isinf(most) else f"between {least:g} and {most:g}"
        raise InvalidAbTest(f"{name} is {value:g}; give a number {bounds}")


def planned_units(design: Design, control: Sample | None = None) -> int | None:
    """Labelled units of the control that the smallest other arm needs beside it; None where it cannot be told yet.

    control: what the control showed so far, which the plan is made from where the design names neither baseline nor deviation.
    """
    ratio = min(arm.weight for arm in design.arms[1:]) / design.control.weight
    baseline, deviation = design.baseline, design.deviation
    if baseline is None and deviation is None and control is not None and control.units >= LEAST_UNITS and control.variance > 0:
        if control.binary:
            baseline = control.mean
        else:
            deviation = math.sqrt(control.variance)
    if baseline is not None:
        return _units_from(baseline, design, ratio)
    if deviation is None:
        return None
    return units_for_means(deviation, design.effect, alpha=design.alpha_each, power=design.power, ratio=ratio)


def _units_from(baseline: float, design: Design, ratio: float) -> int | None:
    """In the direction that is hoped for, or where a share cannot go there, in the other one."""
    hoped = design.effect if design.goal == "higher" else -design.effect
    for effect in (hoped, -hoped):
        if 0 < baseline + effect < 1:
            return units_for_shares(baseline, effect, alpha=design.alpha_each, power=design.power, ratio=ratio)
    return None
