"""ONNX Runtime behind both the flavour `onnx` and the compiled engine `onnxruntime`. Imported late: it is an optional package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.core.errors import Invalid
from tilth.flavours.optional import imported
from tilth.flavours.port import Arrays, EngineUnusable

_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    "tensor(string)": "bytes",
    **{f"tensor({kind}{bits})": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}


class NoText(Invalid):
    """Bytes were given to an input that takes text, and they are none."""


class OnnxSession:
    """One model in ONNX Runtime on the CPU, one thread for a call: many calls wait side by side. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises EngineUnusable: the package is missing, or the file is no model that it runs."""
        onnxruntime = imported("onnxruntime", "'tilth[onnx]'")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises types of its own for each thing that can be wrong with a file
            raise EngineUnusable(f"ONNX Runtime cannot run {path.name}: {str(error)[:300]}") from error
        self.inputs = {given.name: _TYPES.get(given.type, given.type) for given in self._session.get_inputs()}
        self.outputs: list[str] = [given.name for given in self._session.get_outputs()]
        self.shapes = {given.name: list(given.shape) for given in self._session.get_inputs()}

    def run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Every output by name. arrays: by input name, in the types of `inputs`. Raises NoText."""
        return dict(zip(self.outputs, map(_as_array, self._session.run(None, _fed(arrays))), strict=True))

    def run_only(self, output: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """One output by name. Raises NoText."""
        return {output: _as_array(self._session.run([output], _fed(arrays))[0])}


def _fed(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name: _texts(name, array) if array.dtype == object else array for name, array in arrays.items()}


def _texts(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """ONNX Runtime takes texts as objects of type str only."""
    try:
        flat = [value.decode() if isinstance(value, bytes) else str(value) for value in array.ravel()]
    except UnicodeDecodeError as error:
        raise NoText(f"tensor {name!r} takes text, and an element of it is no UTF-8 ({error.reason}); encode it first") from error
    return np.array(flat, dtype=object).reshape(array.shape)


def _as_array(given: Any) -> NDArray[Any]:
    """A list of maps (what converters give for class probabilities) becomes a column for each key, in the order of the first map."""
    if isinstance(given, list) and given and isinstance(given[0], dict):
        return np.array([[row[key] for key in given[0]] for row in given])
    return np.asarray(given)
