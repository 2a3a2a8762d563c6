"""Whether more of a metric is better, told by its name."""

from __future__ import annotations

import re

_LOWER = re.compile(
    r"(loss|error|err|rmse|mse|mae|mape|brier|nll|perplexity|wer|cer|latency|duration|time|seconds|_ms|_s|psi|drift|deviance)$",
    re.IGNORECASE,
)


def lower_is_better(key: str) -> bool:
    return _LOWER.search(key) is not None
