"""Sections of the card about what was measured and decided: evaluations, gates, approvals. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tilth.core.clock import Millis, iso
from tilth.wire.evaluations import EvaluationView, MetricValue, VersionLife
from tilth.wire.registry import CardFact, CardResult, CardSection

MAX_FACTS = 200


def section_of(key: str, title: str, facts: Mapping[str, str], note: str = "") -> CardSection:
    """What has no value is left out; at most 200 facts."""
    shown = [CardFact(name, value) for name, value in facts.items() if value][:MAX_FACTS]
    if len(facts) > MAX_FACTS:
        note = f"{note} The first {MAX_FACTS} of {len(facts)}.".strip()
    return CardSection(key, title, shown, note)


def newest_of_each_name(life: VersionLife) -> list[EvaluationView]:
    found: dict[str, EvaluationView] = {}
    for each in life.evaluations:
        found.setdefault(each.name, each)
    return [found[name] for name in sorted(found)]


def results_of(life: VersionLife | None) -> list[CardResult]:
    return [
        CardResult(each.task, each.dataset, each.dataset_digest, metric, measured.value)
        for each in (newest_of_each_name(life) if life else ())
        for metric, measured in each.metrics.items()
    ]


def evaluations_section(life: VersionLife | None) -> CardSection:
    known: dict[str, str] = {}
    for each in newest_of_each_name(life) if life else ():
        known[each.name] = (
            f"{each.rows:,} rows of {each.dataset} (sha256 {each.dataset_digest[:12]}), {iso(Millis(each.created))} by {each.by}"
        )
        known |= {f"{each.name}: {metric}": _measured(value) for metric, value in each.metrics.items()}
        known |= {
            f"{each.name}: {metric}, {part.column}={part.value}": f"{_measured(value)}, {part.rows:,} rows"
            for part in each.slices
            for metric, value in list(part.metrics.items())[:1]
        }
        if each.latency_p99_ms is not None:
            known[f"{each.name}: latency of one row"] = f"p50 {each.latency_p50_ms or 0:.3g} ms, p99 {each.latency_p99_ms:.3g} ms"
    note = "" if known else "None yet. Say `tilth.evaluate(...)` or `tilth model evaluate`."
    return section_of("evaluations", "Evaluations", known, note)


def gates_section(life: VersionLife | None) -> CardSection:
    known = {each.expression: f"{each.outcome}: {each.reason}" for each in life.verdicts} if life else {}
    for check in life.checks if life else ():
        if check.override_reason:
            known[f"override of @{check.alias}, {iso(Millis(check.at))}"] = f"by {check.by}: {check.override_reason}"
    return section_of("gates", "Gates", known, "" if known else "The model has no gates.")


def approvals_section(life: VersionLife | None) -> CardSection:
    known: dict[str, str] = {}
    for each in life.approvals if life else ():
        decided = f", {each.state} {iso(Millis(each.decided))} by {each.decided_by}" if each.decided else ", not decided yet"
        said = "; ".join(text for text in (each.comment, each.decision_comment) if text)
        known[f"asked {iso(Millis(each.requested))} by {each.requested_by}"] = (
            f"{each.state}{decided}{f': {said}' if said else ''}"
        )
    return section_of("approvals", "Approvals", known, "" if known else "Nobody asked for an approval.")


def _measured(value: MetricValue) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:.6g}"
    return f"{value.value:.6g} (95 % interval {value.low:.6g} to {value.high:.6g})"
