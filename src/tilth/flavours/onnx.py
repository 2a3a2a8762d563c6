"""ONNX: a `ModelProto`, or the path of an `.onnx` file, run by ONNX Runtime. No code travels with it. Both are imported late."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.flavours.mlflow_folder import Section, write_tensor_companions
from tilth.flavours.onnx_sessions import OnnxSession
from tilth.flavours.port import ArrayPredictor, Arrays, Predictor, Rows, UnusableExample
from tilth.flavours.tabular import versions_of
from tilth.flavours.tensors import (
    Run,
    arrays_of,
    cast_to,
    describe,
    encode_example,
    predictor_over,
    refuse_vocabularies,
    tensors_of,
)
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Column, Signature, Unseen

MODEL_PATH = "model.onnx"


class OnnxFlavour:
    """A classifier as converters write it (a label and the classes' probabilities) is served by its probabilities."""

    name = "onnx"

    def knows(self, model: object) -> bool:
        if isinstance(model, str | Path):
            return str(model).endswith(".onnx")
        kind = type(model)
        return kind.__name__ == "ModelProto" and kind.__module__.startswith("onnx")

    def default_method(self, model: Any) -> PredictMethod:
        with _session(model) as session:
            return "predict_proba" if _probabilities(session) else "predict"

    def signature(
        self,
        model: Any,
        example: Any,
        method: PredictMethod,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        unseen: Mapping[str, Unseen] | None = None,
    ) -> Signature:
        refuse_vocabularies(categories, unseen)
        with _session(model) as session:
            inputs = _fitting(session, example)
            given = _answered(_run_of(session, method), inputs)
        signature = describe(example, inputs, given)
        if method == "predict_proba" and len(signature.outputs) == 2:
            # Of two classes the second one's probability says it all, as for scikit-learn's classifiers.
            return msgspec.structs.replace(signature, outputs=(Column(name="probability", type="double"),))
        return signature

    def encode(self, example: Any, signature: Signature) -> Rows | Arrays:
        return encode_example(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        (folder / MODEL_PATH).write_bytes(_bytes(model))
        session = OnnxSession(folder / MODEL_PATH)
        inputs = _fitting(session, example)
        versions = versions_of("onnx", "onnxruntime", "numpy")
        document = ModelDocument(
            flavour=self.name, signature=signature, method=method, model_path=MODEL_PATH, frameworks=versions
        )
        content = {
            "onnx_version": versions.get("onnx", ""),
            "data": MODEL_PATH,
            "providers": ["CPUExecutionProvider"],
            "onnx_session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        }
        tensors = tensors_of(inputs), tensors_of(session.run(inputs))
        write_tensor_companions(folder, document, inputs, Section("onnx", content), tensors=tensors, data=MODEL_PATH)
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
        session = OnnxSession(folder / document.model_path)
        run = _run_of(session, document.method)
        if document.method == "predict_proba" and len(document.signature.outputs) == 1:
            run = _second_class(run)
        name, type_ = next(iter(session.inputs.items()))
        return predictor_over("onnxruntime", run, document.signature, name, type_)


@contextlib.contextmanager
def _session(model: Any) -> Iterator[OnnxSession]:
    if isinstance(model, str | Path):
        yield OnnxSession(Path(model))
        return
    with tempfile.TemporaryDirectory(prefix="tilth-onnx-") as temporary:
        path = Path(temporary) / MODEL_PATH
        path.write_bytes(_bytes(model))
        yield OnnxSession(path)


def _bytes(model: Any) -> bytes:
    """Raises UnusableExample for a model whose weights lie in other files, or above the 2 GB that one file can hold."""
    if isinstance(model, str | Path):
        content = Path(model).read_bytes()
        _refuse_external(content)
        return content
    try:
        serialized: bytes = model.SerializeToString()
    except ValueError as error:
        raise UnusableExample(f"the model does not fit into one file of ONNX: {error}") from error
    return serialized


def _refuse_external(content: bytes) -> None:
    try:
        onnx = import_module("onnx")
        uses_external_data = import_module("onnx.external_data_helper").uses_external_data
    except ImportError:
        return  # ONNX Runtime itself refuses paths outside the model's folder, and a file that is missing there
    if any(uses_external_data(tensor) for tensor in onnx.load_from_string(content).graph.initializer):
        raise UnusableExample(
            "the model keeps its weights in other files; write it into one: "
            "onnx.save(onnx.load(path), 'one.onnx', save_as_external_data=False)"
        )


def _fitting(session: OnnxSession, example: Any) -> dict[str, NDArray[Any]]:
    return cast_to(arrays_of(example, list(session.inputs)), session.inputs)


def _answered(run: Run, inputs: dict[str, NDArray[Any]]) -> Arrays:
    try:
        return run(inputs)
    except Exception as error:  # onnxruntime raises types of its own
        raise UnusableExample(f"the model cannot answer its example: {' '.join(str(error).split())[:300]}") from error


def _probabilities(session: OnnxSession) -> str | None:
    """The output that holds the probabilities of classes, where the outputs are a label and those."""
    if len(session.outputs) == 2 and "prob" in session.outputs[1].lower() and "label" in session.outputs[0].lower():
        return str(session.outputs[1])
    return None


def _run_of(session: OnnxSession, method: PredictMethod) -> Run:
    wanted = _probabilities(session)
    if method == "predict_proba":
        if wanted is None:
            raise UnusableExample(
                f"the model gives {', '.join(session.outputs)}: no label and probabilities; pass method='predict'."
            )
        output = wanted
        return lambda arrays: session.run_only(output, arrays)
    if wanted is not None and session.outputs[0] != wanted:
        label = session.outputs[0]
        return lambda arrays: session.run_only(label, arrays)
    return session.run


def _second_class(run: Run) -> Run:
    return lambda arrays: {name: np.asarray(array)[:, 1] for name, array in run(arrays).items()}
