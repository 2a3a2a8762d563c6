"""The files that make a folder an MLflow model, written without MLflow. Format: that of mlflow 3, which older clients read too."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

from tilth.core import clock, ids
from tilth.flavours.frames import is_frame
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Signature

EXAMPLE_ROWS = 5
EXAMPLE_NAME = "input_example.json"
SERVING_EXAMPLE_NAME = "serving_input_example.json"


def write_companions(
    folder: Path,
    *,
    model_path: str,
    loader_module: str,
    flavour: str,
    flavour_detail: Mapping[str, Any],
    requirements: list[str],
    signature: Signature,
    several_classes: int,
    method: PredictMethod,
    example: Any,
    by_name: bool,
) -> None:
    """`MLmodel`, the environment files and the input example.

    flavour_detail: what stands under the framework's own flavour. by_name: whether the model takes named columns or an array.
    several_classes: columns that predict_proba gives, 0 for other methods. Only the first EXAMPLE_ROWS rows of example are kept.
    """
    python = platform.python_version()
    document = {
        "flavors": {
            "python_function": {
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": loader_module,
                "model_path": model_path,
                "predict_fn": method,
                "python_version": python,
            },
            flavour: dict(flavour_detail),
        },
        "model_uuid": ids.new_id(),
        "saved_input_example_info": _write_example(folder, example, by_name),
        "signature": _signature(signature, several_classes, by_name),
        "utc_time_created": clock.iso(clock.now()).replace("T", " ").rstrip("Z"),
    }
    _write_yaml(folder / "MLmodel", document)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    _write_yaml(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip", "setuptools", "wheel"], "dependencies": ["-r requirements.txt"]},
    )
    packages: list[Any] = [f"python={python}", "pip", {"pip": requirements}]
    _write_yaml(folder / "conda.yaml", {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages})


def _signature(signature: Signature, several_classes: int, by_name: bool) -> dict[str, Any]:
    inputs: list[dict[str, Any]]
    if by_name:
        inputs = [{"type": column.type, "name": column.name, "required": True} for column in signature.inputs]
    else:
        inputs = [_tensor(len(signature.inputs))]
    outputs = [_tensor(several_classes or (len(signature.outputs) if len(signature.outputs) > 1 else None))]
    return {"inputs": _json(inputs), "outputs": _json(outputs), "params": None}


def _tensor(columns: int | None) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1] if columns is None else [-1, columns]}}


def _write_example(folder: Path, example: Any, by_name: bool) -> dict[str, Any]:
    info = {"artifact_path": EXAMPLE_NAME, "serving_input_path": SERVING_EXAMPLE_NAME}
    if by_name:
        first = example.head(EXAMPLE_ROWS)
        rows = [[_plain(value) for value in row] for row in first.itertuples(index=False, name=None)]
        saved: Any = {"columns": list(first.columns), "data": rows}
        serving: Any = {"dataframe_split": saved}
        info |= {"type": "dataframe", "pandas_orient": "split"}
    else:
        values = example.to_numpy() if is_frame(example) else np.asarray(example)
        saved = [[_plain(value) for value in row] for row in values[:EXAMPLE_ROWS].tolist()]
        serving = {"inputs": saved}
        info |= {"type": "ndarray"}
    (folder / EXAMPLE_NAME).write_bytes(msgspec.json.encode(saved))
    (folder / SERVING_EXAMPLE_NAME).write_bytes(msgspec.json.encode(serving))
    return info


def _plain(value: Any) -> Any:
    """A cell as JSON has it; every kind of missing becomes null."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and np.isfinite(value) else None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(document), sort_keys=True, allow_unicode=True, width=120))
