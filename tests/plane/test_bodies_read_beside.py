"""Large bodies are read in processes of their own: with the same answers and refusals, within bounds, and holding up nobody."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as arrow
import pyarrow.parquet
import pytest
from tests.plane.protocol_stand import SIGNATURES, Reply, Stand

from tilth.plane.bodies import BodyReader
from tilth.plane.problems import WrongType
from tilth.plane.protocols import KSERVE_V1, MLFLOW, OPEN_INFERENCE, Codec, Content
from tilth.plane.protocols.files import InvalidTable
from tilth.wire.signature import Signature

JSON, CSV, PARQUET = "application/json", "text/csv", "application/x-parquet"
ROWS = 30_000
MAX_BODY_BYTES = 20_000_000
SUMS = pd.DataFrame({name: np.arange(ROWS) + offset for offset, name in enumerate("abcd")})
EXPECTED = (4.0 * np.arange(ROWS) + 6 + 100).tolist()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = Stand(tmp_path_factory.mktemp("beside"), max_body_bytes=MAX_BODY_BYTES)
    yield made
    made.close()


@pytest.fixture(scope="module")
def reader() -> BodyReader:
    return BodyReader()


def invoke(stand: Stand, model: str, body: bytes, content_type: str = JSON) -> Reply:
    return stand.send("POST", f"/p/demo/deployments/{model}/invocations", body, {"Content-Type": content_type})


def parquet(frame: pd.DataFrame) -> bytes:
    return bytes(frame.to_parquet(index=False))


def dumped(document: Any) -> bytes:
    body = json.dumps(document).encode()
    assert len(body) > 200_000
    return body


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (dumped({"instances": SUMS.to_numpy().tolist()}), JSON),
        (dumped({"dataframe_records": SUMS.to_dict("records")}), JSON),
        (SUMS[["d", "b", "a", "c"]].to_csv(index=False).encode(), CSV),
        (parquet(SUMS), PARQUET),
    ],
    ids=["lists", "records", "csv", "parquet"],
)
def test_a_large_body_is_answered_as_a_small_one_is(stand: Stand, body: bytes, content_type: str) -> None:
    reply = invoke(stand, "sums", body, content_type)
    assert reply.status == 200, reply.body[:200]
    assert reply.json()["predictions"] == EXPECTED
    frame = stand.frame(reply.headers["x-prediction-id"])
    assert (frame.body, frame.rows) == (body, ROWS)


def test_what_a_caller_of_v2_wishes_is_kept(stand: Stand) -> None:
    tensor = {"name": "x", "shape": [ROWS, 4], "datatype": "FP64", "data": SUMS.to_numpy().ravel().tolist()}
    wish = {"id": "mine", "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    reply = stand.send("POST", "/p/demo/v2/models/sums/infer", dumped({"inputs": [tensor], **wish}))
    length = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.body[:length])["id"] == "mine"
    assert np.frombuffer(reply.body[length:]).tolist() == EXPECTED


def test_texts_and_what_lacks_arrive_as_they_were_sent(stand: Stand) -> None:
    reviews = [["abc" * (n % 5), 2] if n % 7 else [None, 1] for n in range(ROWS)]
    expected = [2 * len(text) if text is not None else 0 for text, _ in reviews]
    assert invoke(stand, "reviews", dumped({"instances": reviews})).json()["predictions"] == expected
    flights = pl.DataFrame({"wind": [1.5, None], "hour": [11, 12], "origin": ["JFK", None]})
    body = io.BytesIO()
    flights.write_parquet(body)
    assert invoke(stand, "flights", body.getvalue(), PARQUET).json()["predictions"] == [[1.5, False, "JFK"], [None, True, None]]


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (dumped({"instances": [[1, 2, 3, 4]] * ROWS + [[1, 2, 3, "four"]]}), JSON, f"row {ROWS}: expected a number"),
        (dumped({"instances": [[1, 2, 3, 4]] * ROWS})[:-1], JSON, "not valid JSON"),
        (b"[" * 200_000, JSON, "nested too deeply"),
        (SUMS.to_csv(index=False).encode() + b"1,2\n", CSV, f"row {ROWS} has 2 cells for 4 columns"),
        (b",".join(b"c%d" % n for n in range(100_000)) + b"\n", CSV, "'a' is missing"),
        (parquet(SUMS)[:-100], PARQUET, "cannot be read"),
    ],
    ids=["wrong value", "cut", "deep", "narrow row", "wide", "damaged"],
)
def test_a_large_body_is_refused_as_a_small_one_is(stand: Stand, body: bytes, content_type: str, why: str) -> None:
    reply = invoke(stand, "sums", body, content_type)
    assert reply.status == 400
    assert why in reply.json()["message"]


def test_the_kind_of_a_refusal_comes_back(reader: BodyReader) -> None:
    body = b'{"instances": [[1, 2, 3, "x"]]}'
    for codec in (MLFLOW, KSERVE_V1):
        with pytest.raises(WrongType, match="'d', row 0"):
            reader.read(codec, body, Content(), SIGNATURES["sums"])


@pytest.mark.parametrize(("codec", "kind"), [(MLFLOW, JSON), (MLFLOW, CSV), (KSERVE_V1, JSON), (OPEN_INFERENCE, JSON)])
def test_neighbours_are_answered_while_a_large_body_is_in_hand(stand: Stand, codec: Codec, kind: str) -> None:
    rows = [[1.25, 2.25, 3.25, 4.25]] * 100_000
    path = "/p/demo/deployments/sums/invocations"
    if codec is OPEN_INFERENCE:
        path = "/p/demo/v2/models/sums/infer"
        body = dumped({"inputs": [{"name": "x", "shape": [100_000, 4], "datatype": "FP64", "data": rows}]})
    else:
        path = path if codec is MLFLOW else "/p/demo/v1/models/sums:predict"
        body = b"a,b,c,d\n" + b"1.25,2.25,3.25,4.25\n" * 100_000 if kind == CSV else dumped({"instances": rows})
    replies: list[Reply] = []
    large = threading.Thread(target=lambda: replies.append(stand.send("POST", path, body, {"Content-Type": kind})))
    large.start()
    answered = 0
    while large.is_alive():
        assert invoke(stand, "flights", b'{"instances": [[1.5, 11, "JFK"]]}').status == 200
        answered += 1
        time.sleep(0.002)
    assert replies[0].status == 200
    assert answered >= 10


@pytest.mark.parametrize("told", [True, False], ids=["as a category", "as text"])
def test_a_parquet_file_of_one_long_text_in_every_row_is_refused(stand: Stand, told: bool) -> None:
    rows = 40_000
    text = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(rows, dtype=np.int32)), ["x" * 100_000])
    bomb = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table({"review": text, "stars": np.ones(rows, dtype=np.int64)}), bomb, store_schema=told)
    assert len(bomb.getvalue()) < 300_000
    reply = invoke(stand, "reviews", bomb.getvalue(), PARQUET)
    assert reply.status == 413
    assert "the body becomes more than" in reply.json()["message"]
    assert invoke(stand, "reviews", parquet(pd.DataFrame({"review": ["ab"], "stars": [2]})), PARQUET).json()["predictions"] == [4]


def test_a_parquet_file_of_one_giant_text_is_refused(stand: Stand) -> None:
    body = io.BytesIO()
    table = arrow.table({"review": ["x" * 250_000_000], "stars": [1]})
    pyarrow.parquet.write_table(table, body, compression="zstd", use_dictionary=False, write_statistics=False)
    assert len(body.getvalue()) < 300_000
    reply = invoke(stand, "reviews", body.getvalue(), PARQUET)
    assert reply.status == 413
    assert "the body becomes more than" in reply.json()["message"]


def test_what_a_body_becomes_is_bounded_by_its_size(reader: BodyReader) -> None:
    signature = Signature(tuple(SIGNATURES["sums"].inputs[:1]), SIGNATURES["sums"].outputs)
    zeros = np.zeros(30_000_000)
    body = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table({"a": zeros}), body, compression="none")
    assert len(body.getvalue()) * 20 < len(zeros)
    with pytest.raises(InvalidTable, match="cells"):
        reader.read(MLFLOW, body.getvalue(), Content(PARQUET), signature)


def test_a_reader_that_was_ended_is_replaced(reader: BodyReader) -> None:
    body = b'{"instances": [[1, 2, 3, 4]]}'
    for _ in range(2):
        assert reader.read(MLFLOW, body, Content(), SIGNATURES["sums"]).inputs.tolist() == [[1, 2, 3, 4]]  # type: ignore[union-attr]
        assert _readers()
        for pid in _readers():
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _readers() -> list[int]:
    """Processes of this one that read bodies."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"tilth.plane.bodies" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found
