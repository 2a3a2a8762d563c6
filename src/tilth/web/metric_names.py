"""What the name of a metric tells: whether more is better, which curves belong into one chart, which is worth a headline. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tilth.core.metric_direction import lower_is_better as lower_is_better

_PARTS = re.compile(
    r"(?:^|(?<=[_/.\- ]))(train|training|val|valid|validation|test|eval|evaluation|dev|holdout)(?=[_/.\- ]|$)", re.IGNORECASE
)
_HEADLINES = (
    "auc",
    "f1",
    "accuracy",
    "acc",
    "r2",
    "ndcg",
    "map",
    "precision",
    "recall",
    "rmse",
    "mae",
    "logloss",
    "log_loss",
    "brier",
    "loss",
)


def is_system(key: str) -> bool:
    """Use of the machine, which stands apart from what a model achieves."""
    return key.startswith(("system/", "system."))


def family(key: str) -> str:
    """The name without `train`, `validation` and the like: metrics of one family share a chart."""
    bare = re.sub(r"[_/.\- ]{2,}", "/", _PARTS.sub("", key)).strip("_/.- ")
    return bare or key


def charts_of(keys: Iterable[str]) -> dict[str, list[str]]:
    """Title -> the metrics drawn in it, by order of the names; a chart of one metric has the metric's own name."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(family(key), []).append(key)
    return {(title if len(group) > 1 else group[0]): group[:8] for title, group in groups.items()}


def ranked(keys: Sequence[str]) -> list[str]:
    """The most telling first: known scores before the rest, those on held-out data before those on training data."""
    return sorted((key for key in keys if not is_system(key)), key=lambda key: (_rank(key), key))


def _rank(key: str) -> tuple[int, int]:
    bare = family(key).lower()
    known = next(
        (place for place, word in enumerate(_HEADLINES) if bare == word or bare.endswith((f"_{word}", f"/{word}"))),
        len(_HEADLINES),
    )
    in_training = bool(re.search(r"train", key, re.IGNORECASE))
    return (1 if in_training else 0, known)
