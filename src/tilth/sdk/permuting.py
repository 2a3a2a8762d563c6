"""Permutation importance: how much worse a model answers when the rows of an input are mixed up. Files in, figures out: no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tilth import flavours
from tilth.core.errors import Invalid
from tilth.flavours import ArrayPredictor, Arrays, Rows
from tilth.sdk.measuring import measured_of, target_of
from tilth.wire.models import BlockImportance, Importance, ModelDocument
from tilth.wire.signature import Signature

REPEATS = 10
MAX_ROWS = 20_000
"""Above it, so many rows are drawn once."""

_LESS_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "mape"})

Encoded = Rows | Arrays


class UnusableBlocks(Invalid):
    """Blocks do not name inputs of the model, or name one twice."""


class UnknownScore(Invalid):
    """The metric does not fit the model."""


def measure(
    document: ModelDocument,
    folder: Path,
    data: Any,
    target: Any,
    *,
    metric: str | None = None,
    blocks: Mapping[str, Sequence[str]] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Importance:
    """Of the model whose files are in `folder`: see tilth.importance. Raises UnusableTarget, UnusableBlocks and UnknownScore."""
    truth, inputs = target_of(data, target)
    encoded = flavours.flavour_named(document.flavour).encode(inputs, document.signature)
    score = _score(document, folder, metric)
    draw = np.random.default_rng(seed)
    rows = np.arange(len(truth)) if len(truth) <= MAX_ROWS else np.sort(draw.choice(len(truth), MAX_ROWS, replace=False))
    truth, encoded = truth[rows], _taken(encoded, rows)
    name, baseline = score(encoded, truth)
    sign = -1.0 if name in _LESS_IS_BETTER else 1.0
    found = []
    for block, members in _blocks(document.signature, blocks):
        values = [sign * (baseline - score(_mixed(encoded, document.signature, members, draw), truth)[1]) for _ in range(repeats)]
        low, high = np.percentile(values, [2.5, 97.5])
        mean = float(np.mean(values))
        found.append(BlockImportance(block, tuple(members), mean, float(low), float(high), tuple(values)))
    found.sort(key=lambda each: -each.mean)
    return Importance(metric=name, baseline=baseline, rows=len(rows), repeats=repeats, seed=seed, blocks=tuple(found))


def _score(document: ModelDocument, folder: Path, metric: str | None) -> Callable[[Encoded, Any], tuple[str, float]]:
    """A function from inputs and truth to the metric's name and value."""
    predictor = flavours.load_predictor(folder, document)

    def score(encoded: Encoded, truth: Any) -> tuple[str, float]:
        if isinstance(predictor, ArrayPredictor):
            assert not isinstance(encoded, np.ndarray), "a signature of named arrays encodes to arrays by name"
            answer: Any = predictor.predict_arrays(encoded)
        else:
            assert isinstance(encoded, np.ndarray), "a signature of numbers and categories encodes to one array"
            answer = predictor.predict(encoded)
        known = measured_of(document, answer, truth).metrics()
        name = metric or next(each for each in ("auc", "accuracy", "rmse") if each in known)
        if name not in known:
            raise UnknownScore(f"no metric {name!r} for this model; there are: {', '.join(known)}")
        value = float(known[name](np.ones((1, len(truth))))[0])
        if not np.isfinite(value):
            raise UnknownScore(f"{name} is not defined on these rows; give rows of every class, or another metric")
        return name, value

    return score


def _blocks(signature: Signature, blocks: Mapping[str, Sequence[str]] | None) -> Iterator[tuple[str, Sequence[str]]]:
    names = [given.name for given in signature.tensors or signature.inputs]
    taken: set[str] = set()
    for block, members in (blocks or {}).items():
        for member in members:
            if member not in names:
                raise UnusableBlocks(f"block {block!r} names {member!r}, which is no input; the inputs are: {', '.join(names)}")
            if member in taken:
                raise UnusableBlocks(f"{member!r} stands in two blocks; an input belongs to one")
            taken.add(member)
        yield block, list(members)
    yield from ((name, [name]) for name in names if name not in taken)


def _taken(encoded: Encoded, rows: Any) -> Encoded:
    if isinstance(encoded, np.ndarray):
        return np.asarray(encoded[rows])
    return {name: array[rows] for name, array in encoded.items()}


def _mixed(encoded: Encoded, signature: Signature, members: Sequence[str], draw: np.random.Generator) -> Encoded:
    """The rows of the members in one other order."""
    if isinstance(encoded, np.ndarray):
        order = draw.permutation(len(encoded))
        mixed = encoded.copy()
        for at, column in enumerate(signature.inputs):
            if column.name in members:
                mixed[:, at] = encoded[order, at]
        return mixed
    order = draw.permutation(len(next(iter(encoded.values()))))
    return {name: array[order] if name in members else array for name, array in encoded.items()}
