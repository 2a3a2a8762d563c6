"""Any Python function as a model: of rows, of a DataFrame, of arrays; alone, before a model, or an object with `predict`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from tilth.core.names import check_artifact_path
from tilth.flavours import frames, function_calls, pickling, tabular
from tilth.flavours.mlflow_folder import Section, write_companions
from tilth.flavours.port import ArrayPredictor, Arrays, Outputs, Predictor, Rows, UnusableExample
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Signature, Unseen

MODEL_PATH = "model.pkl"
ARTIFACTS = "artifacts"
EXAMPLE_ROWS = 100
"""Rows of the example that the function answers once, to see what it gives."""

_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, partial)


@dataclass(frozen=True, slots=True)
class WithFiles:
    """A function and the files or folders it needs, by name. It gets their places as its parameter `artifacts`."""

    function: Any
    files: Mapping[str, Path] = field(default_factory=dict)


class FunctionFlavour:
    """Saved as cloudpickle. The last one to be asked, since many models can be called."""

    name = "function"

    def knows(self, model: object) -> bool:
        model = _bare(model)
        if isinstance(model, list | tuple):
            return len(model) > 1 and all(isinstance(step, _FUNCTIONS) for step in model[:-1])
        return isinstance(model, _FUNCTIONS) or (not isinstance(model, type) and _own_predict(model))

    def default_method(self, model: Any) -> PredictMethod:
        last = function_calls.last_of(_bare(model))
        return "predict_proba" if hasattr(last, "predict_proba") and hasattr(last, "classes_") else "predict"

    def signature(
        self,
        model: Any,
        example: Any,
        method: PredictMethod,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        unseen: Mapping[str, Unseen] | None = None,
    ) -> Signature:
        example = _table(example)
        kinds = frames.kinds_of(example)
        call = function_calls.call_of(_bare(model), list(example.columns))
        known = {**(categories or {}), **call.vocabularies}
        columns = frames.columns_of(example, kinds, categories=known, unseen=unseen or {}, free_text=True)
        inputs = tuple(call.declared(column, missing=bool(example[column.name].isna().any())) for column in columns)
        draft = Signature(inputs=inputs)
        run = _FunctionRun(_bare(model), draft, kinds, call.style, method, _places(model))
        answer = run.answers(example.iloc[:EXAMPLE_ROWS])
        outputs = tuple(function_calls.output_column(name, values, call.returns) for name, values in answer.items())
        if not outputs:
            raise UnusableExample("the function gave no output for the example; return one value, or one dict, for each row.")
        return Signature(inputs=inputs, outputs=outputs)

    def encode(self, example: Any, signature: Signature) -> Rows | Arrays:
        example = _table(frames.as_table(example))
        return frames.named_arrays(example, signature) if signature.named else frames.encode(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        example = _table(example)
        function = _bare(model)
        call = function_calls.call_of(function, list(example.columns))
        data = pickling.dumped(function)
        (folder / MODEL_PATH).write_bytes(data)
        files = _copied(_places(model), folder)
        versions = tabular.versions_of("tilth", "cloudpickle", "numpy", "pandas") | pickling.packages_in(data)
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=MODEL_PATH,
            classes=function_calls.classes_of(function) if method == "predict_proba" else (),
            frameworks=versions,
            detail={"style": call.style, "kinds": list(frames.kinds_of(example)), "artifacts": files},
        )
        write_companions(folder, document, example, Section("tilth", {"data": MODEL_PATH}, "tilth.flavours.pyfunc"))
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
        function = pickling.loaded(folder / document.model_path)
        places = {name: folder / path for name, path in document.detail["artifacts"].items()}
        if hasattr(function, "load") and not isinstance(function, _FUNCTIONS):
            function.load(places)
        kind = _ArrayRun if document.signature.named else _RowsRun
        return kind(function, document.signature, document.detail["kinds"], document.detail["style"], document.method, places)


class _FunctionRun:
    """A function with what it needs to answer. As thread-safe as the function is."""

    engine = "python"

    def __init__(
        self,
        function: Any,
        signature: Signature,
        kinds: Sequence[frames.Kind],
        style: function_calls.Style,
        method: PredictMethod,
        places: Mapping[str, Path],
    ) -> None:
        self._names = [column.name for column in signature.outputs]
        self._whole = {column.name for column in signature.outputs if column.type == "long"}
        self._builder = frames.FrameBuilder(signature, kinds)
        self._call = function_calls.caller_of(function, style, method, dict(places))

    def answers(self, frame: Any) -> dict[str, Any]:
        """Outputs by name, each 1-d with a value for each row. Raises what the function raises, and ValueError for another shape."""
        return function_calls.by_name(self._call(frame), len(frame))

    def _outputs(self, frame: Any) -> list[Any]:
        answer = self.answers(frame)
        if list(answer) != self._names:
            raise ValueError(f"the function gave {', '.join(answer)}, its signature says {', '.join(self._names)}")
        return list(answer.values())


class _RowsRun(_FunctionRun):
    def predict(self, rows: Rows) -> Outputs:
        columns = [np.asarray(values, dtype=np.float64) for values in self._outputs(self._builder.build(rows))]
        return columns[0] if len(columns) == 1 else np.column_stack(columns)


class _ArrayRun(_FunctionRun):
    def predict_arrays(self, arrays: Arrays) -> Arrays:
        return dict(zip(self._names, self._outputs(self._builder.of_arrays(arrays)), strict=True))


def _bare(model: Any) -> Any:
    return model.function if isinstance(model, WithFiles) else model


def _places(model: Any) -> dict[str, Path]:
    return dict(model.files) if isinstance(model, WithFiles) else {}


def _own_predict(model: object) -> bool:
    """Whether a class of the user's own says how to predict."""
    return any(name in vars(kind) for kind in type(model).__mro__[:-1] for name in ("predict", "__call__"))


def _table(example: Any) -> Any:
    """Arrays get the names x0, x1, ... Raises UnusableExample."""
    import pandas

    if frames.is_frame(example):
        return example
    matrix = frames.as_matrix(example)
    return pandas.DataFrame(matrix, columns=[f"x{at}" for at in range(matrix.shape[1])])


def _copied(files: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Into the model's folder; the places there, by name. Raises UnusableExample and InvalidName."""
    placed = {}
    for name, source in files.items():
        source = Path(source)
        path = check_artifact_path(f"{ARTIFACTS}/{name}/{source.name}")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copyfile(source, target)
        else:
            raise UnusableExample(f"artifacts= names {str(source)!r} as {name!r}, and there is no such file or folder.")
        placed[name] = path
    return placed
