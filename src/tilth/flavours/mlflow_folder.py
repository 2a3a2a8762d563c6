"""The files that make a folder an MLflow model, written without MLflow. Format: that of mlflow 3, which older clients read too."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray

from tilth.core import clock, ids
from tilth.flavours.frames import is_frame
from tilth.flavours.port import Arrays
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Tensor

MLMODEL_NAME = "MLmodel"
EXAMPLE_ROWS = 5
EXAMPLE_NAME = "input_example.json"
SERVING_EXAMPLE_NAME = "serving_input_example.json"


@dataclass(frozen=True, slots=True)
class Section:
    """The framework's own part of `MLmodel`. loader_module: empty for MLflow's own of that name."""

    name: str
    content: Mapping[str, Any]
    loader_module: str = ""


def write_companions(
    folder: Path, document: ModelDocument, example: Any, section: Section, *, predict_fn: PredictMethod | None = None
) -> None:
    """`MLmodel`, the environment files for the frameworks of `document`, and the first EXAMPLE_ROWS rows of the example.

    example: a DataFrame where the model takes named columns, else an array. predict_fn: None where MLflow's loader knows no methods; it
    is then given the model's file itself.
    """
    path, signature = document.model_path, document.signature
    loading = {"data": path} if predict_fn is None else {"model_path": path, "predict_fn": predict_fn}
    inputs: list[dict[str, Any]] = [_tensor(len(signature.inputs))]
    if is_frame(example):
        inputs = [{"type": column.type, "name": column.name, "required": True} for column in signature.inputs]
    several = len(signature.outputs) if len(signature.outputs) > 1 else None
    outputs = [_tensor(len(document.classes) if predict_fn == "predict_proba" else several)]
    _write_documents(folder, document, section, loading, (inputs, outputs), _write_example(folder, example))


def write_tensor_companions(
    folder: Path,
    document: ModelDocument,
    example: Arrays,
    section: Section,
    *,
    tensors: tuple[Sequence[Tensor], Sequence[Tensor]],
    data: str = "",
) -> None:
    """The same for a model of tensors.

    tensors: inputs and outputs as the framework itself takes them; one without a name is the only one. example: its arrays by those
    names. data: the file or folder that MLflow's loader is given, empty for the whole folder.
    """
    inputs, outputs = ([_named_tensor(tensor) for tensor in side] for side in tensors)
    info = _write_arrays(folder, {name: array[:EXAMPLE_ROWS] for name, array in example.items()})
    _write_documents(folder, document, section, {"data": data} if data else {}, (inputs, outputs), info)


def _write_documents(
    folder: Path,
    document: ModelDocument,
    section: Section,
    loading: Mapping[str, str],
    signature: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    example_info: Mapping[str, Any],
) -> None:
    python = platform.python_version()
    requirements = [f"{name}=={version}" for name, version in document.frameworks.items()]
    env = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    loader = section.loader_module or f"mlflow.{section.name}"
    mlmodel = {
        "flavors": {
            "python_function": {"env": env, "python_version": python, "loader_module": loader, **loading},
            section.name: {**section.content, "code": None},
        },
        "model_uuid": ids.new_id(),
        "saved_input_example_info": dict(example_info),
        "signature": {"inputs": _json(signature[0]), "outputs": _json(signature[1]), "params": None},
        "utc_time_created": clock.iso(clock.now()).replace("T", " ").rstrip("Z"),
    }
    _write_yaml(folder / MLMODEL_NAME, mlmodel)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    _write_yaml(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip", "setuptools", "wheel"], "dependencies": ["-r requirements.txt"]},
    )
    packages: list[Any] = [f"python={python}", "pip", {"pip": requirements}]
    _write_yaml(folder / "conda.yaml", {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages})


def _named_tensor(tensor: Tensor) -> dict[str, Any]:
    spec = {"dtype": "str" if tensor.type == "bytes" else tensor.type, "shape": list(tensor.shape)}
    return {"type": "tensor", "tensor-spec": spec} | ({"name": tensor.name} if tensor.name else {})


def _tensor(columns: int | None) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1] if columns is None else [-1, columns]}}


def _write_example(folder: Path, example: Any) -> dict[str, Any]:
    info = {"artifact_path": EXAMPLE_NAME, "serving_input_path": SERVING_EXAMPLE_NAME}
    if is_frame(example):
        first = example.head(EXAMPLE_ROWS)
        rows = [[_plain(value) for value in row] for row in first.itertuples(index=False, name=None)]
        saved: Any = {"columns": list(first.columns), "data": rows}
        serving: Any = {"dataframe_split": saved}
        info |= {"type": "dataframe", "pandas_orient": "split"}
    else:
        saved = [[_plain(value) for value in row] for row in np.asarray(example)[:EXAMPLE_ROWS].tolist()]
        serving = {"inputs": saved}
        info |= {"type": "ndarray"}
    (folder / EXAMPLE_NAME).write_bytes(msgspec.json.encode(saved))
    (folder / SERVING_EXAMPLE_NAME).write_bytes(msgspec.json.encode(serving))
    return info


def _write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    listed = {name: _plain_nested(array.tolist()) for name, array in arrays.items()}
    saved = listed[""] if set(listed) == {""} else listed
    (folder / EXAMPLE_NAME).write_bytes(msgspec.json.encode(saved))
    (folder / SERVING_EXAMPLE_NAME).write_bytes(msgspec.json.encode({"inputs": saved}))
    return {"artifact_path": EXAMPLE_NAME, "serving_input_path": SERVING_EXAMPLE_NAME, "type": "ndarray"}


def _plain_nested(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain_nested(entry) for entry in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else _plain(value)


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
