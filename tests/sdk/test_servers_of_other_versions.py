"""A server whose answers this program does not know: words instead of a decoder's error."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import tilth
from tilth.core.version import VERSION
from tilth.sdk import connection
from tilth.sdk.errors import OtherVersion


class Older(BaseHTTPRequestHandler):
    """Answers every question as no Tilth of today does."""

    protocol_version = "HTTP/1.1"
    version = "0.0.9"

    def do_GET(self) -> None:
        if self.path == "/api/v1/health":
            self.say(json.dumps({"status": "ok", "version": self.version} if self.version else {}))
        else:
            self.say(json.dumps({"model": {"title": "churn"}}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.say("<html>welcome</html>")

    def say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Nameless(Older):
    version = ""


@pytest.fixture(params=[Older, Nameless])
def kind(request: pytest.FixtureRequest) -> type[Older]:
    return request.param


@pytest.fixture
def other(kind: type[Older]) -> Iterator[type[Older]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tilth.init("default", url=f"http://127.0.0.1:{server.server_port}", token="t")
        yield kind
        connection.forget()
        server.shutdown()


def test_an_answer_of_another_shape_names_both_versions_and_what_to_do(other: type[Older]) -> None:
    theirs = (
        rf"version {other.version}; .*`pip install tilth=={other.version}`"
        if other.version
        else "of a version that it does not tell"
    )
    with pytest.raises(OtherVersion, match=rf"this program has Tilth {VERSION}, .*{theirs}"):
        tilth.load_model("churn/1")


def test_a_run_does_not_begin_on_what_is_no_tilth(other: type[Older]) -> None:
    with pytest.raises(OtherVersion, match="check TILTH_URL if no Tilth server should be there"):
        tilth.run("first")
