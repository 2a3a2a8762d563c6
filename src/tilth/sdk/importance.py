"""Permutation importance of a registered or loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tilth.sdk.current import current_run, log_json
from tilth.sdk.models import LoadedModel, load_model
from tilth.sdk.permuting import REPEATS, measure
from tilth.wire.models import Importance

ARTIFACT = "importance.json"


def importance(
    model: str | LoadedModel,
    data: Any,
    target: Any,
    *,
    metric: str | None = None,
    blocks: Mapping[str, Sequence[str]] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Importance:
    """Measures a model on rows it has not seen, and again with one input's rows mixed up.

    model: a reference such as `flight-delay@champion`, or what load_model returned. data: a DataFrame or array with the columns of
    training; target: a column of it, or one value per row. metric: one of evaluate's, by default auc or, for numbers, rmse. blocks: inputs
    to be mixed up together, by a name, such as those that tell nearly the same; every other input is a block of its own. The same seed
    gives the same figures. Within a run it is stored as `importance.json`.
    Raises UnusableTarget, UnusableBlocks, UnknownScore, and what load_model raises.
    """
    loaded = load_model(model) if isinstance(model, str) else model
    found = measure(loaded.document, loaded.folder, data, target, metric=metric, blocks=blocks, repeats=repeats, seed=seed)
    if current_run() is not None:
        log_json(msgspec.to_builtins(found), ARTIFACT)
    return found
