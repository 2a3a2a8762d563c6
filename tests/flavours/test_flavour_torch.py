"""PyTorch modules, exported programs and TorchScript: saved without the user's classes, read back, equal answers."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tilth.flavours import EngineUnusable, UnusableExample, flavour_named, load_predictor, save_model

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.slow


class Branching(torch.nn.Module):
    """What torch.export cannot follow, and a trace can: a branch on the data that always goes one way."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.abs().sum().item() >= 0:
            return self.inner(rows)
        return rows


class Embedded(torch.nn.Module):
    """Token ids and numbers in, two outputs by name out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(20, 3)

    def forward(self, tokens: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = self.words(tokens).mean(dim=1)
        return {"vector": seen, "score": (seen * weights).sum(dim=1)}


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(40, 4))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1)
    )


def answers(model: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
    was = model.training
    model.eval()
    with torch.inference_mode():
        given = model(torch.tensor(rows, dtype=torch.float32)).numpy()
    model.train(was)
    return given


def test_a_module_is_saved_as_a_program_and_answers_without_its_classes(
    network: torch.nn.Module, rows: np.ndarray, tmp_path: Path
) -> None:
    document = save_model(network, tmp_path, example=rows[:1])
    assert (document.flavour, document.model_path) == ("torch", "data/model.pt2")
    assert [column.name for column in document.signature.outputs] == ["prediction_0", "prediction_1", "prediction_2"]
    predictor = load_predictor(tmp_path, document)
    for count in (1, 2, 40):
        np.testing.assert_allclose(predictor.predict(rows[:count]), answers(network, rows[:count]), rtol=1e-6)
    assert network.training
    safetensors = pytest.importorskip("safetensors.torch")
    assert set(safetensors.load_file(tmp_path / "data" / "state.safetensors")) == set(network.state_dict())


def test_mlflow_reads_the_folder(network: torch.nn.Module, rows: np.ndarray, tmp_path: Path) -> None:
    save_model(network, tmp_path / "m", example=rows[:3])
    asked = (
        "import sys, warnings; warnings.simplefilter('ignore'); import mlflow, numpy as np;"
        "print(mlflow.pyfunc.load_model(sys.argv[1]).predict(np.ones((2, 4), dtype=np.float32)).tolist())"
    )
    said = subprocess.run([sys.executable, "-c", asked, str(tmp_path / "m")], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(np.array(eval(said.stdout)), answers(network, np.ones((2, 4))), rtol=1e-6)


def test_what_cannot_be_exported_is_traced(rows: np.ndarray, tmp_path: Path) -> None:
    model = Branching()
    document = save_model(model, tmp_path, example=rows[:5])
    assert document.model_path == "data/model.pth"
    np.testing.assert_allclose(load_predictor(tmp_path, document).predict(rows), answers(model, rows)[:, 0], rtol=1e-6)


def test_several_inputs_and_outputs_are_tensors_by_name(tmp_path: Path) -> None:
    model = Embedded()
    example = {"tokens": np.array([[1, 2], [3, 4], [5, 6]]), "weights": np.ones((3, 3))}
    document = save_model(model, tmp_path, example=example)
    assert [(t.name, t.type, t.shape) for t in document.signature.tensors] == [
        ("tokens", "int64", (-1, 2)),
        ("weights", "float32", (-1, 3)),
    ]
    assert [t.name for t in document.signature.output_tensors] == ["vector", "score"]
    given = load_predictor(tmp_path, document).predict_arrays(flavour_named("torch").encode(example, document.signature))
    with torch.inference_mode():
        expected = model(torch.tensor(example["tokens"]), torch.ones(3, 3))
    np.testing.assert_allclose(given["score"], expected["score"].numpy(), rtol=1e-6)


def test_torchscript_and_exported_programs_are_models_too(network: torch.nn.Module, rows: np.ndarray, tmp_path: Path) -> None:
    given = torch.tensor(rows[:2], dtype=torch.float32)
    network.eval()
    exported = torch.export.export(network, (given,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(network, given)
    network.train()
    for name, program, path in (("e", exported, "data/model.pt2"), ("s", script, "data/model.pth")):
        document = save_model(program, tmp_path / name, example=rows[:3])
        assert document.model_path == path
        np.testing.assert_allclose(load_predictor(tmp_path / name, document).predict(rows), answers(network, rows), rtol=1e-6)


def test_a_program_for_a_fixed_number_of_rows_is_refused(network: torch.nn.Module, rows: np.ndarray, tmp_path: Path) -> None:
    network.eval()
    exported = torch.export.export(network, (torch.tensor(rows[:3], dtype=torch.float32),))
    network.train()
    with pytest.raises(UnusableExample, match="no program that takes any number of rows"):
        save_model(exported, tmp_path, example=rows[:3])


def test_an_example_that_does_not_fit_is_told_so(network: torch.nn.Module, rows: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UnusableExample, match="the model cannot answer its example: RuntimeError"):
        save_model(network, tmp_path, example=rows[:3, :2])


def test_a_damaged_program_is_unusable(network: torch.nn.Module, rows: np.ndarray, tmp_path: Path) -> None:
    document = save_model(network, tmp_path, example=rows[:3])
    path = tmp_path / document.model_path
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(EngineUnusable, match=r"PyTorch cannot read model\.pt2"):
        load_predictor(tmp_path, document)
