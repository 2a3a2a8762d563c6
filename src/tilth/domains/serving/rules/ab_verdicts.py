"""What an A/B test shows so far, and what to do next. Pure: counted units in, evidence out."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.domains.serving.rules.ab_design import planned_units
from tilth.domains.serving.rules.ab_statistics import (
    LEAST_UNITS,
    MISMATCH_P,
    always_valid,
    interval_of_means,
    interval_once,
    mismatch_p,
)
from tilth.domains.serving.rules.outcomes import proportion
from tilth.domains.serving.types import WHOLE
from tilth.domains.serving.types.ab_tests import Arm, Design, Interval, Part, Sample, Span
from tilth.wire.ab import AbArm, AbComparison, AbEvidence, AbPoint, AbVerdict

NOTHING = Sample(0, 0.0, 0.0, True)


def evidence_of(design: Design, parts: Sequence[Part], crossed: int, span: Span, stretches: int, at: int) -> AbEvidence:
    """parts: what was counted, stretch by stretch of the span. crossed: units that met more than one arm. at: the moment of the look."""
    samples = {arm.version: _sum(parts, arm.version) for arm in design.arms}
    arms = [_arm(design, arm, parts, samples[arm.version]) for arm in design.arms]
    control = samples[design.control.version]
    comparisons = [_comparison(design, arm, samples[arm.version], control) for arm in design.arms[1:]]
    planned = planned_units(design, control)
    p = mismatch_p([arm.units for arm in arms], [arm.weight for arm in design.arms])
    return AbEvidence(
        at=at,
        arms=arms,
        comparisons=comparisons,
        path=_path(design, parts, span, stretches),
        planned=planned,
        crossed=crossed,
        mismatch_p=p,
        verdict=verdict(design, arms, comparisons, planned, p),
    )


def _sum(parts: Sequence[Part], version: int, before: int | None = None) -> Sample:
    chosen = [part.sample for part in parts if part.version == version and (before is None or part.number < before)]
    return sum(chosen, NOTHING)


def _arm(design: Design, arm: Arm, parts: Sequence[Part], sample: Sample) -> AbArm:
    own = [part for part in parts if part.version == arm.version]
    interval = _interval_of_mean(sample)
    return AbArm(
        version=arm.version,
        share=arm.weight / WHOLE,
        control=arm == design.control,
        units=sum(part.units for part in own),
        rows=sum(part.rows for part in own),
        labelled=sample.units,
        mean=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _interval_of_mean(sample: Sample) -> Interval | None:
    """95 %: of a share by Wilson, else by Student's t."""
    if sample.units < 2:
        return None
    if sample.binary:
        found = proportion(round(sample.mean * sample.units), sample.units)
        return Interval(found.value, found.low, found.high)
    # Against a sample that is certainly 0, Welch's interval is Student's.
    return interval_of_means(sample, Sample(sample.units, 0.0, 0.0, False), 0.05)


def _comparison(design: Design, arm: Arm, treatment: Sample, control: Sample) -> AbComparison:
    if min(treatment.units, control.units) < 2:
        return AbComparison(arm.version, None, None, None, None, None, None, wins=False, loses=False)
    once = interval_once(treatment, control, design.alpha_each)
    found = always_valid(treatment, control, alpha=design.alpha_each, effect=design.effect)
    good, bad = _sides(design, found.interval) if found else (False, False)
    return AbComparison(
        version=arm.version,
        difference=once.value,
        low=found.interval.low if found else None,
        high=found.interval.high if found else None,
        p=found.p if found else None,
        once_low=once.low,
        once_high=once.high,
        wins=good,
        loses=bad,
    )


def _sides(design: Design, interval: Interval) -> tuple[bool, bool]:
    """Whether an arm is certainly better than the control, and whether it is certainly worse."""
    above, below = interval.low > 0, interval.high < 0
    return (above, below) if design.goal == "higher" else (below, above)


def _path(design: Design, parts: Sequence[Part], span: Span, stretches: int) -> list[AbPoint]:
    """How each comparison developed; without the stretches in which nothing could be said yet."""
    points = []
    for arm in design.arms[1:]:
        for end in range(1, stretches + 1):
            treatment, control = _sum(parts, arm.version, end), _sum(parts, design.control.version, end)
            found = always_valid(treatment, control, alpha=design.alpha_each, effect=design.effect)
            if found is not None:
                at = span.since + (span.until - span.since) * end // stretches
                bounds = found.interval
                points.append(AbPoint(arm.version, at, treatment.units + control.units, bounds.value, bounds.low, bounds.high))
    return points


def verdict(
    design: Design, arms: Sequence[AbArm], comparisons: Sequence[AbComparison], planned: int | None, split_p: float
) -> AbVerdict:
    control, fewest = design.control.version, min(arm.labelled for arm in arms)
    if split_p < MISMATCH_P:
        counted = ", ".join(f"{arm.units:,} (v{arm.version})" for arm in arms)
        return AbVerdict(
            "mismatch",
            f"the arms answered {counted} callers, which a split of {_shares(arms)} makes by chance once in {1 / max(split_p, 1e-12):,.0f} "
            "tests: callers are lost or counted on one side only",
            "find the cause (retries, an arm that fails, callers without a route key), then begin anew; believe no figure of this one",
        )
    if fewest < LEAST_UNITS:
        words = f"an arm has {fewest:,} labelled callers; at least {LEAST_UNITS} in each are needed before anything is said"
        return AbVerdict("waiting", words, "let it run and log labels with tilth labels log")
    winners = [each for each in comparisons if each.wins]
    if winners:
        best = max(winners, key=lambda each: (each.difference or 0) * (1 if design.goal == "higher" else -1))
        return AbVerdict(
            "better", _said(best, control, design), f"conclude it with version {best.version} as the winner", best.version
        )
    if all(each.loses for each in comparisons):
        words = "; ".join(_said(each, control, design) for each in comparisons)
        return AbVerdict("worse", words, f"conclude it with version {control}, the control", control)
    if all(_within(each, design.effect) for each in comparisons):
        words = f"no arm differs from version {control} by {design.effect:g} or more"
        return AbVerdict("equivalent", words, "conclude it with whichever is cheaper to run", control)
    if planned is not None and min(_in_control_units(arm, design) for arm in arms) >= planned:
        words = (
            f"every arm has the planned {planned:,} callers, and none was found to differ; "
            f"a difference of {design.effect:g} or more is unlikely"
        )
        return AbVerdict("exhausted", words, f"conclude it with version {control}, or go on for a smaller difference", control)
    left = "" if planned is None else f"; {planned:,} labelled callers of the control are planned, it has {arms[0].labelled:,}"
    words = f"an arm may still be better or worse than version {control}{left}"
    return AbVerdict("open", words, "let it run; looking as often as you like does no harm")


def _in_control_units(arm: AbArm, design: Design) -> float:
    """Labelled units in proportion to the arm's share: as if it had the share of the control."""
    return arm.labelled * (design.control.weight / WHOLE) / arm.share


def _within(each: AbComparison, effect: float) -> bool:
    return each.low is not None and each.high is not None and -effect < each.low and each.high < effect


def _said(each: AbComparison, control: int, design: Design) -> str:
    word = "better" if each.wins else "worse"
    return (
        f"version {each.version} is {word} than version {control}: {each.difference:+.4g} "
        f"({each.low:+.4g} to {each.high:+.4g}), {design.goal} is better"
    )


def _shares(arms: Sequence[AbArm]) -> str:
    return " / ".join(f"{arm.share * 100:g} %" for arm in arms)
