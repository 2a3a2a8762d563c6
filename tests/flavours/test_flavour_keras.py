"""Keras models and TensorFlow programs: saved, read back, equal answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tilth.flavours import EngineUnusable, UnusableExample, flavour_named, load_predictor, save_model

tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
keras = pytest.importorskip("keras", reason="Keras is not installed")
# Keras reads TensorFlow's variables in a way that numpy 2 warns about.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(40, 4))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([keras.Input((4,), name="weather"), layers.Dense(6, activation="relu"), layers.Dense(1)])


class Doubling(tensorflow.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = tensorflow.Variable(2.0)

    @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 4], tensorflow.float32, name="rows")])
    def __call__(self, rows: tensorflow.Tensor) -> dict[str, tensorflow.Tensor]:
        return {"sums": tensorflow.reduce_sum(rows, axis=1) * self.factor}


def test_a_network_over_a_table_is_served_as_columns(network: keras.Model, rows: np.ndarray, tmp_path: Path) -> None:
    document = save_model(network, tmp_path, example=rows[:5])
    assert (document.flavour, [c.name for c in document.signature.outputs]) == ("keras", ["prediction"])
    predictor = load_predictor(tmp_path, document)
    expected = network(rows.astype(np.float32)).numpy()[:, 0]
    for count in (1, 40):
        np.testing.assert_allclose(predictor.predict(rows[:count]), expected[:count], rtol=1e-5)


def test_mlflow_reads_the_folder_of_a_keras_model(network: keras.Model, rows: np.ndarray, tmp_path: Path) -> None:
    save_model(network, tmp_path / "m", example=rows[:3])
    asked = (
        "import sys, warnings; warnings.simplefilter('ignore'); import mlflow, numpy as np;"
        "print(mlflow.pyfunc.load_model(sys.argv[1]).predict(np.ones((2, 4), dtype=np.float32)).tolist())"
    )
    said = subprocess.run([sys.executable, "-c", asked, str(tmp_path / "m")], capture_output=True, text=True, check=True)
    given = np.array(eval(said.stdout.splitlines()[-1]))
    np.testing.assert_allclose(given, network(np.ones((2, 4), dtype=np.float32)).numpy(), rtol=1e-5)


def test_two_inputs_are_tensors_by_name(rows: np.ndarray, tmp_path: Path) -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    model = keras.Model([left, right], keras.layers.Concatenate()([left, right]))
    example = {"left": rows[:3], "right": rows[:3, :2]}
    document = save_model(model, tmp_path, example=example)
    assert [t.name for t in document.signature.tensors] == ["left", "right"]
    given = load_predictor(tmp_path, document).predict_arrays(flavour_named("keras").encode(example, document.signature))
    np.testing.assert_allclose(given["output"], np.hstack([rows[:3], rows[:3, :2]]), rtol=1e-6)


def test_a_layer_of_free_python_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda values: values * 2)])
    with pytest.raises(UnusableExample, match="Lambda"):
        save_model(model, tmp_path, example=rows[:3])


def test_a_program_of_tensorflow_is_asked_by_its_signature(rows: np.ndarray, tmp_path: Path) -> None:
    module = Doubling()
    tensorflow.saved_model.save(module, str(tmp_path / "given"), signatures=module.__call__.get_concrete_function())
    program = tensorflow.saved_model.load(str(tmp_path / "given"))
    document = save_model(program, tmp_path / "saved", example=rows[:3])
    assert (document.flavour, [c.name for c in document.signature.inputs]) == ("tensorflow", ["x0", "x1", "x2", "x3"])
    given = load_predictor(tmp_path / "saved", document).predict(rows)
    asked = (
        "import sys, warnings; warnings.simplefilter('ignore'); import mlflow, numpy as np;"
        "print(mlflow.pyfunc.load_model(sys.argv[1]).predict({'rows': np.ones((2, 4), dtype=np.float32)})['sums'])"
    )
    said = subprocess.run([sys.executable, "-c", asked, str(tmp_path / "saved")], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[8.0, 8.0]"
    np.testing.assert_allclose(given, 2 * rows.sum(axis=1), rtol=1e-5, atol=1e-5)


def test_a_truncated_file_is_unusable(network: keras.Model, rows: np.ndarray, tmp_path: Path) -> None:
    document = save_model(network, tmp_path, example=rows[:3])
    path = tmp_path / document.model_path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EngineUnusable, match=r"Keras cannot read model\.keras"):
        load_predictor(tmp_path, document)
