"""Requests of the MLflow protocol as bytes: the same for a stock MLflow server and for ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from benchmarks.clients import Connection, Outcome, one_client, request

API = "/api/2.0/mlflow"


@dataclass(frozen=True, slots=True)
class Server:
    """name: how figures call it. token: "" where none is asked for."""

    name: str
    url: str
    pid: int
    token: str = ""

    def post(self, path: str, body: object) -> bytes:
        return request(self.url, "POST", API + path, json.dumps(body).encode(), self.token)

    def get(self, path: str, **asked: object) -> bytes:
        return request(self.url, "GET", f"{API}{path}?{urlencode(asked)}", b"", self.token)

    def ask(self, data: bytes) -> Any:
        """The answer of one request, as JSON. Raises AssertionError for anything but success."""
        connection = Connection(self.url)
        try:
            answer = connection.ask(data)
        finally:
            connection.close()
        if answer.status >= 300:
            raise AssertionError(f"{self.name}: {answer.status} {answer.body[:300].decode(errors='replace')}")
        return json.loads(answer.body)

    def times(self, requests: list[bytes], warm_up: int = 2) -> Outcome:
        """One client, one request after the other; the first few are not counted. Raises AssertionError if one fails."""
        connection = Connection(self.url)
        try:
            one_client(connection, requests[:warm_up])
            outcome = one_client(connection, requests[warm_up:])
        finally:
            connection.close()
        if outcome.failed:
            raise AssertionError(f"{self.name}: {outcome.errors}")
        return outcome

    def new_run(self) -> str:
        return str(
            self.ask(self.post("/runs/create", {"experiment_id": "0", "start_time": 1_700_000_000_000}))["run"]["info"]["run_id"]
        )
