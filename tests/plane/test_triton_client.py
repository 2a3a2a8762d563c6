"""Triton's own client, with its defaults, against the model server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.plane.protocol_stand import Stand, authorized
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = Stand(tmp_path_factory.mktemp("triton"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(stand: Stand) -> Iterator[triton.InferenceServerClient]:
    made = triton.InferenceServerClient(f"127.0.0.1:{stand.port}/p/demo", concurrency=8)
    yield made
    made.close()


def given(name: str, array: Any) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


ROWS = np.arange(8, dtype=np.float64).reshape(2, 4)


def test_server_and_models_are_described(client: Any) -> None:
    assert client.is_server_live(headers=authorized())
    assert not client.is_server_ready(headers=authorized())
    assert client.is_model_ready("sums", headers=authorized())
    assert client.is_model_ready("sums", "1", headers=authorized())
    assert not client.is_model_ready("absent", headers=authorized())
    assert not client.is_model_ready("sums")
    assert client.get_server_metadata(headers=authorized())["name"] == "tilth"
    assert client.get_model_metadata("sums", headers=authorized())["versions"] == ["1", "2"]
    assert client.get_model_metadata("sums", "2", headers=authorized())["inputs"][0]["datatype"] == "FP64"
    assert {row["name"] for row in client.get_model_repository_index(headers=authorized())} > {"sums", "pictures"}


def test_binary_tensors_are_answered_by_binary_tensors(client: Any) -> None:
    result = client.infer("sums", [given("input-0", ROWS)], headers=authorized())
    assert result.as_numpy("y").tolist() == [106.0, 122.0]
    assert "binary_data_size" in result.get_output("y")["parameters"]
    assert result.get_response()["model_version"] == "2"


def test_versions_ids_and_json_outputs_are_asked_for(client: Any) -> None:
    outputs = [triton.InferRequestedOutput("y", binary_data=False)]
    result = client.infer(
        "sums",
        [given("x", ROWS)],
        model_version="1",
        outputs=outputs,
        request_id="seven",
        headers=authorized(),
        timeout=5_000_000,
    )
    assert result.as_numpy("y").tolist() == [6.0, 22.0]
    assert result.get_response()["id"] == "seven"
    assert result.get_output("y")["data"] == [6.0, 22.0]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_both_compressions_work_both_ways(client: Any, coding: str) -> None:
    result = client.infer(
        "sums",
        [given("x", ROWS)],
        headers=authorized(),
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert result.as_numpy("y").tolist() == [106.0, 122.0]


def test_text_and_tensors_of_several_axes_go_both_ways(client: Any) -> None:
    inputs = [
        given("picture", np.ones((2, 2, 5), dtype=np.float32)),
        given("mask", np.array([True, False])),
        given("caption", np.array([["one"], ["zwölf"]], dtype=object)),
    ]
    result = client.infer("pictures", inputs, headers=authorized())
    assert result.as_numpy("embedding").tolist() == [[-1.0] * 3, [1.0] * 3]
    assert [text.decode() for text in result.as_numpy("loud")] == ["ONE", "ZWÖLF"]


def test_columns_are_tensors_of_their_own(client: Any) -> None:
    inputs = [
        given("wind", np.array([1.5, np.nan])),
        given("hour", np.array([[11], [12]])),
        given("origin", np.array(["JFK", "LGA"], dtype=object)),
    ]
    result = client.infer("flights", inputs, headers=authorized())
    assert np.isnan(result.as_numpy("speed")).tolist() == [False, True]
    assert result.as_numpy("afternoon").tolist() == [False, True]
    assert result.as_numpy("from").tolist() == [b"JFK", b"LGA"]


def test_many_requests_are_under_way_at_once(client: Any) -> None:
    asked = [client.async_infer("sums", [given("x", ROWS + number)], headers=authorized()) for number in range(40)]
    assert [answer.get_result().as_numpy("y")[0] for answer in asked] == [106.0 + 4 * number for number in range(40)]


def test_what_is_wrong_is_told_in_words(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="has 3 columns, the model takes 4"):
        client.infer("sums", [given("x", np.ones((1, 3)))], headers=authorized())
    with pytest.raises(InferenceServerException, match="no deployment 'nobody'"):
        client.infer("nobody", [given("x", ROWS)], headers=authorized())
    with pytest.raises(InferenceServerException, match="there are no statistics"):
        client.get_inference_statistics("sums", headers=authorized())
    with pytest.raises(InferenceServerException, match="Authorization: Bearer"):
        client.infer("sums", [given("x", ROWS)])
    with pytest.raises(InferenceServerException, match="tilth deployment delete sums"):
        client.unload_model("sums", headers=authorized())
    client.load_model("sums", headers=authorized())


def test_one_deployment_is_a_server_of_its_own(stand: Stand) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{stand.port}/p/demo/deployments/sums") as client:
        assert client.is_server_ready(headers=authorized())
        assert client.infer("sums", [given("x", ROWS)], headers=authorized()).as_numpy("y").tolist() == [106.0, 122.0]
        assert not client.is_model_ready("flights", headers=authorized())
