"""The CLI's HTTP client against a real little server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tilth.cli.client import Api, NotReached, NotTilth
from tilth.core.errors import Conflict, Denied, TilthError, Unavailable
from tilth.core.home import Target

ANSWERS: dict[str, tuple[int, bytes]] = {
    "/conflict": (409, b'{"error": {"kind": "conflict", "code": "project_exists", "message": "project x exists"}}'),
    "/new-kind": (418, b'{"error": {"kind": "teapot", "code": "teapot", "message": "short and stout"}}'),
    "/proxy-page": (502, b"<html>bad gateway</html>"),
    "/forbidden": (403, b""),
    "/page": (200, b"<html>hello</html>"),
    "/empty": (204, b""),
}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/echo":
            status, body = 200, json.dumps([self.headers["authorization"], query]).encode()
        elif path == "/rows":
            start = int(query.rpartition("page_token=")[2]) if "page_token" in query else 0
            rows = {"runs": [{"id": n} for n in range(start, start + 3)], "next_page_token": str(start + 3)}
            status, body = 200, json.dumps(rows).encode()
        else:
            status, body = ANSWERS[path]
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def api() -> Iterator[Api]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    with Api(Target(f"http://127.0.0.1:{server.server_port}", "tilth_x", "a/b")) as made:
        yield made
    server.shutdown()
    serving.join()
    server.server_close()


def test_the_token_and_the_given_params_are_sent(api: Api) -> None:
    assert api.get("/echo", a=1, b=None) == ["Bearer tilth_x", "a=1"]


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/conflict", Conflict, "project x exists"),
        ("/new-kind", TilthError, "short and stout"),
        ("/proxy-page", Unavailable, "answered 502: <html>"),
        ("/forbidden", Denied, "answered 403"),
        ("/page", NotTilth, "is it a Tilth server"),
    ],
)
def test_an_error_is_raised_as_the_kind_that_the_server_raised(api: Api, path: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        api.get(path)


def test_an_empty_answer_is_none_and_names_are_quoted_once(api: Api) -> None:
    assert api.get("/empty") is None
    assert api.in_project("models", "x/y z") == "/api/v1/p/a%2Fb/models/x%2Fy%20z"


def test_rows_are_fetched_page_after_page_up_to_the_limit(api: Api) -> None:
    assert [row["id"] for row in api.rows("/rows", "runs", 7)] == list(range(7))


def test_nobody_there_is_an_error_of_its_own() -> None:
    with Api(Target("http://127.0.0.1:9", "", "p")) as api, pytest.raises(NotReached, match="cannot reach"):
        api.get("/")
