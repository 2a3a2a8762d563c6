"""ONNX models as they are, and scikit-learn compiled into ONNX Runtime: answers equal to those of the framework."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from tilth.core.errors import Invalid
from tilth.flavours import EngineUnusable, UnusableExample, flavour_for, flavour_named, load_predictor, save_model
from tilth.flavours.onnx_compiler import OnnxCompiler

WEIGHTS = np.arange(8, dtype=np.float32).reshape(4, 2) / 8


def product(inputs: int = 1) -> onnx.ModelProto:
    """y = x @ WEIGHTS (+ shift, if there are two inputs)."""
    taken = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])]
    nodes = [helper.make_node("MatMul", ["x", "W"], ["y" if inputs == 1 else "z"])]
    if inputs == 2:
        taken.append(helper.make_tensor_value_info("shift", TensorProto.FLOAT, ["n", 2]))
        nodes.append(helper.make_node("Add", ["z", "shift"], ["y"]))
    weights = helper.make_tensor("W", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS)
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])]
    graph = helper.make_graph(nodes, "product", taken, given, [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(11).normal(size=(300, 4))


@pytest.fixture(scope="module")
def labels(rows: np.ndarray) -> np.ndarray:
    return (rows[:, 0] + rows[:, 1] ** 2 > 0.5).astype(int)


def quietly(fit: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit()


def test_one_table_of_numbers_is_served_as_columns(rows: np.ndarray, tmp_path: Path) -> None:
    document = save_model(product(), tmp_path, example=rows[:5])
    assert [column.name for column in document.signature.inputs] == ["x0", "x1", "x2", "x3"]
    assert [column.name for column in document.signature.outputs] == ["prediction_0", "prediction_1"]
    predictor = load_predictor(tmp_path, document)
    assert predictor.engine == "onnxruntime"
    np.testing.assert_allclose(predictor.predict(rows), rows.astype(np.float32) @ WEIGHTS, rtol=1e-6)


def test_columns_take_the_names_of_a_frame(rows: np.ndarray, tmp_path: Path) -> None:
    frame = pd.DataFrame(rows, columns=["wind", "rain", "snow", "fog"])
    document = save_model(product(), tmp_path, example=frame.head())
    assert [column.name for column in document.signature.inputs] == ["wind", "rain", "snow", "fog"]
    encoded = flavour_named("onnx").encode(frame[["fog", "snow", "rain", "wind"]], document.signature)
    np.testing.assert_array_equal(encoded, rows)


def test_several_inputs_are_served_as_tensors_by_name(rows: np.ndarray, tmp_path: Path) -> None:
    example = {"x": rows[:5], "shift": np.ones((5, 2))}
    document = save_model(product(inputs=2), tmp_path, example=example)
    assert [(t.name, t.type, t.shape) for t in document.signature.tensors] == [
        ("x", "float32", (-1, 4)),
        ("shift", "float32", (-1, 2)),
    ]
    predictor = load_predictor(tmp_path, document)
    arrays = flavour_named("onnx").encode(example, document.signature)
    np.testing.assert_allclose(predictor.predict_arrays(arrays)["y"], rows[:5].astype(np.float32) @ WEIGHTS + 1, rtol=1e-6)


def test_bytes_that_are_no_text_are_the_callers_mistake(tmp_path: Path) -> None:
    taken, given = (helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("note", "same"))
    graph = helper.make_graph([helper.make_node("Identity", ["note"], ["same"])], "echo", [taken], [given])
    echo = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    document = save_model(echo, tmp_path, example={"note": np.array(["a"], dtype=object)})
    predictor = load_predictor(tmp_path, document)
    assert predictor.predict_arrays({"note": np.array(["é".encode()], dtype=object)})["same"].tolist() == ["é"]
    with pytest.raises(Invalid, match="tensor 'note' takes text"):
        predictor.predict_arrays({"note": np.array([b"\xff"], dtype=object)})


def test_a_file_is_a_model_too_and_mlflow_reads_the_folder(rows: np.ndarray, tmp_path: Path) -> None:
    onnx.save(product(), tmp_path / "given.onnx")
    save_model(tmp_path / "given.onnx", tmp_path / "saved", example=rows[:5])
    asked = (
        "import sys, warnings; warnings.simplefilter('ignore'); import mlflow, numpy as np;"
        "print(mlflow.pyfunc.load_model(sys.argv[1]).predict(np.ones((2, 4), dtype=np.float32))['y'].tolist())"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked, str(tmp_path / "saved")], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert said.stdout.strip() == str((np.ones((2, 4), dtype=np.float32) @ WEIGHTS).tolist())


def test_a_converted_classifier_gives_its_probabilities(rows: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    model = LogisticRegression().fit(rows, labels)
    converted = quietly(lambda: to_onnx(model, rows[:1].astype(np.float32)))
    document = save_model(converted, tmp_path, example=rows[:5])
    assert (document.method, [c.name for c in document.signature.outputs]) == ("predict_proba", ["probability"])
    given = load_predictor(tmp_path, document).predict(rows)
    np.testing.assert_allclose(given, model.predict_proba(rows)[:, 1], atol=1e-6)


def test_an_example_of_other_inputs_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UnusableExample, match="the example names z; the model takes x"):
        save_model(product(), tmp_path, example={"z": rows[:5]})
    with pytest.raises(UnusableExample, match="the model takes 2 inputs: give the example as a dict of x, shift"):
        save_model(product(inputs=2), tmp_path, example=rows[:5])


def test_a_file_that_is_no_model_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(product().SerializeToString()[:40])
    with pytest.raises(EngineUnusable, match=r"ONNX Runtime cannot run broken\.onnx"):
        save_model(tmp_path / "broken.onnx", tmp_path / "saved", example=rows[:5])


@pytest.mark.parametrize("kind", ["neural net", "regression net", "support vectors", "bayes", "components", "columns"])
def test_what_trees_and_lines_do_not_cover_compiles_into_onnx_runtime(
    kind: str, rows: np.ndarray, labels: np.ndarray, tmp_path: Path
) -> None:
    frame = pd.DataFrame(rows, columns=list("abcd")).assign(
        carrier=pd.Categorical(np.where(labels == 1, "UA", "B6"), ["UA", "B6", "AA"])
    )
    encoder = make_column_transformer((StandardScaler(), list("abcd")), (OneHotEncoder(handle_unknown="ignore"), ["carrier"]))
    given: Any = frame if kind == "columns" else rows
    model: Any = {
        "neural net": MLPClassifier(hidden_layer_sizes=(8,), max_iter=300, random_state=0),
        "regression net": MLPRegressor(hidden_layer_sizes=(8,), max_iter=300, random_state=0),
        "support vectors": SVC(),
        "bayes": GaussianNB(),
        "components": make_pipeline(PCA(3), LogisticRegression()),
        "columns": make_pipeline(encoder, MLPClassifier(hidden_layer_sizes=(6,), max_iter=300, random_state=0)),
    }[kind]
    quietly(lambda: model.fit(given, rows[:, 2] if kind == "regression net" else labels))
    document = save_model(model, tmp_path, example=given[:50])
    assert [engine.engine for engine in document.compiled] == ["onnxruntime"]
    assert document.compiled[0].parity.max_difference < 1e-12
    predictor = load_predictor(tmp_path, document)
    expected = model.predict_proba(given)[:, 1] if document.method == "predict_proba" else model.predict(given)
    encoded = flavour_named("sklearn").encode(given, document.signature)
    np.testing.assert_allclose(predictor.predict(encoded), expected, atol=1e-9)


def test_tails_are_not_rounded_to_certainty(tmp_path: Path) -> None:
    rows = np.linspace(-30, 30, 61)[:, np.newaxis]
    model = make_pipeline(PCA(1), LogisticRegression(C=100)).fit(rows, rows[:, 0] > 0)
    document = save_model(model, tmp_path, example=rows)
    (compiled,) = document.compiled
    assert compiled.engine == "onnxruntime"
    given = load_predictor(tmp_path, document).predict(rows)
    np.testing.assert_allclose(given, model.predict_proba(rows)[:, 1], rtol=0, atol=1e-15)


def test_neighbours_stay_with_scikit_learn_which_is_faster(rows: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    document = save_model(KNeighborsClassifier(3).fit(rows, labels), tmp_path, example=rows[:5])
    assert document.compiled == ()
    assert "neighbours answer more slowly in ONNX Runtime than in scikit-learn" in document.not_compiled


def test_a_damaged_compiled_form_is_unusable_and_the_framework_answers(
    rows: np.ndarray, labels: np.ndarray, tmp_path: Path
) -> None:
    model = GaussianNB().fit(rows, labels)
    document = save_model(model, tmp_path, example=rows[:5], compilers=(OnnxCompiler(),))
    (tmp_path / document.compiled[0].path).write_bytes(b"\0" * 100)
    predictor = load_predictor(tmp_path, document)
    assert predictor.engine == "sklearn"
    assert "ONNX Runtime cannot run model.onnx" in predictor.reason
    np.testing.assert_allclose(predictor.predict(rows), model.predict_proba(rows)[:, 1])


def test_only_paths_and_graphs_of_onnx_are_taken_for_onnx() -> None:
    assert flavour_for("model.onnx").name == "onnx"
    assert flavour_for(product()).name == "onnx"
    assert not flavour_named("onnx").knows("model.txt")
