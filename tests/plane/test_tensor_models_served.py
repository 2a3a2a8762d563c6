"""Models of tensors and networks over tables behind one worker: answers over HTTP are those of the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.neural_network import MLPRegressor

from tilth.core.hashing import Manifest
from tilth.flavours import save_model
from tilth.wire.plane import ModelFile, PlaneDeployment, PlaneRoute, PlaneVersion

from .conftest import PlaneHome, SavedModel, Worker, wait_until

ROWS = np.random.default_rng(9).normal(size=(30, 3))
WEIGHTS = np.arange(6, dtype=np.float32).reshape(3, 2)


class Served(NamedTuple):
    worker: Worker
    expected: dict[str, np.ndarray]

    def infer(self, name: str, inputs: dict[str, np.ndarray]) -> Any:
        tensors = [
            {"name": key, "shape": list(array.shape), "datatype": "FP32", "data": array.astype(np.float32).ravel().tolist()}
            for key, array in inputs.items()
        ]
        return self._send(f"/p/demo/v2/models/{name}/infer", {"inputs": tensors})

    def invoke(self, name: str) -> Any:
        return self._send(f"/p/demo/deployments/{name}/invocations", {"instances": ROWS.tolist()})

    def _send(self, path: str, body: Any) -> Any:
        client = self.worker.client()
        try:
            reply = client.send("POST", path, body)
        finally:
            client.close()
        assert reply.status == 200, reply.body
        return reply.json()


def graph(shifted: bool) -> onnx.ModelProto:
    """y = x @ WEIGHTS (+ shift)."""
    taken = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])]
    nodes = [helper.make_node("MatMul", ["x", "W"], ["z" if shifted else "y"])]
    if shifted:
        taken.append(helper.make_tensor_value_info("shift", TensorProto.FLOAT, ["n", 2]))
        nodes.append(helper.make_node("Add", ["z", "shift"], ["y"]))
    weights = helper.make_tensor("W", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS)
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])]
    whole = helper.make_graph(nodes, "product", taken, given, [weights])
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def serve(models: dict[str, tuple[Any, Any, np.ndarray]], tmp_path_factory: pytest.TempPathFactory) -> tuple[PlaneHome, Served]:
    """models: by deployment, the model, its example and what it answers in this program to ROWS."""
    home = PlaneHome(tmp_path_factory.mktemp("tensors") / "home")
    deployments = []
    for number, (name, (model, example, _)) in enumerate(models.items(), 1):
        folder: Path = tmp_path_factory.mktemp(name) / "model"
        save_model(model, folder, example=example)
        saved = SavedModel(folder, Manifest.of_folder(folder), 0.0)
        home.cache(saved)
        files = tuple(ModelFile(entry.path, entry.digest, entry.size) for entry in saved.manifest.files)
        version = PlaneVersion(name, 1, f"m-{number:032d}", saved.manifest.digest, files)
        deployments.append(PlaneDeployment(f"d{number}", "p1", "demo", name, 1, (version,), (PlaneRoute(version.key, 10_000),)))
    home.publish(*deployments)
    worker = home.start()

    def live() -> bool:
        status = worker.status()
        return status is not None and [d.acknowledged for d in status.deployments] == [1] * len(deployments)

    wait_until(live, "all deployments")
    return home, Served(worker, {name: answer for name, (_, _, answer) in models.items()})


Start = Callable[[dict[str, tuple[Any, Any, np.ndarray]]], Served]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    homes = []

    def begin(models: dict[str, tuple[Any, Any, np.ndarray]]) -> Served:
        home, served = serve(models, tmp_path_factory)
        homes.append(home)
        return served

    yield begin
    for home in homes:
        home.end()


@pytest.fixture(scope="module")
def light(start: Start) -> Served:
    product = ROWS.astype(np.float32) @ WEIGHTS
    net = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2000, tol=1e-2, random_state=0).fit(ROWS, ROWS[:, 0])
    both = {"x": ROWS[:3], "shift": np.ones((3, 2))}
    return start(
        {
            "graph": (graph(shifted=False), ROWS[:3], product),
            "shifted": (graph(shifted=True), both, product + 1),
            "net": (net, ROWS[:3], net.predict(ROWS)),
        }
    )


@pytest.mark.parametrize("name", ["graph", "net"])
def test_a_graph_and_a_compiled_net_over_a_table_answer_rows(light: Served, name: str) -> None:
    np.testing.assert_allclose(light.invoke(name)["predictions"], light.expected[name], rtol=1e-5, atol=1e-6)


def test_a_graph_of_two_tensors_answers_by_name(light: Served) -> None:
    answer = light.infer("shifted", {"x": ROWS, "shift": np.ones((30, 2))})
    (output,) = answer["outputs"]
    assert (output["name"], output["shape"], output["datatype"]) == ("y", [30, 2], "FP32")
    np.testing.assert_allclose(np.reshape(output["data"], (30, 2)), light.expected["shifted"], rtol=1e-5)


@pytest.mark.slow
def test_a_module_of_pytorch_answers_rows(start: Start) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).eval()
    with torch.inference_mode():
        answer = module(torch.tensor(ROWS, dtype=torch.float32)).numpy()[:, 0]
    served = start({"module": (module, ROWS[:3], answer)})
    np.testing.assert_allclose(served.invoke("module")["predictions"], answer, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")
def test_a_network_of_keras_answers_rows(start: Start) -> None:
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)])
    answer = network(ROWS.astype(np.float32)).numpy()
    served = start({"network": (network, ROWS[:3], answer)})
    np.testing.assert_allclose(served.invoke("network")["predictions"], answer, rtol=1e-5, atol=1e-6)
