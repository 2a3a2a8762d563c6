"""What a model takes and gives: columns of a table, or named tensors. Kept in the model's folder as part of `tilth.json`."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnType = Literal["double", "long", "boolean", "string"]
Unseen = Literal["refuse", "missing"]
TensorType = Literal[
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "bytes"
]
"""NumPy's names of the types; `bytes` is an array of objects, each a `bytes` or a `str`."""


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input or output column.

    type: MLflow's name of the type; integers and floats of any width become `long` and `double`.
    categories: for `string` inputs the vocabulary seen in training; a value is encoded as its index in it. A `string` input without
    a vocabulary is free text, which only a model that takes named arrays can read (`Signature.named`).
    nullable: whether null (NaN) is accepted.
    unseen: what happens to a string outside the vocabulary: the request is refused, or the value counts as missing.
    """

    name: str
    type: ColumnType
    categories: tuple[str, ...] | None = None
    nullable: bool = False
    unseen: Unseen = "refuse"


class Tensor(msgspec.Struct, frozen=True):
    """One named input or output array. shape: its first axis is the rows and is -1; a further -1 is any length."""

    name: str
    type: TensorType
    shape: tuple[int, ...]


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """Inputs in the order in which the model takes them; outputs in the order in which it gives them.

    A model takes either columns (`inputs`) or `tensors`, and gives either columns (`outputs`) or `output_tensors`.
    """

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    output_tensors: tuple[Tensor, ...] = ()

    @property
    def named(self) -> bool:
        """Whether the model takes and gives arrays by name instead of one table of numbers: tensors, or columns of free text."""
        return bool(self.tensors or self.output_tensors) or any(
            column.type == "string" and column.categories is None for column in (*self.inputs, *self.outputs)
        )
