"""Rows that a foreign model is asked once, so that its signature is known: from a file, or made of what the model says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tilth.flavours import EngineUnusable
from tilth.flavours.optional import imported
from tilth.sdk.importing.types import NotImportable

MAX_ROWS = 10_000


def read_example(path: Path) -> Any:
    """A DataFrame, an array, or arrays by name. `.csv`, `.parquet`, `.json` (MLflow's forms), `.npy`, `.npz`. Raises NotImportable."""
    try:
        match path.suffix.lower():
            case ".csv":
                return _pandas().read_csv(path, nrows=MAX_ROWS)
            case ".parquet":
                return _pandas().read_parquet(path).head(MAX_ROWS)
            case ".npy":
                return np.load(path, allow_pickle=False)[:MAX_ROWS]
            case ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    return {name: arrays[name][:MAX_ROWS] for name in arrays.files}
            case ".json":
                return _of_json(json.loads(path.read_bytes()))
            case other:
                raise NotImportable(
                    f"an example in a {other or 'nameless'} file is not read; give .csv, .parquet, .json, .npy or .npz"
                )
    except (OSError, ValueError, KeyError, RecursionError, EngineUnusable) as error:
        raise NotImportable(f"the example {path.name} cannot be read: {str(error)[:200]}") from error


def made_up(model: Any) -> Any:
    """Two rows of zeros for a model that says how many numbers it takes. Raises NotImportable."""
    names, count = _inputs_of(model)
    if names is not None:
        return _pandas().DataFrame(np.zeros((2, len(names))), columns=names)
    if count is not None:
        return np.zeros((2, count))
    raise NotImportable(
        f"a {type(model).__name__} does not say what it takes; give a few rows by example= or --example FILE (.csv, .parquet, .json, "
        ".npy, .npz)"
    )


def _inputs_of(model: Any) -> tuple[list[str] | None, int | None]:
    """Names of the columns, or their number, as far as the model knows them."""
    if isinstance(model, Path):
        return None, _onnx_width(model)
    for attribute in ("feature_names_in_", "feature_names", "feature_names_", "feature_name"):
        names = getattr(model, attribute, None)
        names = names() if callable(names) else names
        if names is not None and len(names) and all(isinstance(name, str) for name in names):
            return [str(name) for name in names], None
    for attribute in ("n_features_in_", "num_features", "num_feature"):
        count = getattr(model, attribute, None)
        count = count() if callable(count) else count
        if isinstance(count, int) and count > 0:
            return None, count
    if type(model).__module__.startswith("keras") and len(model.inputs) == 1 and len(model.inputs[0].shape) == 2:
        return None, model.inputs[0].shape[1]
    return None, None


def _onnx_width(path: Path) -> int | None:
    from tilth.flavours.onnx_sessions import OnnxSession

    shapes = list(OnnxSession(path).shapes.values())
    if len(shapes) == 1 and len(shapes[0]) == 2 and isinstance(shapes[0][1], int):
        return shapes[0][1]
    return None


def _of_json(read: Any) -> Any:
    if isinstance(read, dict):
        for form in ("dataframe_split", "dataframe_records", "instances", "inputs"):
            if form in read:
                return _of_json(read[form])
        if "columns" in read and "data" in read:
            return _pandas().DataFrame(read["data"], columns=read["columns"])
        return {name: np.asarray(values) for name, values in read.items()}
    if isinstance(read, list) and read and isinstance(read[0], dict):
        return _pandas().DataFrame(read[:MAX_ROWS])
    return np.asarray(read)[:MAX_ROWS]


def _pandas() -> Any:
    return imported("pandas", "pandas")
