"""The gate of compiled engines: the same rows through both, and the rule that says whether the answers are equal enough. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.port import Outputs, Rows
from tilth.wire.models import Parity
from tilth.wire.signature import Column, Signature

TOLERANCE = 1e-6
LEAST_ROWS = 1000
MOST_LANDMARKS = 10_000
TIE = 1e-9
"""A decision closer to the threshold than this is a tie: forests with an even number of trees give exact halves, and the last bit of a
sum is no disagreement."""

Pools = list[NDArray[np.float64]]


def make_rows(
    signature: Signature,
    seeds: Rows,
    *,
    landmarks: Mapping[int, NDArray[np.float64]] | None = None,
    count: int = LEAST_ROWS,
    seed: int = 0,
) -> Rows:
    """Rows to compare engines on, the same ones each time: `seeds` as they are, then at least `count` made ones.

    The made rows hold every category, every nullable column missing (alone, and all together), values within and far outside the
    range of the seeds, and landmarks with their neighbours one bit below and above.
    seeds: shape (n >= 1, inputs). Returns shape (>= n + count, inputs).
    """
    rng = np.random.default_rng(seed)
    pools = [
        _pool(column, seeds[:, at], (landmarks or {}).get(at, np.empty(0)), rng) for at, column in enumerate(signature.inputs)
    ]
    covering = list(_one_at_a_time(signature, seeds, pools))
    drawn = max(count - len(covering), count // 2)
    random = np.column_stack([rng.choice(pool, drawn) for pool in pools])
    nullable = np.array([column.nullable for column in signature.inputs])
    random[(rng.random(random.shape) < 0.1) & nullable] = np.nan
    return np.ascontiguousarray(np.vstack([seeds, *covering, random]), dtype=np.float64)


def compare(
    signature: Signature,
    rows: Rows,
    reference: Outputs,
    compiled: Outputs,
    *,
    decides: bool = True,
    tolerance: float = TOLERANCE,
) -> Parity:
    """Difference of two engines over the same rows.

    Differences are absolute up to outputs of size 1 (all probabilities) and relative above. An output that is NaN or infinite on
    one side only counts as an infinite difference. decides: whether outputs are probabilities, of which somebody takes the class at
    threshold 0.5 or the greatest. Passes when no difference exceeds `tolerance`, no decision flips, and the rows
    hold what they should: LEAST_ROWS of them, each nullable column missing somewhere, each category somewhere.
    """
    missing = _missing_checked(signature, rows)
    categories = _categories_checked(signature, rows)
    difference, flips, reason = float("inf"), 0, ""
    if reference.shape != compiled.shape:
        reason = f"it gives outputs of shape {compiled.shape}, the framework {reference.shape}"
    else:
        difference = _greatest_difference(reference, compiled)
        flips = _flips(reference, compiled) if decides else 0
        if not difference <= tolerance:
            reason = f"an output differs by {difference:.3g}, allowed is {tolerance:.3g}"
        elif flips:
            reason = f"the predicted class differs in {flips} of {len(rows)} rows"
        elif len(rows) < LEAST_ROWS or not missing or not categories:
            reason = f"the {len(rows)} compared rows do not cover every category and missing value"
    return Parity(
        rows=len(rows),
        max_difference=difference,
        tolerance=tolerance,
        flips=flips,
        missing_checked=missing,
        categories_checked=categories,
        passed=not reason,
        reason=reason,
    )


def _pool(
    column: Column, seen: NDArray[np.float64], landmarks: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Values that the column of a made row may take; never NaN."""
    if column.categories is not None:
        return np.arange(len(column.categories), dtype=np.float64)
    if column.type == "boolean":
        return np.array([0.0, 1.0])
    landmarks = rng.choice(landmarks, MOST_LANDMARKS, replace=False) if len(landmarks) > MOST_LANDMARKS else landmarks
    around = np.concatenate([seen, landmarks])
    around = around[np.isfinite(around)]
    low, high = (around.min(), around.max()) if len(around) else (0.0, 1.0)
    span = (high - low) or max(abs(high), 1.0)
    tails = np.array([0.0, low - span, high + span, low - 1e3 * span, high + 1e3 * span])
    values = np.concatenate([around, rng.uniform(low - 0.2 * span, high + 0.2 * span, 64), tails])
    if column.type == "long":
        return np.unique(np.concatenate([np.floor(values), np.ceil(values)]))
    return np.unique(np.concatenate([values, np.nextafter(landmarks, -np.inf), np.nextafter(landmarks, np.inf)]))


def _one_at_a_time(signature: Signature, seeds: Rows, pools: Pools) -> Iterator[Rows]:
    base = seeds[0].copy()
    for at, pool in enumerate(pools):
        base[at] = pool[0] if np.isnan(base[at]) else base[at]
    for at, column in enumerate(signature.inputs):
        values = pools[at] if column.categories is not None else pools[at][[0, -1]]
        for value in [*values, np.nan] if column.nullable else values:
            row = base.copy()
            row[at] = value
            yield row
    if any(column.nullable for column in signature.inputs):
        yield np.where([column.nullable for column in signature.inputs], np.nan, base)


def _missing_checked(signature: Signature, rows: Rows) -> bool:
    return all(bool(np.isnan(rows[:, at]).any()) for at, column in enumerate(signature.inputs) if column.nullable)


def _categories_checked(signature: Signature, rows: Rows) -> bool:
    return all(
        set(range(len(column.categories))) <= set(rows[:, at]) for at, column in enumerate(signature.inputs) if column.categories
    )


def _greatest_difference(reference: Outputs, compiled: Outputs) -> float:
    same = (reference == compiled) | (np.isnan(reference) & np.isnan(compiled))
    with np.errstate(invalid="ignore"):
        difference = np.abs(reference - compiled) / np.maximum(1.0, np.abs(reference))
    difference = np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
    return float(difference.max(initial=0.0))


def _flips(reference: Outputs, compiled: Outputs) -> int:
    if reference.ndim == 1:
        decided = np.abs(reference - 0.5) > TIE
        return int((decided & ((reference >= 0.5) != (compiled >= 0.5))).sum())
    best = np.sort(reference, axis=1)
    decided = best[:, -1] - best[:, -2] > TIE
    return int((decided & (reference.argmax(axis=1) != compiled.argmax(axis=1))).sum())
