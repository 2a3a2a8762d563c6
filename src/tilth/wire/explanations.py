"""Reasons for answers, as a model server gives them."""

from __future__ import annotations

from typing import Any

import msgspec

from tilth.wire.models import Link


class ExplainedRow(msgspec.Struct, frozen=True):
    """base and contributions add up to `margin`, which is the answer on the scale that `link` names.

    output: the explained column, the greatest where there are several. base: the answer to an average row. contributions: by input.
    """

    prediction: Any
    output: str
    margin: float
    base: float
    contributions: dict[str, float]


class Explanations(msgspec.Struct, frozen=True):
    """link: `identity`: the scale is the answer itself; `logistic`: log-odds; `softmax`: logarithm of a share; `log`: logarithm."""

    explanations: list[ExplainedRow]
    link: Link
    model: str
    version: str
