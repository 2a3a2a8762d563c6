"""How the columns of a version stand in a file: names, order and types, the same for the same signature and policy. Pure.

Laid out so that a lake can take the files as they are: moments are microseconds in UTC (Iceberg has no milliseconds), there are no
partition columns, no categories, and no type that Iceberg or Parquet lacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import polars as pl

from tilth.wire.prediction_tables import INPUT, OUTPUT
from tilth.wire.shipping import LogPolicy
from tilth.wire.signature import Column, Signature, Tensor

BASE: Mapping[str, pl.DataType] = {
    "prediction_id": pl.String(),
    "row": pl.Int32(),
    "at": pl.Datetime("us", "UTC"),
    "deployment": pl.String(),
    "model": pl.String(),
    "version": pl.Int32(),
    "shadow": pl.Boolean(),
    "route_key_hash": pl.String(),
    "request_id": pl.String(),
    "protocol": pl.String(),
    "latency_us": pl.Int64(),
    "sample_weight": pl.Float64(),
}
_COLUMNS: Mapping[str, pl.DataType] = {
    "double": pl.Float64(),
    "long": pl.Int64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
}
_TENSORS: Mapping[str, pl.DataType] = {
    "bool": pl.Boolean(),
    "uint8": pl.Int32(),
    "uint16": pl.Int32(),
    "uint32": pl.Int64(),
    "uint64": pl.Float64(),
    "int8": pl.Int32(),
    "int16": pl.Int32(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "float16": pl.Float32(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "bytes": pl.String(),
}
"""Unsigned types and half floats are no types of Iceberg: they stand in the next wider one, `uint64` in a float."""


@dataclass(frozen=True)
class Layout:
    """inputs, outputs: by name as the signature has them, without what is dropped."""

    inputs: Mapping[str, pl.DataType]
    outputs: Mapping[str, pl.DataType]

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        return {
            **BASE,
            **{INPUT + name: kind for name, kind in self.inputs.items()},
            **{OUTPUT + name: kind for name, kind in self.outputs.items()},
        }

    @cached_property
    def digest(self) -> str:
        """Equal for files that can be joined row upon row."""
        return columns_digest(self.schema)


def columns_digest(schema: Mapping[str, pl.DataType]) -> str:
    return hashlib.sha256(msgspec.json.encode([[name, str(kind)] for name, kind in schema.items()])).hexdigest()


def layout_of(signature: Signature | None, policy: LogPolicy) -> Layout:
    """signature None: nothing of the values is known, and the rows have the base columns alone."""
    if signature is None:
        return Layout({}, {})
    return Layout(
        _types(signature.tensors or signature.inputs, policy), _types(signature.output_tensors or signature.outputs, policy)
    )


def _types(given: Sequence[Column | Tensor], policy: LogPolicy) -> dict[str, pl.DataType]:
    types: dict[str, pl.DataType] = {}
    for one in given:
        match policy.redact.get(one.name):
            case "drop":
                continue
            case "hash":
                types[one.name] = pl.String()
            case _:
                types[one.name] = _COLUMNS[one.type] if isinstance(one, Column) else _nested(one)
    return types


def _nested(tensor: Tensor) -> pl.DataType:
    kind = _TENSORS[tensor.type]
    for _ in tensor.shape[1:]:
        kind = pl.List(kind)
    return kind
