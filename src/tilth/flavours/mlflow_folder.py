"""The files that make a folder an MLflow model, written without MLflow. Format: that of mlflow 3, which older clients read too."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray

from tilth.core import clock, ids
from tilth.flavours.frames import is_frame
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Signature, Tensor

MLMODEL_NAME = "MLmodel"
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
    method: PredictMethod | None,
    example: Any,
    by_name: bool,
) -> None:
    """`MLmodel`, the environment files and the input example.

    flavour_detail: what stands under the framework's own flavour. by_name: whether the model takes named columns or an array.
    several_classes: columns that predict_proba gives, 0 for other methods. Only the first EXAMPLE_ROWS rows of example are kept.
    method: None where MLflow's loader knows no methods; it is then given the file itself.
    """
    loading = {"loader_module": loader_module}
    loading |= {"data": model_path} if method is None else {"model_path": model_path, "predict_fn": method}
    info = _write_example(folder, example, by_name)
    inputs, outputs = _inputs_and_outputs(signature, several_classes, by_name)
    _write_documents(folder, loading, flavour, flavour_detail, requirements, (inputs, outputs), info)


def write_tensor_companions(
    folder: Path,
    *,
    data: str | None,
    loader_module: str,
    flavour: str,
    flavour_detail: Mapping[str, Any],
    requirements: list[str],
    tensors: tuple[Sequence[Tensor], Sequence[Tensor]],
    example: Mapping[str, NDArray[Any]],
) -> None:
    """The same for a model of tensors.

    data: the file or folder that MLflow's loader is given, None for the whole folder. tensors: inputs and outputs as the framework
    itself takes them; one without a name is the only one. example: its arrays by those names.
    """
    loading = {"loader_module": loader_module} | ({} if data is None else {"data": data})
    info = _write_arrays(folder, {name: array[:EXAMPLE_ROWS] for name, array in example.items()})
    sides = tuple([_named_tensor(tensor) for tensor in side] for side in tensors)
    _write_documents(folder, loading, flavour, flavour_detail, requirements, (sides[0], sides[1]), info)


def _write_documents(
    folder: Path,
    loading: Mapping[str, str],
    flavour: str,
    flavour_detail: Mapping[str, Any],
    requirements: list[str],
    signature: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    example_info: Mapping[str, Any],
) -> None:
    python = platform.python_version()
    env = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    document = {
        "flavors": {
            "python_function": {"env": env, "python_version": python, **loading},
            flavour: dict(flavour_detail),
        },
        "model_uuid": ids.new_id(),
        "saved_input_example_info": dict(example_info),
        "signature": {"inputs": _json(signature[0]), "outputs": _json(signature[1]), "params": None},
        "utc_time_created": clock.iso(clock.now()).replace("T", " ").rstrip("Z"),
    }
    _write_yaml(folder / MLMODEL_NAME, document)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    _write_yaml(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip", "setuptools", "wheel"], "dependencies": ["-r requirements.txt"]},
    )
    packages: list[Any] = [f"python={python}", "pip", {"pip": requirements}]
    _write_yaml(folder / "conda.yaml", {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages})


def _inputs_and_outputs(
    signature: Signature, several_classes: int, by_name: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    inputs: list[dict[str, Any]]
    if by_name:
        inputs = [{"type": column.type, "name": column.name, "required": True} for column in signature.inputs]
    else:
        inputs = [_tensor(len(signature.inputs))]
    return inputs, [_tensor(several_classes or (len(signature.outputs) if len(signature.outputs) > 1 else None))]


def _named_tensor(tensor: Tensor) -> dict[str, Any]:
    spec = {"dtype": "str" if tensor.type == "bytes" else tensor.type, "shape": list(tensor.shape)}
    return {"type": "tensor", "tensor-spec": spec} | ({"name": tensor.name} if tensor.name else {})


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
