"""Keras models (a `.keras` file) and TensorFlow programs (a SavedModel). Both are imported late."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tilth.flavours.mlflow_folder import Section, write_tensor_companions
from tilth.flavours.optional import imported, is_of
from tilth.flavours.port import ArrayPredictor, Arrays, EngineUnusable, Predictor, Rows, UnusableExample
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
    unnamed,
)
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Signature, Unseen

DATA = "data"
KERAS_PATH = f"{DATA}/model.keras"
PROGRAM_PATH = "tf2model"
SERVING = "serving_default"


class KerasFlavour:
    """Read back in safe mode: a layer that holds Python code of its own (Lambda) is refused."""

    name = "keras"

    def knows(self, model: object) -> bool:
        return is_of(model, "keras") and hasattr(model, "get_config") and hasattr(model, "inputs")

    def default_method(self, model: Any) -> PredictMethod:
        return "predict"

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
        inputs = cast_to(arrays_of(example, _keras_names(model)), _keras_types(model))
        return describe(example, inputs, _keras_run(model)(inputs))

    def encode(self, example: Any, signature: Signature) -> Rows | Arrays:
        return encode_example(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        (folder / DATA).mkdir()
        model.save(folder / KERAS_PATH)
        # What MLflow's loader reads beside the file.
        (folder / DATA / "keras_module.txt").write_text("tensorflow.keras")
        (folder / DATA / "save_format.txt").write_text("tf")
        try:
            read_keras(folder / KERAS_PATH)
        except EngineUnusable as unusable:
            raise UnusableExample(
                f"{unusable}. Layers of your own need @keras.saving.register_keras_serializable in an installed package, and Lambda "
                "layers are not read back; log a Python function around such a model."
            ) from unusable
        inputs = cast_to(arrays_of(example, _keras_names(model)), _keras_types(model))
        outputs = _keras_run(model)(inputs)
        if len(inputs) == len(outputs) == 1:
            inputs, outputs = unnamed(inputs), unnamed(outputs)
        document = ModelDocument(
            flavour=self.name, signature=signature, method=method, model_path=KERAS_PATH, frameworks=_versions()
        )
        version = str(imported("keras", "keras").__version__)
        content = {"data": DATA, "model_type": "keras", "save_format": "tf", "keras_version": version}
        tensors = tensors_of(inputs), tensors_of(outputs)
        write_tensor_companions(folder, document, inputs, Section("tensorflow", content), tensors=tensors, data=DATA)
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
        model = read_keras(folder / document.model_path)
        name, type_ = next(iter(_keras_types(model).items()))
        return predictor_over("keras", _keras_run(model), document.signature, name, type_)


class TensorflowFlavour:
    """What `tf.saved_model.load` gives, or a `tf.Module` with signatures; asked by its signature `serving_default`, or its only one."""

    name = "tensorflow"

    def knows(self, model: object) -> bool:
        return is_of(model, "tensorflow") and bool(getattr(model, "signatures", None))

    def default_method(self, model: Any) -> PredictMethod:
        return "predict"

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
        run = _ProgramRun(model, _signature_key(model))
        inputs = cast_to(arrays_of(example, list(run.types)), run.types)
        return describe(example, inputs, run(inputs))

    def encode(self, example: Any, signature: Signature) -> Rows | Arrays:
        return encode_example(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        run = _ProgramRun(model, _signature_key(model))
        imported("tensorflow", "tensorflow-cpu").saved_model.save(
            model, str(folder / PROGRAM_PATH), signatures={SERVING: run.asked}
        )
        inputs = cast_to(arrays_of(example, list(run.types)), run.types)
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=PROGRAM_PATH,
            frameworks=_versions(),
            detail={"key": SERVING},
        )
        content = {
            "saved_model_dir": PROGRAM_PATH,
            "model_type": "tf1-estimator",
            "meta_graph_tags": ["serve"],
            "signature_def_key": SERVING,
        }
        tensors = tensors_of(inputs), tensors_of(run(inputs))
        write_tensor_companions(folder, document, inputs, Section("tensorflow", content), tensors=tensors)
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
        model = read_program(folder / document.model_path)
        run = _ProgramRun(model, document.detail["key"])
        name, type_ = next(iter(run.types.items()))
        return predictor_over("tensorflow", run, document.signature, name, type_)


def read_keras(path: Path) -> Any:
    """Raises EngineUnusable, also for a file with code of its own."""
    _one_thread()
    keras = imported("keras", "keras tensorflow-cpu")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what a damaged or unsafe file raises depends on the layer
        raise EngineUnusable(
            f"Keras cannot read {path.name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error


def read_program(path: Path) -> Any:
    """A SavedModel. Its operations may read and write files. Raises EngineUnusable."""
    tensorflow = _one_thread()
    try:
        return tensorflow.saved_model.load(str(path))
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:300]
        raise EngineUnusable(f"TensorFlow cannot read {path.name}: {type(error).__name__}: {reason}") from error


def _one_thread() -> Any:
    """TensorFlow, with one thread for an operation where it has not begun yet: many predictions wait side by side."""
    tensorflow = imported("tensorflow", "tensorflow-cpu")
    with contextlib.suppress(RuntimeError):
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return tensorflow


def _keras_names(model: Any) -> list[str]:
    if not getattr(model, "inputs", None):
        raise UnusableExample("this Keras model does not know its inputs yet: build it with an Input layer, or call it once.")
    return [given.name for given in model.inputs]


def _keras_types(model: Any) -> dict[str, str]:
    return {given.name: "bytes" if given.dtype == "string" else str(given.dtype) for given in model.inputs}


def _keras_run(model: Any) -> Run:
    names = _keras_names(model)

    def run(arrays: Arrays) -> dict[str, NDArray[Any]]:
        given = [arrays[name] for name in names]
        answer = model(given[0] if len(given) == 1 else given, training=False)
        if isinstance(answer, Mapping):
            return {str(name): tensor.numpy() for name, tensor in answer.items()}
        if isinstance(answer, list | tuple):
            return {f"output_{at}": tensor.numpy() for at, tensor in enumerate(answer)}
        return {"output": answer.numpy()}

    return run


def _signature_key(model: Any) -> str:
    keys = list(model.signatures)
    if SERVING in keys:
        return SERVING
    if len(keys) != 1:
        raise UnusableExample(f"the program has the signatures {', '.join(keys) or 'none'}, and none is {SERVING!r}.")
    return str(keys[0])


class _ProgramRun:
    """One signature of a program. Thread-safe."""

    def __init__(self, model: Any, key: str) -> None:
        """Raises EngineUnusable."""
        if key not in model.signatures:
            raise EngineUnusable(f"the program has no signature {key!r}; it has: {', '.join(model.signatures)}")
        # The signature holds its variables weakly: the model must live as long as it is asked.
        self._model = model
        self.asked: Any = model.signatures[key]
        self._constant = imported("tensorflow", "tensorflow-cpu").constant
        _, named = self.asked.structured_input_signature
        self.types = {name: "bytes" if spec.dtype.name == "string" else str(spec.dtype.name) for name, spec in named.items()}

    def __call__(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        answer = self.asked(**{name: self._constant(array) for name, array in arrays.items()})
        return {str(name): tensor.numpy() for name, tensor in answer.items()}


def _versions() -> dict[str, str]:
    return versions_of("tensorflow-cpu", "tensorflow", "keras", "numpy")
