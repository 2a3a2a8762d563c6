"""Gates: what a version must have shown before an alias may name it. A small language, and the verdict over evaluations. Pure.

    gate   = metric [slice] (compare number | "beats" "@" alias ["by" number] ["on the same rows"])
    slice  = "[" column "=" value "]"
    compare = ">=" | ">" | "<=" | "<"

Metrics, columns and values are words, or any text between double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tilth.core.metric_direction import lower_is_better
from tilth.domains.models.types import InvalidGate
from tilth.wire.evaluations import EvaluationView, MetricValue, Verdict

Operator = Literal[">=", ">", "<=", "<"]
MAX_CHARS = 500
LATENCIES = ("latency_p50_ms", "latency_p99_ms")
ROUNDING = 1e-12
"""0.71 - 0.705 is a little less than 0.005 in binary; a margin that was met on paper must not fail by that."""

_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<operator>>=|<=|>|<)|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.\-/]))'
    r"|(?P<word>[\w][\w.\-/]*)|(?P<mark>[\[\]=@]))"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric over all rows, or over those of one slice."""

    metric: str
    column: str | None = None
    value: str = ""

    def __str__(self) -> str:
        if self.column is None:
            return _word(self.metric)
        return f"{_word(self.metric)}[{_word(self.column)}={_word(self.value, number_is_plain=True)}]"


@dataclass(frozen=True, slots=True)
class Threshold:
    measure: Measure
    operator: Operator
    limit: float

    def __str__(self) -> str:
        return f"{self.measure} {self.operator} {self.limit:.12g}"


@dataclass(frozen=True, slots=True)
class Beats:
    """Better than the version that the alias names, by at least `margin`, on the same rows."""

    measure: Measure
    alias: str
    margin: float = 0.0

    def __str__(self) -> str:
        by = f" by {self.margin:.12g}" if self.margin else ""
        return f"{self.measure} beats @{_word(self.alias)}{by} on the same rows"


Expression = Threshold | Beats


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The version that must be beaten, with its evaluations, newest first. version None: the alias names none yet."""

    version: int | None
    evaluations: Sequence[EvaluationView] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_gate(text: str) -> Expression:
    """Raises InvalidGate, which points at the place."""
    if len(text) > MAX_CHARS:
        raise InvalidGate(text[:80], 0, f"at most {MAX_CHARS} characters are read")
    return _Parser(text).gate()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.next = 0

    def gate(self) -> Expression:
        measure = self.measure()
        token = self.take("a comparison such as `>= 0.7`, or `beats @champion`")
        found: Expression
        if token.kind == "operator":
            found = Threshold(measure, token.text, self.number("a number"))  # type: ignore[arg-type]
        elif token.text == "beats" and token.kind == "word":
            found = self.beats(measure)
        else:
            raise self.wrong(token, "a comparison such as `>= 0.7`, or `beats @champion`")
        if self.next < len(self.tokens):
            raise self.wrong(self.tokens[self.next], "the end of the gate")
        return found

    def beats(self, measure: Measure) -> Beats:
        self.mark("@", "an alias such as @champion")
        alias = self.name("the name of an alias")
        margin = 0.0
        if self.peek("by"):
            self.next += 1
            margin = self.number("the margin, such as 0.005")
            if margin < 0:
                raise InvalidGate(self.text, self.tokens[self.next - 1].at, "the margin must not be negative")
        if self.peek("on"):
            for word in ("on", "the", "same", "rows"):
                if not self.peek(word):
                    raise self.wrong(self.tokens[self.next] if self.next < len(self.tokens) else None, "`on the same rows`")
                self.next += 1
        return Beats(measure, alias, margin)

    def measure(self) -> Measure:
        metric = self.name("a metric such as auc")
        if not (self.next < len(self.tokens) and self.tokens[self.next].text == "[" and self.tokens[self.next].kind == "mark"):
            return Measure(metric)
        self.next += 1
        column = self.name("the column of a slice, such as [origin=JFK]")
        self.mark("=", "`=` and a value")
        token = self.take("the value of the slice")
        if token.kind not in ("word", "quoted", "number"):
            raise self.wrong(token, "the value of the slice")
        self.mark("]", "`]`")
        return Measure(metric, column, _unquoted(token))

    def name(self, wanted: str) -> str:
        token = self.take(wanted)
        if token.kind not in ("word", "quoted") or not _unquoted(token):
            raise self.wrong(token, wanted)
        return _unquoted(token)

    def number(self, wanted: str) -> float:
        token = self.take(wanted)
        if token.kind != "number" or abs(float(token.text)) > 1e300:
            raise self.wrong(token, wanted)
        return float(token.text)

    def mark(self, text: str, wanted: str) -> None:
        token = self.take(wanted)
        if token.kind != "mark" or token.text != text:
            raise self.wrong(token, wanted)

    def peek(self, word: str) -> bool:
        return self.next < len(self.tokens) and self.tokens[self.next].kind == "word" and self.tokens[self.next].text == word

    def take(self, wanted: str) -> _Token:
        if self.next >= len(self.tokens):
            raise self.wrong(None, wanted)
        self.next += 1
        return self.tokens[self.next - 1]

    def wrong(self, token: _Token | None, wanted: str) -> InvalidGate:
        return InvalidGate(self.text, token.at if token else len(self.text), f"expected {wanted}")


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise InvalidGate(text, at, "this is not part of a gate")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match.group(kind), match.start(kind)))
        at = match.end()
    return found


def _unquoted(token: _Token) -> str:
    if token.kind != "quoted":
        return token.text
    return re.sub(r"\\(.)", r"\1", token.text[1:-1])


def _word(text: str, *, number_is_plain: bool = False) -> str:
    """As the language writes it: plain where it reads back as one word, else quoted."""
    token = _TOKEN.fullmatch(text)
    plain = (
        token is not None
        and token.group(0) == text
        and (token.lastgroup == "word" or (number_is_plain and token.lastgroup == "number"))
    )
    if plain:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def guards(gate_aliases: Sequence[str], alias: str, free_aliases: Sequence[str]) -> bool:
    """Whether a gate has a say about the alias: those it names, else all but the free ones."""
    return alias in gate_aliases if gate_aliases else alias not in free_aliases


def judge(
    number: int, text: str, evaluation: str, version: int, evaluations: Sequence[EvaluationView], incumbent: Incumbent | None
) -> Verdict:
    """What the gate says of a version. evaluations: the version's, newest first; incumbent: for `beats`."""
    expression = parse_gate(text)
    shown = str(expression)
    counted = [each for each in evaluations if not evaluation or each.name == evaluation]
    which = f"evaluation {evaluation!r}" if evaluation else "evaluation"
    if not counted:
        return Verdict(number, shown, "unknown", f"version {version} has no {which} yet")
    newest = counted[0]
    measured = measured_in(newest, expression.measure)
    if measured is None:
        return Verdict(number, shown, "unknown", _not_measured(newest, expression.measure), evaluation_id=newest.id)
    if isinstance(expression, Threshold):
        return _threshold(number, expression, newest, measured)
    return _beats(number, expression, version, newest, measured, incumbent or Incumbent(None))


def measured_in(evaluation: EvaluationView, measure: Measure) -> MetricValue | None:
    if measure.column is not None:
        found = next((s for s in evaluation.slices if s.column == measure.column and s.value == measure.value), None)
        return found.metrics.get(measure.metric) if found is not None else None
    if measure.metric in evaluation.metrics:
        return evaluation.metrics[measure.metric]
    latency = getattr(evaluation, measure.metric) if measure.metric in LATENCIES else None
    return MetricValue(latency) if latency is not None else None


def _threshold(number: int, gate: Threshold, evaluation: EvaluationView, measured: MetricValue) -> Verdict:
    value = measured.value
    passed = {">=": value >= gate.limit, ">": value > gate.limit, "<=": value <= gate.limit, "<": value < gate.limit}[
        gate.operator
    ]
    side = {">=": "below", ">": "not above", "<=": "above", "<": "not below"}[gate.operator]
    said = f"{gate.measure} is {value:.6g}" + ("" if passed else f", {side} {gate.limit:.6g}")
    return Verdict(
        number, str(gate), "passed" if passed else "failed", said, value, measured.low, measured.high, gate.limit, evaluation.id
    )


def _beats(
    number: int, gate: Beats, version: int, evaluation: EvaluationView, measured: MetricValue, incumbent: Incumbent
) -> Verdict:
    def verdict(outcome: Literal["passed", "failed", "unknown"], reason: str, limit: float | None = None) -> Verdict:
        return Verdict(
            number,
            str(gate),
            outcome,
            reason,
            measured.value,
            measured.low,
            measured.high,
            limit,
            evaluation.id,
            incumbent.version,
        )

    if incumbent.version is None:
        return verdict("passed", f"@{gate.alias} names no version yet, so there is nothing to beat")
    if incumbent.version == version:
        return verdict("passed", f"version {version} is @{gate.alias} itself")
    same = next((each for each in incumbent.evaluations if each.rows_digest == evaluation.rows_digest), None)
    other = measured_in(same, gate.measure) if same is not None else None
    if other is None:
        return verdict(
            "unknown",
            f"@{gate.alias}, version {incumbent.version}, has no {gate.measure} on the same rows ({evaluation.dataset}, "
            f"{evaluation.rows:,} rows): evaluate it on them, too",
        )
    sign = -1.0 if lower_is_better(gate.measure.metric) else 1.0
    gain = sign * (measured.value - other.value)
    limit = other.value + sign * gate.margin
    passed = gain > 0 if gate.margin == 0 else gain >= gate.margin - ROUNDING
    said = f"{gate.measure} is {measured.value:.6g}, @{gate.alias} (version {incumbent.version}) has {other.value:.6g}"
    return verdict("passed" if passed else "failed", f"{said}: {gain:+.4g}, at least {gate.margin:.6g} better is asked", limit)


def _not_measured(evaluation: EvaluationView, measure: Measure) -> str:
    if measure.column is None:
        known = ", ".join(sorted(evaluation.metrics)) or "none"
        return f"evaluation {evaluation.name!r} has no metric {measure.metric!r}; it has: {known}"
    values = [each.value for each in evaluation.slices if each.column == measure.column]
    if measure.value in values:
        return f"slice {measure.column}={measure.value} of evaluation {evaluation.name!r} has no metric {measure.metric!r}"
    known = (
        f"its slices of {measure.column!r}: {', '.join(values[:10])}" if values else f"it was not sliced by {measure.column!r}"
    )
    return f"evaluation {evaluation.name!r} has no slice {measure.column}={measure.value}; {known}"
