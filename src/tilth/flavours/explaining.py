"""Reasons for an answer: what each input added to it, compared with an average row. Checked at registration, like compiled engines.

Three ways, the first that holds for the model: the trees themselves, where treelite has them; what the framework itself computes
(XGBoost, LightGBM, CatBoost); or, for a model that is a sum over its inputs (a linear one, whatever prepares its columns), asking it
with one input changed at a time. The check is the law that contributions obey: base and contributions add up to the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.flavours.port import CannotExplain, EngineUnusable, Explainer, Explains, Outputs, Predictor, Rows
from tilth.flavours.registry import flavour_named
from tilth.flavours.treelite import tree_reasons
from tilth.wire.explanations import ExplainedRow
from tilth.wire.models import Explanation, Link, ModelDocument
from tilth.wire.signature import Signature

TOLERANCE = 1e-5
ASKED_TOLERANCE = 1e-4
CHECKED_ROWS = 100
BACKGROUND_ROWS = 200
MAX_ASKED = 20_000
"""Rows that the check of an additive model asks for: a wide table is checked on fewer of them."""

Floats = NDArray[np.float64]
_EDGE = 1e-300


@dataclass(frozen=True, slots=True)
class Reasons:
    """Of each row. base + contributions.sum(axis=1) is the margin, on the scale that the explanation's `link` names.

    contributions: shape (rows, inputs). output: index of the output that is explained, the greatest where there are several.
    link: the scale.
    """

    base: Floats
    contributions: Floats
    output: NDArray[np.intp]
    link: Link

    @property
    def margin(self) -> Floats:
        return np.asarray(self.base + self.contributions.sum(axis=1))


def reasons_of(explainer: Explainer, rows: Rows) -> Reasons:
    """rows: shape (rows, inputs), encoded."""
    contributions, base = explainer.contributions(rows)
    output = (contributions.sum(axis=2) + base).argmax(axis=1)
    return Reasons(base[output], contributions[np.arange(len(rows)), output], output, explainer.link)


def explained_rows(signature: Signature, reasons: Reasons, predictions: Sequence[Any]) -> list[ExplainedRow]:
    """predictions: what stands beside the reasons as each row's answer."""
    inputs = [column.name for column in signature.inputs]
    figures = zip(
        predictions,
        reasons.output.tolist(),
        reasons.margin.tolist(),
        reasons.base.tolist(),
        reasons.contributions.tolist(),
        strict=True,
    )
    return [
        ExplainedRow(
            prediction=prediction,
            output=signature.outputs[output].name,
            margin=margin,
            base=base,
            contributions=dict(zip(inputs, added, strict=True)),
        )
        for prediction, output, margin, base, added in figures
    ]


def load_explainer(folder: Path, document: ModelDocument, predictor: Predictor) -> Explainer:
    """predictor: the loaded model, of any engine. Raises CannotExplain and EngineUnusable."""
    explanation = document.explanation
    if explanation is None:
        why = document.not_explained or "it was logged before reasons were known: log it again"
        raise CannotExplain(f"the model gives no reasons for its answers: {why}")
    match explanation.kind:
        case "trees":
            return _of_trees(folder, document)
        case "native":
            return predictor.explainer() if isinstance(predictor, Explains) else _of_framework(folder, document)
        case "additive":
            return AdditiveExplainer(predictor, explanation)


def with_explanation(document: ModelDocument, folder: Path, reference: Predictor, seeds: Rows) -> ModelDocument:
    """The document with how the model is explained, or why it is not. seeds: rows of the example, shape (n >= 1, inputs)."""
    rows = _made(document.signature, seeds)
    try:
        answer = reference.predict(rows)
    except Exception as error:  # noqa: BLE001 the model is the user's code, and mixed rows are new to it
        return msgspec.structs.replace(
            document, not_explained=f"it does not answer mixed rows: {type(error).__name__}: {error}"[:300]
        )
    reasons: list[str] = []
    for kind, explainer in _candidates(document, folder, reference, seeds, reasons):
        try:
            difference = _missed(explainer, rows, answer)
        except CannotExplain as refused:
            reasons.append(str(refused))
            continue
        except Exception as error:  # noqa: BLE001 as above
            reasons.append(f"{kind}: {type(error).__name__}: {error}"[:300])
            continue
        if difference <= TOLERANCE:
            found = (
                explainer.explanation if isinstance(explainer, AdditiveExplainer) else Explanation(kind=kind, link=explainer.link)
            )
            found = msgspec.structs.replace(found, rows=len(rows), max_difference=difference)
            return msgspec.structs.replace(document, explanation=found, not_explained="")
        reasons.append(f"{kind}: contributions miss the answer by {difference:.3g}")
    return msgspec.structs.replace(document, not_explained="; ".join(dict.fromkeys(reasons))[:1000])


def _missed(explainer: Explainer, rows: Rows, answer: Outputs) -> float:
    """Greatest difference between the answer and what the contributions add up to; relative where answers are above 1."""
    contributions, base = explainer.contributions(rows)
    return _difference(contributions.sum(axis=2) + base, explainer.link, answer)


def _difference(margins: Floats, link: Link, answer: Outputs) -> float:
    return float(np.abs(_answer(margins, link) - answer).max(initial=0.0) / max(1.0, np.abs(answer).max(initial=0.0)))


class AdditiveExplainer:
    """For an answer that is a sum over the inputs, once its link is undone. What an input adds is how far the sum moves when the
    input moves from a reference row to the explained one, less how far it moves so on average over the background."""

    def __init__(self, predictor: Predictor, explanation: Explanation) -> None:
        self._predictor = predictor
        self.explanation = explanation
        self.link: Link = explanation.link
        self._reference = np.array([np.nan if value is None else value for value in explanation.reference])
        self._base = np.array(explanation.base)
        self._means = np.array(explanation.means)

    def contributions(self, rows: Rows) -> tuple[Floats, Floats]:
        """Raises CannotExplain for rows whose answers are no sum after all: what was checked at registration were other rows."""
        added = _moved(self._predictor, rows, self._reference, self.link) - self._means
        if len(rows):
            answer = self._predictor.predict(rows)
            if not _difference(added.sum(axis=2) + self._base, self.link, answer) <= ASKED_TOLERANCE:
                raise CannotExplain("its answer is no sum over the inputs")
        return added, self._base


def _candidates(
    document: ModelDocument, folder: Path, reference: Predictor, seeds: Rows, reasons: list[str]
) -> Iterator[tuple[Any, Explainer]]:
    for kind, made in (("trees", _of_trees), ("native", _of_framework)):
        try:
            yield kind, made(folder, document)
        except (CannotExplain, EngineUnusable) as unusable:
            reasons.append(str(unusable))
    if document.flavour == "function":
        reasons.append("a Python function is not asked again and again to see whether it is a sum")
        return
    for link in _links(document, reference.predict(seeds[:BACKGROUND_ROWS])):
        yield "additive", _fitted(reference, seeds, link)


def _of_trees(folder: Path, document: ModelDocument) -> Explainer:
    for compiled in document.compiled:
        if compiled.engine == "treelite" and compiled.parity.passed:
            return tree_reasons(folder / compiled.path, compiled.detail, len(document.signature.outputs))
    raise CannotExplain("it is no tree ensemble that treelite answers for")


def _of_framework(folder: Path, document: ModelDocument) -> Explainer:
    if document.isolated or document.flavour not in ("xgboost", "lightgbm", "catboost"):
        raise CannotExplain("its framework computes no contributions")
    loaded = flavour_named(document.flavour).load(folder, document)
    if not isinstance(loaded, Explains):
        raise CannotExplain("its framework computes no contributions")
    return loaded.explainer()


def _links(document: ModelDocument, answers: Outputs) -> list[Link]:
    if any(output.type != "double" for output in document.signature.outputs):
        return []
    if document.method == "predict_proba":
        return ["softmax"] if answers.ndim == 2 else ["logistic", "identity"]
    return ["identity", "log"] if answers.min() > 0 else ["identity"]


def _fitted(predictor: Predictor, seeds: Rows, link: Link) -> AdditiveExplainer:
    background = seeds[:: max(1, len(seeds) // BACKGROUND_ROWS)][:BACKGROUND_ROWS]
    whole = background[~np.isnan(background).any(axis=1)]
    reference = (whole if len(whole) else background)[0]
    means = _moved(predictor, background, reference, link).mean(axis=0)
    base = _linked(_two_dimensional(predictor.predict(reference[None])), link)[0] + means.sum(axis=1)
    listed = tuple(None if np.isnan(value) else float(value) for value in reference)
    kept = Explanation(
        kind="additive", link=link, reference=listed, base=tuple(base.tolist()), means=tuple(tuple(row) for row in means.tolist())
    )
    return AdditiveExplainer(predictor, kept)


def _moved(predictor: Predictor, rows: Rows, reference: Floats, link: Link) -> Floats:
    """How far the sum moves from the reference by each input of each row, shape (rows, outputs, inputs)."""
    count, inputs = rows.shape
    asked = np.repeat(reference[None], count * inputs + 1, axis=0)
    one_at_a_time = asked[1:].reshape(inputs, count, inputs)
    for at in range(inputs):
        one_at_a_time[at, :, at] = rows[:, at]
    sums = _linked(_two_dimensional(predictor.predict(asked)), link)
    return np.asarray((sums[1:] - sums[0]).reshape(inputs, count, -1).transpose(1, 2, 0))


def _two_dimensional(answers: Outputs) -> Outputs:
    return answers[:, None] if answers.ndim == 1 else answers


def _linked(answers: Outputs, link: Link) -> Floats:
    """The scale on which the answer is a sum. answers: shape (rows, outputs)."""
    match link:
        case "identity":
            return answers
        case "log":
            return np.log(np.maximum(answers, _EDGE))
        case "logistic":
            return np.log(np.maximum(answers, _EDGE)) - np.log(np.maximum(1.0 - answers, _EDGE))
        case "softmax":
            logs = np.log(np.maximum(answers, _EDGE))
            return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def _answer(margins: Floats, link: Link) -> Outputs:
    """From sums, shape (rows, outputs), to what the model answers."""
    match link:
        case "identity":
            answer = margins
        case "log":
            answer = np.exp(margins)
        case "logistic":
            answer = np.exp(-np.logaddexp(0.0, -margins))
        case "softmax":
            powers = np.exp(margins - margins.max(axis=1, keepdims=True))
            answer = powers / powers.sum(axis=1, keepdims=True)
    return answer[:, 0] if answer.shape[1] == 1 else answer


def _made(signature: Signature, seeds: Rows) -> Rows:
    """Rows whose inputs are drawn one by one, from around the seeds: on the seeds alone a product could pass for a sum."""
    rng = np.random.default_rng(0)
    count = max(10, min(CHECKED_ROWS, MAX_ASKED // seeds.shape[1]))
    made = np.empty((count, seeds.shape[1]))
    for at, column in enumerate(signature.inputs):
        known = seeds[np.isfinite(seeds[:, at]), at]
        if column.categories is not None:
            made[:, at] = rng.integers(0, max(1, len(column.categories)), count)
        elif column.type == "boolean":
            made[:, at] = rng.integers(0, 2, count)
        else:
            low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
            # Not beyond what the example holds: a formula may take the logarithm of an input.
            made[:, at] = rng.uniform(low, high, count)
            if column.type == "long":
                made[:, at] = np.round(made[:, at])
        if column.nullable and len(known) < len(seeds):
            made[rng.random(count) < 0.1, at] = np.nan
    return made
