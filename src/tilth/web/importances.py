"""What each input of a model is worth, and how its answers are explained, for the page of a version. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from tilth.web.formatting import number
from tilth.web.interval_charts import Interval, worth_bar
from tilth.wire.models import BlockImportance, Explanation, Importance, ModelDocument

SHOWN_BLOCKS = 40

_WAYS = {
    "trees": "from the trees of its compiled engine",
    "native": "by {framework} itself",
    "additive": "as a sum over the inputs, asked one by one",
}
SCALES = {
    "identity": "the answer itself",
    "logistic": "log-odds of the answer",
    "softmax": "logarithm of the share of the likeliest output",
    "log": "logarithm of the answer",
}


@dataclass(frozen=True, slots=True)
class BlockLine:
    block: BlockImportance
    bar: Markup


@dataclass(frozen=True, slots=True)
class ImportancePart:
    """more: blocks that are not shown, worth less than these."""

    measured: Importance
    lines: list[BlockLine]
    more: int


@dataclass(frozen=True, slots=True)
class ReasonsPart:
    """way and scale are empty where nothing explains the model, and why_not says why."""

    way: str
    scale: str
    checked: str
    why_not: str


def importance_part(document: ModelDocument | None) -> ImportancePart | None:
    if document is None or document.importance is None:
        return None
    measured = document.importance
    shown = measured.blocks[:SHOWN_BLOCKS]
    intervals = [Interval(block.name, block.mean, block.low, block.high) for block in shown]
    ends = [bound for each in intervals for bound in each.bounds] + [0.0]
    lines = [BlockLine(block, worth_bar(each, (min(ends), max(ends)))) for block, each in zip(shown, intervals, strict=True)]
    return ImportancePart(measured, lines, len(measured.blocks) - len(shown))


def reasons_part(document: ModelDocument | None) -> ReasonsPart | None:
    if document is None:
        return None
    if document.explanation is None:
        return ReasonsPart("", "", "", document.not_explained)
    return _explained(document, document.explanation)


def _explained(document: ModelDocument, explanation: Explanation) -> ReasonsPart:
    way = _WAYS[explanation.kind].format(framework=document.flavour)
    checked = f"they add up to the answer within {number(explanation.max_difference, 2)} on {explanation.rows} rows"
    return ReasonsPart(way, SCALES[explanation.link], checked, "")
