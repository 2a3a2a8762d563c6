"""PyTorch: a module in memory, a program of torch.export or TorchScript. Saved as a program, so that serving needs none of the user's
classes; the weights lie beside it as safetensors. torch is imported late, and takes its number of threads from OMP_NUM_THREADS.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.mlflow_folder import Section, write_tensor_companions
from tilth.flavours.optional import imported, is_of
from tilth.flavours.port import ArrayPredictor, Arrays, EngineUnusable, Predictor, Rows, UnusableExample
from tilth.flavours.tabular import versions_of
from tilth.flavours.tensors import (
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
EXPORTED = f"{DATA}/model.pt2"
SCRIPTED = f"{DATA}/model.pth"
STATE = f"{DATA}/state.safetensors"
CLOSE = 1e-5
"""Greatest relative difference (absolute below 1) between the module and its program: they may sum in another order."""


class TorchFlavour:
    """Programs compute the same numbers on the same machine; the module's own Python code is left behind."""

    name = "torch"

    def knows(self, model: object) -> bool:
        return is_of(model, "torch") and (hasattr(model, "forward") or type(model).__name__ == "ExportedProgram")

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
        inputs = _fitting(model, example)
        return describe(example, inputs, _checked_run(_TorchRun(model, list(inputs)), inputs))

    def encode(self, example: Any, signature: Signature) -> Rows | Arrays:
        return encode_example(example, signature)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        inputs = _fitting(model, example)
        (folder / DATA).mkdir()
        path = _write_program(model, folder, inputs)
        _write_state(model, folder / STATE)
        versions = versions_of("torch", "numpy", "safetensors")
        document = ModelDocument(
            flavour=self.name,
            signature=signature,
            method=method,
            model_path=path,
            frameworks=versions,
            detail={"inputs": {name: array.dtype.name for name, array in inputs.items()}},
        )
        outputs = _TorchRun(model, list(inputs))(inputs)
        if len(inputs) == 1:
            inputs, outputs = unnamed(inputs), unnamed(outputs)
        content = {"model_data": DATA, "pytorch_version": str(imported("torch", "torch").__version__)}
        tensors = tensors_of(inputs), tensors_of(outputs)
        write_tensor_companions(folder, document, inputs, Section("pytorch", content), tensors=tensors, data=DATA)
        return document

    def load(self, folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
        types: dict[str, str] = document.detail["inputs"]
        run = _TorchRun(read_program(folder / document.model_path), list(types))
        name, type_ = next(iter(types.items()))
        return predictor_over("torch", run, document.signature, name, type_)


class _TorchRun:
    """Runs for each prediction. Thread-safe: without gradients a module keeps nothing between calls."""

    def __init__(self, model: Any, names: list[str]) -> None:
        self._torch = imported("torch", "torch")
        self._model = model.module() if hasattr(model, "module") and hasattr(model, "graph_signature") else model
        self._names = names

    def __call__(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        with _in_evaluation(self._model), self._torch.inference_mode():
            # What came in with a request may not be written to, and PyTorch warns about such memory.
            given = [np.require(arrays[name], requirements=["C", "W"]) for name in self._names]
            answer = self._model(*map(self._torch.from_numpy, given))
            return {name: tensor.numpy(force=True) for name, tensor in _named(answer).items()}


def read_program(path: Path) -> Any:
    """A module that answers, from a file of torch.export (`.pt2`) or TorchScript. May run code from the file. Raises EngineUnusable."""
    torch = imported("torch", "torch")
    try:
        if path.suffix == ".pt2":
            return torch.export.load(path).module()
        with _old_but_kept():
            return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # what a damaged archive raises depends on where the damage is
        reason = " ".join(str(error).split())[:200]
        raise EngineUnusable(f"PyTorch cannot read {path.name}: {type(error).__name__}: {reason}") from error


def _write_program(model: Any, folder: Path, inputs: dict[str, NDArray[Any]]) -> str:
    """The path below the folder. Raises UnusableExample for a module that is no program by any way."""
    torch = imported("torch", "torch")
    # One row alone is taken for a constant, and the program then refuses two.
    rows = {name: np.concatenate([array, array])[:8] for name, array in inputs.items()}
    reasons = []
    if not isinstance(model, torch.jit.ScriptModule):
        try:
            exported = model if hasattr(model, "graph_signature") else _exported(torch, model, rows)
            torch.export.save(exported, str(folder / EXPORTED))
            _check_same(model, read_program(folder / EXPORTED), rows)
        except Exception as error:  # noqa: BLE001 exporting runs the user's own forward, and says in many ways what it cannot follow
            reasons.append(_short("torch.export", error))
            (folder / EXPORTED).unlink(missing_ok=True)
        else:
            return EXPORTED
    if not hasattr(model, "graph_signature"):
        try:
            with _old_but_kept(), _in_evaluation(model), torch.no_grad():
                given = tuple(torch.from_numpy(array) for array in rows.values())
                script = model if isinstance(model, torch.jit.ScriptModule) else torch.jit.trace(model, given, strict=False)
                torch.jit.save(script, str(folder / SCRIPTED))
            _check_same(model, read_program(folder / SCRIPTED), rows)
        except Exception as error:  # noqa: BLE001 as above
            reasons.append(_short("torch.jit", error))
        else:
            # What MLflow's loader reads beside the file.
            (folder / DATA / "pickle_module_info.txt").write_text("mlflow.pytorch.pickle_module")
            return SCRIPTED
    raise UnusableExample(
        f"this {type(model).__name__} is no program that takes any number of rows: {'; '.join(reasons)}. Export it yourself with "
        "dynamic_shapes and log the program, or log a Python function around it."
    )


def _exported(torch: Any, model: Any, rows: dict[str, NDArray[Any]]) -> Any:
    number = torch.export.Dim("rows")
    given = tuple(torch.from_numpy(array) for array in rows.values())
    with _in_evaluation(model), torch.no_grad():
        return torch.export.export(model, given, dynamic_shapes=tuple({0: number} for _ in given))


def _check_same(model: Any, program: Any, rows: dict[str, NDArray[Any]]) -> None:
    """The program answers as the module, for one row and for several. Raises ValueError."""
    names = list(rows)
    for count in (1, len(rows[names[0]])):
        given = {name: array[:count] for name, array in rows.items()}
        expected, answer = _TorchRun(model, names)(given), _TorchRun(program, names)(given)
        for name, array in expected.items():
            if array.shape != answer[name].shape or not np.allclose(array, answer[name], rtol=CLOSE, atol=CLOSE, equal_nan=True):
                raise ValueError(f"the program answers otherwise than the module over {count} rows ({name})")


def _write_state(model: Any, path: Path) -> None:
    try:
        safetensors = imported("safetensors.torch", "safetensors")
    except EngineUnusable:
        return  # the program has the weights, too
    state = model.state_dict if isinstance(model.state_dict, Mapping) else model.state_dict()
    # Tensors that share memory cannot lie in one file of safetensors side by side: copies can.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items() if hasattr(tensor, "detach")}
    safetensors.save_file(tensors, str(path))


def _fitting(model: Any, example: Any) -> dict[str, NDArray[Any]]:
    """The example in the model's own floating type, by the names of its parameters."""
    taken = _input_names(model)
    if isinstance(example, Mapping):
        unknown = [name for name in example if name not in taken]
        if unknown:
            raise UnusableExample(f"the example names {unknown[0]!r}; forward takes {', '.join(taken)}.")
        names = [name for name in taken if name in example]
    else:
        names = taken[: len(example) if isinstance(example, tuple) else 1]
    arrays = arrays_of(example, names)
    floating = _floating(model)
    return cast_to(arrays, {name: floating for name, array in arrays.items() if array.dtype.kind == "f"})


def _input_names(model: Any) -> list[str]:
    if hasattr(model, "graph_signature"):
        return [str(name) for name in model.graph_signature.user_inputs]
    if hasattr(model.forward, "schema"):
        return [argument.name for argument in model.forward.schema.arguments[1:]]
    return [
        name
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]


def _floating(model: Any) -> str:
    kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in model.parameters()}
    return "float64" if "float64" in kinds and "float32" not in kinds else "float16" if kinds == {"float16"} else "float32"


def _checked_run(run: _TorchRun, inputs: Arrays) -> dict[str, NDArray[Any]]:
    try:
        return run(inputs)
    except UnusableExample:
        raise
    except Exception as error:  # the user's own forward
        raise UnusableExample(_short("the model cannot answer its example", error)) from error


def _named(answer: Any) -> dict[str, Any]:
    if hasattr(answer, "detach"):
        return {"output": answer}
    if isinstance(answer, Mapping):
        entries = {str(name): tensor for name, tensor in answer.items()}
    elif isinstance(answer, tuple | list):
        entries = {f"output_{at}": tensor for at, tensor in enumerate(answer)}
    else:
        entries = {"": answer}
    if not entries or not all(hasattr(tensor, "detach") for tensor in entries.values()):
        raise UnusableExample(
            f"the model gives a {type(answer).__name__}; a tensor, or several by name or in a tuple, can be served."
        )
    return entries


def _short(what: str, error: Exception) -> str:
    return f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextmanager
def _in_evaluation(model: Any) -> Iterator[None]:
    """Dropout off, running means fixed; as it was afterwards. A program has no such switch."""
    if not getattr(model, "training", False) or type(model).__name__ == "GraphModule":
        yield
        return
    try:
        model.eval()
        yield
    finally:
        model.train()


@contextmanager
def _old_but_kept() -> Iterator[None]:
    """TorchScript is deprecated, and what was saved in it still has to be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
