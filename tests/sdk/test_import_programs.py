"""Programs of PyTorch and TensorFlow that were made elsewhere: kept until they are trusted; Keras in safe mode."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilth
from tilth.sdk.importing.formats import found_at
from tilth.sdk.importing.scanning import scan

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
keras = pytest.importorskip("keras", reason="Keras is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")]

ROWS = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    module = torch.nn.Linear(3, 1).eval()
    given = torch.tensor(ROWS)
    exported = torch.export.export(module, (given,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    torch.export.save(exported, str(folder / "imported-exported.pt2"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(module, given), str(folder / "imported-script.pt"))
    torch.save(module, folder / "imported-module.pt")
    torch.save(module.state_dict(), folder / "imported-state.pt")
    layers = keras.layers
    keras.Sequential([keras.Input((3,)), layers.Dense(1)]).save(folder / "imported-keras.keras")
    keras.Sequential([keras.Input((3,)), layers.Lambda(lambda rows: rows * 2)]).save(folder / "imported-lambda.keras")

    class Reads(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 3], tensorflow.float32, name="rows")])
        def __call__(self, rows: Any) -> Any:
            text = tensorflow.io.read_file("/etc/hostname")
            return {
                "sums": tensorflow.reduce_sum(rows, axis=1)
                + 0.0 * tensorflow.cast(tensorflow.strings.length(text), tensorflow.float32)
            }

    reads = Reads()
    tensorflow.saved_model.save(reads, str(folder / "imported-reads"), signatures=reads.__call__.get_concrete_function())
    np.save(folder / "rows.npy", ROWS)
    return folder


@pytest.mark.parametrize(
    ("name", "format", "verdict"),
    [
        ("imported-exported.pt2", "torch-export", "not-scannable"),
        ("imported-script.pt", "torchscript", "not-scannable"),
        ("imported-module.pt", "torch-pickle", "not-scannable"),
        ("imported-keras.keras", "keras", "clean"),
        ("imported-lambda.keras", "keras", "flagged"),
        ("imported-reads", "saved-model", "flagged"),
    ],
)
def test_formats_are_told_apart_and_looked_at(made: Path, name: str, format: str, verdict: str) -> None:
    found = found_at(made / name)
    assert (found.format, scan(found).verdict) == (format, verdict)


@pytest.mark.parametrize("name", ["imported-exported.pt2", "imported-script.pt", "imported-module.pt", "imported-reads"])
def test_programs_are_asked_only_when_trusted(live: Any, made: Path, name: str) -> None:
    kept = tilth.import_model(made / name, example=made / "rows.npy")
    assert "--trust" in kept.unservable
    trusted = tilth.import_model(made / name, example=made / "rows.npy", trust=True)
    assert trusted.document is not None
    assert (trusted.unservable, trusted.document.isolated) == ("", True)
    assert [column.name for column in trusted.document.signature.inputs] == ["x0", "x1", "x2"]


def test_keras_is_asked_at_once_and_a_layer_of_free_python_never(live: Any, made: Path) -> None:
    network = tilth.import_model(made / "imported-keras.keras")
    assert (network.unservable, network.verdict) == ("", "clean")
    free = tilth.import_model(made / "imported-lambda.keras", trust=True)
    assert "brings code of its own, which is never run" in free.unservable


def test_a_state_of_pytorch_needs_its_class(live: Any, made: Path) -> None:
    state = tilth.import_model(made / "imported-state.pt")
    assert state.verdict == "clean"
    assert "PyTorch needs the class" in state.unservable
