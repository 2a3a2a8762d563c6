"""XGBoost's and LightGBM's trees as treelite reads them. treelite is imported late."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.flavours import lightgbm, xgboost
from tilth.flavours.optional import is_of
from tilth.flavours.port import CannotCompile

NEARLY_ZERO = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold: it leaves such values out of a row, and what is left out is zero."""


def knows(model: object) -> bool:
    return is_of(model, "xgboost") or is_of(model, "lightgbm")


def compares_in_float32(model: object) -> bool:
    return is_of(model, "xgboost")


def drops_nearly_zero(model: object) -> bool:
    return is_of(model, "lightgbm")


def imported_booster(model: Any) -> Any:
    """treelite's ensemble. Raises CannotCompile."""
    import treelite

    try:
        if is_of(model, "lightgbm"):
            return treelite.frontend.from_lightgbm(lightgbm.booster_of(model))
        return treelite.frontend.from_xgboost_json(_without_vocabularies(model))
    except treelite.TreeliteError as error:
        raise CannotCompile(f"treelite cannot read this {type(model).__name__}: {str(error)[:300]}") from error


def landmarks_of(ensemble: Any) -> dict[int, NDArray[np.float64]]:
    """Thresholds by input."""
    inputs, thresholds = [], []
    for at in range(ensemble.num_tree):
        tree = ensemble.get_tree_accessor(at)
        numeric = tree.get_field("node_type") == 1
        inputs.append(tree.get_field("split_index")[numeric])
        thresholds.append(tree.get_field("threshold")[numeric])
    if not inputs:
        return {}
    split_on, borders = np.concatenate(inputs), np.concatenate(thresholds).astype(np.float64)
    return {int(at): np.unique(borders[split_on == at]) for at in np.unique(split_on)}


def _without_vocabularies(model: Any) -> str:
    """The booster as JSON up to its best round, without the texts of its categories.

    treelite refuses a model that holds them. The trees split by codes, and codes are what encoded rows hold.
    """
    booster, (_, rounds) = xgboost.booster_of(model), xgboost.rounds_of(model)
    document = msgspec.json.decode(bytes((booster[:rounds] if rounds else booster).save_raw("json")))
    trees = document["learner"]["gradient_booster"].get("model", {})
    if "cats" in trees:
        trees["cats"] = {"enc": [], "feature_segments": [], "sorted_idx": []}
    return msgspec.json.encode(document).decode()
