"""MLflow's scoring protocol, KServe v1, and what the prediction log says of all of them afterwards."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.plane.protocol_stand import SIGNATURES, Reply, Stand

from tilth.plane.protocols.reading import FrameReader, UnreadableFrame
from tilth.wire.mlflow import SPOKEN_VERSION
from tilth.wire.predictions import PredictionFrame
from tilth.wire.signature import Signature, Tensor

JSON, CSV, PARQUET = "application/json", "text/csv", "application/x-parquet"
FLIGHTS = pd.DataFrame({"wind": [1.5, None], "hour": [11, 12], "origin": ["JFK", None]})
EXPECTED = [[1.5, False, "JFK"], [None, True, None]]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = Stand(tmp_path_factory.mktemp("scoring"))
    yield made
    made.close()


def invoke(stand: Stand, model: str, body: Any, content_type: str = JSON, **headers: str) -> Reply:
    given = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return stand.send("POST", f"/p/demo/deployments/{model}/invocations", body, given)


def parquet(frame: pd.DataFrame) -> bytes:
    return bytes(frame.to_parquet(index=False))


def values(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return reply.json()["predictions"]


# MLflow.


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ({"dataframe_split": json.loads(FLIGHTS.to_json(orient="split"))}, JSON),
        ({"dataframe_records": json.loads(FLIGHTS.to_json(orient="records")), "params": {"deep": 1}}, JSON),
        ({"instances": json.loads(FLIGHTS.to_json(orient="records"))}, JSON),
        ({"inputs": {"wind": [1.5, None], "hour": [11, 12], "origin": ["JFK", None]}}, JSON),
        (FLIGHTS.to_csv(index=False).encode(), CSV),
        (FLIGHTS.to_csv(index=False).encode("utf-8-sig"), f"{CSV}; charset=utf-8"),
        (FLIGHTS[["origin", "hour", "wind"]].to_csv(index=False).encode(), CSV),
        (parquet(FLIGHTS), PARQUET),
        (parquet(FLIGHTS.astype({"origin": "category"})), "application/vnd.apache.parquet"),
    ],
)
def test_every_form_of_a_table_is_the_same_table(stand: Stand, body: Any, content_type: str) -> None:
    assert values(invoke(stand, "flights", body, content_type)) == EXPECTED


def test_free_text_is_kept_as_it_is(stand: Stand) -> None:
    frame = pd.DataFrame({"review": ["", "a,b\n", '"q"'], "stars": [1, 2, 3]})
    assert values(invoke(stand, "reviews", frame.to_csv(index=False).encode(), CSV)) == [0, 8, 9]
    assert values(invoke(stand, "reviews", parquet(frame), PARQUET)) == [0, 8, 9]
    assert values(invoke(stand, "reviews", {"instances": [["abc", 2], [None, 1]]})) == [6, 0]


PICTURE = {"picture": [[[1.0], [3.0]]], "mask": [False], "caption": [["é"]]}


@pytest.mark.parametrize(
    "body",
    [{"inputs": PICTURE}, {"instances": [{name: value[0] for name, value in PICTURE.items()}]}],
    ids=["by tensor", "by row"],
)
def test_tensors_are_nested_lists(stand: Stand, body: Any) -> None:
    assert values(invoke(stand, "pictures", body)) == {"embedding": [[2.0, 2.0, 2.0]], "loud": ["É"]}


@pytest.mark.parametrize(
    ("model", "body", "content_type", "status", "why"),
    [
        ("flights", b"", CSV, 400, "is empty"),
        ("flights", b"wind,hour\n1,2\n", CSV, 400, "'origin' is missing"),
        ("flights", b"wind,hour,origin\n1,2\n", CSV, 400, "row 0 has 2 cells for 3 columns"),
        ("flights", b"wind,hour,origin\nx,2,JFK\n", CSV, 400, "'wind', row 0: expected a number"),
        ("flights", b"wind,hour,origin\ninf,2,JFK\n", CSV, 400, "'wind', row 0: expected a number"),
        ("flights", b"wind,hour,origin\n1,,JFK\n", CSV, 400, "'hour', row 0: expected a whole number, got null"),
        ("flights", b"wind,hour,origin\n1,2,SFO\n", CSV, 400, "'SFO' was not seen"),
        ("flights", b'wind,hour,origin\n1,2,"JFK\n', CSV, 400, "CSV"),
        ("flights", b"wind\x00,hour,origin\n", CSV, 400, "NUL"),
        ("flights", b"\xff\xfe", CSV, 400, "not UTF-8"),
        ("pictures", b"picture\n1\n", CSV, 400, "takes tensors"),
        ("flights", b"PAR1", PARQUET, 400, "cannot be read"),
        ("flights", parquet(FLIGHTS)[:-30], PARQUET, 400, "cannot be read"),
        ("flights", parquet(FLIGHTS[["hour"]]), PARQUET, 400, "'wind' is missing"),
        ("flights", parquet(FLIGHTS.assign(hour=["a", "b"])), PARQUET, 400, "holds String; the model takes long there"),
        ("flights", parquet(FLIGHTS.assign(wind=[1.5, -np.inf])), PARQUET, 400, "'wind', row 1: infinity"),
        ("flights", b'wind,hour,origin,gate\n1,2,JFK,"', CSV, 400, "'gate' is no input of the model"),
        ("flights", parquet(FLIGHTS.assign(gate=1.0)), PARQUET, 400, "'gate' of the Parquet file is no input"),
        ("flights", parquet(FLIGHTS.assign(wind=[[1], [2]])), PARQUET, 400, "'wind' of the Parquet file holds List"),
        ("flights", parquet(FLIGHTS.assign(origin=[b"JFK", b"LGA"])), PARQUET, 400, "'origin' of the Parquet file holds Binary"),
        (
            "flights",
            parquet(FLIGHTS.assign(hour=pd.to_datetime(["2020", "2021"]))),
            PARQUET,
            400,
            "the model takes long there",
        ),
        ("flights", b"x", "text/csv; charset=latin-1", 415, "content type"),
        ("sums", b"a,b,c,d\n1_0,2,3,4\n", CSV, 400, 'got the string "1_0"'),
        ("sums", "a,b,c,d\n\u0661,2,3,4\n".encode(), CSV, 400, "expected a number"),
        ("flights", b"x", "application/xml", 415, "content type"),
        ("pictures", {"dataframe_split": {"columns": ["picture"], "data": [[1]]}}, JSON, 400, "takes tensors"),
        ("pictures", {"inputs": [[1]]}, JSON, 400, "name them"),
        ("pictures", {"inputs": {**PICTURE, "mask": [1]}}, JSON, 400, "expected true or false"),
        ("pictures", {"inputs": {**PICTURE, "mask": [True, True]}}, JSON, 400, "different"),
        ("pictures", {"inputs": {**PICTURE, "picture": [[[1.0], [3.0, 4.0]]]}}, JSON, 400, "same length"),
        ("pictures", {"inputs": {**PICTURE, "picture": [[1.0, 3.0]]}}, JSON, 400, "levels of lists"),
        ("pictures", {"inputs": {**PICTURE, "picture": [[[[1.0]], [[3.0]]]]}}, JSON, 400, "nested more deeply"),
        ("pictures", {"inputs": {**PICTURE, "picture": [[[1.0]]]}}, JSON, 400, "takes [-1, 2, -1]"),
        ("pictures", {"inputs": {**PICTURE, "picture": [[[1e300], [1.0]]]}}, JSON, 400, "does not fit"),
        ("pictures", {"inputs": {"picture": PICTURE["picture"]}}, JSON, 400, "'mask' is missing"),
        ("reviews", {"instances": [[1, 2]]}, JSON, 400, "expected a string"),
    ],
)
def test_what_cannot_be_read_is_refused_in_mlflows_shape(
    stand: Stand, model: str, body: Any, content_type: str, status: int, why: str
) -> None:
    reply = invoke(stand, model, body, content_type)
    assert reply.status == status, reply
    assert reply.json()["error_code"]
    assert why in reply.json()["message"]


def test_a_parquet_file_that_says_it_is_huge_is_refused_before_it_is_read(stand: Stand) -> None:
    bomb = parquet(pd.DataFrame({name: np.zeros(3_000_000) for name in ("wind", "hour")}))
    assert len(bomb) < 300_000
    reply = invoke(stand, "flights", bomb, PARQUET)
    assert reply.status == 400
    assert "6000000 cells" in reply.json()["message"]


def test_a_text_where_the_model_takes_numbers_is_refused_before_it_is_unpacked(stand: Stand) -> None:
    frame = pd.DataFrame({"wind": ["x" * 20_000_000], "hour": [1], "origin": ["JFK"]})
    bomb = bytes(frame.to_parquet(index=False, compression="zstd"))
    assert len(bomb) < 300_000
    reply = invoke(stand, "flights", bomb, PARQUET)
    assert reply.status == 400
    assert "holds String; the model takes double there" in reply.json()["message"]


def test_a_body_may_be_compressed(stand: Stand) -> None:
    packed = gzip.compress(FLIGHTS.to_csv(index=False).encode())
    reply = invoke(stand, "flights", packed, CSV, Content_Encoding="gzip", Accept_Encoding="gzip")
    assert values(reply) == EXPECTED


def test_mlflows_clients_find_the_server_alive(stand: Stand) -> None:
    for path in ("ping", "health"):
        reply = stand.send("GET", f"/p/demo/deployments/flights/{path}")
        assert (reply.status, reply.body) == (200, b"\n")
    assert stand.send("GET", "/p/demo/deployments/absent/ping").status == 503


def test_mlflows_clients_learn_the_version_that_is_spoken(stand: Stand) -> None:
    reply = stand.send("GET", "/p/demo/deployments/flights/version")
    assert (reply.status, reply.body.decode()) == (200, SPOKEN_VERSION)


# KServe v1.


@pytest.mark.parametrize("root", ["/p/demo", "/p/demo/deployments/sums"])
def test_v1_lists_and_predicts(stand: Stand, root: str) -> None:
    assert "sums" in stand.send("GET", f"{root}/v1/models").json()["models"]
    assert stand.send("GET", f"{root}/v1/models/sums").json() == {"name": "sums", "ready": True}
    reply = stand.send("POST", f"{root}/v1/models/sums:predict", {"instances": [[1, 2, 3, 4]], "parameters": {"x": 1}})
    assert values(reply) == [110.0]
    assert reply.headers["x-prediction-id"] == reply.json()["prediction_id"]
    assert values(stand.send("POST", f"{root}/v1/models/sums%3Apredict", {"instances": [{"a": 1, "b": 1, "c": 1, "d": 1}]})) == [
        104.0
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("sums:predict", b"{", 400, "not valid JSON"),
        ("sums:predict", [], 400, "JSON object"),
        ("sums:predict", {}, 400, '"instances"'),
        ("sums:predict", {"instances": [], "inputs": []}, 400, "one of them only"),
        ("sums:predict", {"instances": [[1]]}, 400, "row 0 has 1 values, the model takes 4"),
        ("nobody:predict", {"instances": [[1]]}, 404, "'nobody'"),
        ("absent:predict", {"instances": [[1]]}, 503, "is loading"),
        ("sums:explain", {"instances": [[1, 2, 3, 4]]}, 400, "gives no reasons"),
    ],
)
def test_v1_refuses_in_its_own_shape(stand: Stand, path: str, body: Any, status: int, why: str) -> None:
    reply = stand.send("POST", f"/p/demo/v1/models/{path}", body)
    assert reply.status == status, reply
    assert why in reply.json()["error"]


# The prediction log.


def read(stand: Stand, model: str, reply: Reply) -> tuple[dict[str, Any], dict[str, Any], PredictionFrame]:
    frame = stand.frame(reply.headers["x-prediction-id"])
    inputs, outputs = FrameReader(SIGNATURES[model]).columns_of(frame)
    return inputs, outputs, frame


@pytest.mark.parametrize("form", ["records", "csv", "parquet", "v1", "v2", "v2 binary"])
def test_the_log_gives_back_what_was_asked_and_answered_whatever_carried_it(stand: Stand, form: str) -> None:
    records = json.loads(FLIGHTS.to_json(orient="records"))
    tensors = [
        {"name": "hour", "shape": [2, 1], "datatype": "FP32", "data": [11, 12]},
        {"name": "wind", "shape": [2], "datatype": "FP64", "data": [1.5, None]},
        {"name": "origin", "shape": [2], "datatype": "BYTES", "data": ["JFK", None]},
    ]
    v2 = "/p/demo/v2/models/flights/infer"
    reply = {
        "records": lambda: invoke(stand, "flights", {"dataframe_records": records}),
        "csv": lambda: invoke(
            stand, "flights", gzip.compress(FLIGHTS.to_csv(index=False).encode()), CSV, Content_Encoding="gzip"
        ),
        "parquet": lambda: invoke(stand, "flights", parquet(FLIGHTS), PARQUET),
        "v1": lambda: stand.send("POST", "/p/demo/v1/models/flights:predict", {"instances": records}),
        "v2": lambda: stand.send("POST", v2, {"inputs": tensors, "id": "mine"}),
        "v2 binary": lambda: stand.send("POST", v2, *_binary_flights()),
    }[form]()
    inputs, outputs, frame = read(stand, "flights", reply)
    missing = None if form != "v2 binary" else "LGA"
    assert inputs == {"wind": [1.5, None], "hour": [11, 12], "origin": ["JFK", missing]}
    assert outputs == {"speed": [1.5, None], "afternoon": [False, True], "from": ["JFK", missing]}
    assert frame.protocol == {"v1": "v1", "v2": "v2", "v2 binary": "v2"}.get(form, "mlflow")
    assert frame.rows == 2
    assert frame.request_id == ("mine" if form == "v2" else "")


def _binary_flights() -> tuple[bytes, dict[str, str]]:
    raw = np.array([1.5, np.nan]).tobytes() + np.array([11, 12]).tobytes() + b"\3\0\0\0JFK\3\0\0\0LGA"
    heads = [("wind", "FP64", 16), ("hour", "INT64", 16), ("origin", "BYTES", 14)]
    inputs = [{"name": n, "shape": [2], "datatype": t, "parameters": {"binary_data_size": size}} for n, t, size in heads]
    header = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return header + raw, {"Inference-Header-Content-Length": str(len(header))}


def test_a_wide_tensor_is_read_back_as_columns(stand: Stand) -> None:
    wide = {"name": "x", "shape": [2, 4], "datatype": "FP32", "data": list(range(8))}
    reply = stand.send("POST", "/p/demo/v2/models/sums/infer", {"inputs": [wide]})
    inputs, outputs, _ = read(stand, "sums", reply)
    assert inputs == {"a": [0.0, 4.0], "b": [1.0, 5.0], "c": [2.0, 6.0], "d": [3.0, 7.0]}
    assert outputs == {"y": [106.0, 122.0]}


def test_tensors_are_read_back_as_nested_lists(stand: Stand) -> None:
    inputs, outputs, _ = read(stand, "pictures", invoke(stand, "pictures", {"inputs": PICTURE}))
    assert inputs == PICTURE
    assert outputs == {"embedding": [[2.0, 2.0, 2.0]], "loud": ["É"]}


def test_no_rows_are_read_back_as_empty_columns(stand: Stand) -> None:
    inputs, outputs, _ = read(stand, "flights", invoke(stand, "flights", {"instances": []}))
    assert inputs == {"wind": [], "hour": [], "origin": []}
    assert outputs == {"speed": [], "afternoon": [], "from": []}


def test_a_frame_that_is_not_what_it_says_is_told_apart() -> None:
    frame = PredictionFrame("p", 0, "d", "sums/1", JSON, "", b'{"instances": [[1, 2, 3, 4]]}', b"{}", 1)
    with pytest.raises(UnreadableFrame, match="the answer of p"):
        FrameReader(SIGNATURES["sums"]).columns_of(frame)
    with pytest.raises(UnreadableFrame, match="newer Tilth"):
        FrameReader(SIGNATURES["sums"]).columns_of(PredictionFrame("p", 0, "d", "sums/1", JSON, "", b"", b"", 1, protocol="v9"))


@pytest.mark.parametrize("answer", [["high"], [[1.0, 2.0]], 3])
def test_an_answer_of_other_outputs_than_the_signature_names_is_told_apart(answer: Any) -> None:
    body = json.dumps({"predictions": answer}).encode()
    frame = PredictionFrame("p", 0, "d", "sums/1", JSON, "", b'{"instances": [[1, 2, 3, 4]]}', body, 1)
    with pytest.raises(UnreadableFrame, match="the answer of p"):
        FrameReader(SIGNATURES["sums"]).columns_of(frame)


@pytest.mark.parametrize("answer", [[1.0], [[1.0, 2.0], 3.0], {"y": [5]}])
def test_an_answer_of_other_tensors_than_the_signature_names_is_told_apart(answer: Any) -> None:
    square = Signature(tensors=(Tensor("x", "float64", (-1, 2)),), output_tensors=(Tensor("y", "float64", (-1, 2)),))
    body = json.dumps({"predictions": answer}).encode()
    frame = PredictionFrame("p", 0, "d", "square/1", JSON, "", b'{"inputs": {"x": [[1, 2]]}}', body, 1)
    with pytest.raises(UnreadableFrame, match="the answer of p"):
        FrameReader(square).columns_of(frame)


def test_a_table_of_nothing_but_a_header_has_no_rows(stand: Stand) -> None:
    empty = io.StringIO()
    FLIGHTS.head(0).to_csv(empty, index=False)
    assert values(invoke(stand, "flights", empty.getvalue().encode(), CSV)) == []
