"""What each input of one kept prediction added to its answer, drawn for its page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from tilth.domains.serving.jobs.trial import Trial, message_of
from tilth.web.importances import SCALES
from tilth.web.interval_charts import Interval, worth_bar
from tilth.wire.explanations import Explanations

SHOWN_INPUTS = 40


@dataclass(frozen=True, slots=True)
class ReasonLine:
    name: str
    value: Any
    added: float
    bar: Markup


@dataclass(frozen=True, slots=True)
class Reasons:
    """lines: the strongest first. error: why there are none, else empty."""

    error: str = ""
    lines: tuple[ReasonLine, ...] = ()
    more: int = 0
    base: float = 0.0
    margin: float = 0.0
    output: str = ""
    scale: str = ""


def reasons_of(trial: Trial, inputs: Mapping[str, Any]) -> Reasons:
    """trial: what the model server answered when it was asked to explain the row of these inputs."""
    if not trial.ok:
        return Reasons(error=message_of(trial.body))
    told = msgspec.json.decode(trial.body, type=Explanations)
    row = told.explanations[0]
    strongest = sorted(row.contributions.items(), key=lambda each: -abs(each[1]))
    ends = [added for _, added in strongest] + [0.0]
    span = (min(ends), max(ends))
    lines = tuple(
        ReasonLine(name, inputs.get(name), added, worth_bar(Interval(name, added), span))
        for name, added in strongest[:SHOWN_INPUTS]
    )
    more = len(strongest) - len(lines)
    return Reasons("", lines, more, row.base, row.margin, row.output, SCALES[told.link])
