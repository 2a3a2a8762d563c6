"""Content digests and profiles of the data that a run reads. Equal content gives equal digests, whenever and wherever."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tilth.core.hashing import Manifest, address_of_file, canonical_json, content_address
from tilth.sdk.errors import UnknownData
from tilth.wire.tracking import DatasetInput

MAX_PROFILED_COLUMNS = 500


def describe(name: str, data: Any, source: str | None, context: str) -> DatasetInput:
    """data: a DataFrame (pandas, or anything with `to_pandas`), an array, a file or folder, bytes, or JSON values. Raises UnknownData."""
    if isinstance(data, str | Path):
        path = Path(data)
        if not path.exists():
            raise UnknownData(
                f"data set {name!r}: no file or folder {str(data)[:200]!r}; give its path, a DataFrame, an array or bytes"
            )
        return _from_path(name, path, source, context)
    if not _is_frame(data) and hasattr(data, "to_pandas"):
        data = data.to_pandas()
    if _is_frame(data):
        digest, schema, profile = _frame(data)
        return _made(name, digest, context, "frame", source, schema, profile)
    if isinstance(data, bytes | bytearray | memoryview):
        return _made(name, content_address(bytes(data)), context, "bytes", source, {}, {"bytes": len(data)})
    if isinstance(data, np.ndarray) or hasattr(data, "__array__"):
        digest, schema, profile = _array(np.asarray(data))
        return _made(name, digest, context, "array", source, schema, profile)
    try:
        return _made(name, content_address(canonical_json(data)), context, "json", source, {}, {})
    except (TypeError, ValueError) as error:
        kind = type(data).__name__
        raise UnknownData(
            f"data set {name!r}: no digest can be taken of a {kind}; give a DataFrame, an array, a path or bytes"
        ) from error


def _from_path(name: str, path: Path, source: str | None, context: str) -> DatasetInput:
    if path.is_dir():
        manifest = Manifest.of_folder(path)
        profile = {"files": len(manifest.files), "bytes": manifest.size}
        return _made(name, manifest.digest, context, "folder", source or str(path), {}, profile)
    return _made(name, address_of_file(path), context, "file", source or str(path), {}, {"bytes": path.stat().st_size})


def _made(name: str, digest: str, context: str, kind: str, source: str | None, schema: Any, profile: Any) -> DatasetInput:
    return DatasetInput(
        name=name,
        digest=digest,
        context=context,
        source_type=kind,
        source=source or "",
        schema=json.dumps(schema, separators=(",", ":")) if schema else "",
        profile=json.dumps(profile, separators=(",", ":")) if profile else "",
    )


def _is_frame(data: Any) -> bool:
    """Whether it is a pandas DataFrame or Series, without importing pandas."""
    return any(
        kind.__module__.split(".")[0] == "pandas" and kind.__name__ in ("DataFrame", "Series") for kind in type(data).__mro__
    )


def _frame(data: Any) -> tuple[str, Any, Any]:
    """Digest over column names, types and values in order; the index does not count."""
    from pandas.util import hash_pandas_object

    frame = data.to_frame() if hasattr(data, "to_frame") else data
    sha = hashlib.sha256()
    schema: list[dict[str, str]] = []
    columns: list[dict[str, Any]] = []
    for position, label in enumerate(frame.columns):
        column = frame.iloc[:, position]
        schema.append({"name": str(label), "type": str(column.dtype)})
        sha.update(canonical_json([str(label), str(column.dtype), len(column)]))
        sha.update(np.ascontiguousarray(hash_pandas_object(column, index=False).to_numpy(), dtype="<u8").tobytes())
        if position < MAX_PROFILED_COLUMNS:
            columns.append(_profiled(str(label), column))
    return sha.hexdigest(), schema, {"rows": len(frame), "columns": columns}


def _profiled(label: str, column: Any) -> dict[str, Any]:
    profile: dict[str, Any] = {"name": label, "missing": int(column.isna().sum())}
    if column.dtype.kind in "iufb" and len(column):
        numbers = {"mean": column.mean(), "min": column.min(), "max": column.max()}
        return profile | {key: float(value) for key, value in numbers.items() if math.isfinite(float(value))}
    if hasattr(column, "cat"):
        return profile | {"distinct": len(column.cat.categories)}
    try:
        return profile | {"distinct": int(column.nunique())}
    except TypeError:
        return profile  # lists and dicts cannot be counted


def _array(array: Any) -> tuple[str, Any, Any]:
    if array.dtype.hasobject:
        return _array(array.astype(str))
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    sha = hashlib.sha256(canonical_json([plain.dtype.str, list(plain.shape)]))
    sha.update(plain.tobytes())
    schema = {"type": str(array.dtype), "shape": list(array.shape)}
    return sha.hexdigest(), schema, {"rows": int(array.shape[0]) if array.ndim else 1}
