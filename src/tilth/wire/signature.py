"""What a model takes and gives, column by column. Kept in the model's folder as part of `tilth.json`."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnType = Literal["double", "long", "boolean", "string"]
Unseen = Literal["refuse", "missing"]


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input or output column.

    type: MLflow's name of the type; integers and floats of any width become `long` and `double`.
    categories: for `string` inputs the vocabulary seen in training; a value is encoded as its index in it.
    nullable: whether null (NaN) is accepted.
    unseen: what happens to a string outside the vocabulary: the request is refused, or the value counts as missing.
    """

    name: str
    type: ColumnType
    categories: tuple[str, ...] | None = None
    nullable: bool = False
    unseen: Unseen = "refuse"


class Signature(msgspec.Struct, frozen=True):
    """Inputs in the order in which the model takes them; outputs in the order in which it gives them."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]
