"""The example's HTTP client against a small server, and its request bodies against the model server's own encoder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import numpy as np
import pandas as pd
import pytest
from examples.flight_delay.asking import NotAnswered, ask, bodies

from tilth.flavours import frames
from tilth.plane.encoding import Encoder
from tilth.plane.forms import read_form
from tilth.wire.signature import Signature

FRAME = pd.DataFrame(
    {
        "carrier": pd.Categorical(["UA", None, "AA"]),
        "hour": [5, 6, 7],
        "temp": [39.5, np.nan, 40.0],
    }
)


class Echo(BaseHTTPRequestHandler):
    """Answers the hour of each row; counts connections. Refuses hour 7 where asked one by one."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        Echo.connections += 1

    def do_POST(self) -> None:
        rows = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))["dataframe_split"]["data"]
        refused = self.headers["authorization"] != "Bearer good"
        body = msgspec.json.encode({"predictions": [row[1] / 10 for row in rows], "version": "3", "prediction_id": "p1"})
        self.send_response(401 if refused else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Echo.connections = 0
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/invocations"
        server.shutdown()
        thread.join()


def test_every_row_is_answered_over_one_connection(address: str) -> None:
    seen: list[int] = []
    answers = ask(address, "good", bodies(FRAME), seen.append)
    assert answers.probabilities.tolist() == [0.5, 0.6, 0.7]
    assert (answers.version, answers.first_prediction_id) == ("3", "p1")
    assert len(answers.latencies_ms) == len(seen) == 3
    assert Echo.connections == 1
    assert answers.percentile_ms(50) > 0


def test_rows_go_in_batches_of_the_given_size(address: str) -> None:
    answers = ask(address, "good", bodies(FRAME, 2))
    assert answers.probabilities.tolist() == [0.5, 0.6, 0.7]
    assert len(answers.latencies_ms) == 2


def test_a_refusal_is_told_with_the_servers_words(address: str) -> None:
    with pytest.raises(NotAnswered, match="answered 401"):
        ask(address, "bad", bodies(FRAME))


def test_the_model_server_reads_a_body_as_the_flavour_encodes_the_frame() -> None:
    columns = frames.columns_of(FRAME, frames.kinds_of(FRAME), categories={}, unseen={})
    nullable = [msgspec.structs.replace(column, nullable=column.type != "long") for column in columns]
    signature = Signature(inputs=tuple(nullable), outputs=())
    expected = frames.encode(FRAME, signature)
    assert Encoder(signature).encode(read_form(bodies(FRAME, 10)[0])) == pytest.approx(expected, nan_ok=True)
