"""What several attacks need: things of a project to attack, and raw sockets."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

SERVABLE = msgspec.json.encode(
    ModelDocument(
        flavour="sklearn",
        signature=Signature(inputs=(Column("x", "double"),), outputs=(Column("y", "double"),)),
        method="predict",
        model_path="model.pkl",
    )
)
ALL_SCOPES = ("read", "write", "predict", "manage")
MLMODEL = b"flavors: {sklearn: {}}"


def done(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


@dataclass(frozen=True)
class Things:
    """One of everything in a project, and the addresses at which it answers."""

    project: str
    run: str
    experiment: str
    logged_model: str
    model: str = "m"

    @property
    def api(self) -> str:
        return f"/api/v1/p/{self.project}"


def make_things(client: httpx.Client, project: str, *, model: str = "m", name: str = "a run") -> Things:
    """A run with a metric and an artifact, a sealed and registered model, a deployment."""
    api = f"/api/v1/p/{project}"
    experiment = done(client.post(f"{api}/experiments", json={"name": "trial"}))["id"]
    run = done(client.post(f"{api}/runs", json={"experiment_id": experiment, "name": name}))["id"]
    done(client.post(f"{api}/runs/{run}/log", json={"metrics": [{"key": "auc", "value": 0.7, "step": s} for s in range(3)]}))
    done(client.put(f"{api}/runs/{run}/artifacts/note.txt", content=b"secret of " + project.encode()))
    logged = done(client.post(f"{api}/logged-models", json={"name": "model", "source_run_id": run}))["id"]
    for path, data in {"MLmodel": MLMODEL, "model.pkl": b"bytes of " + project.encode(), "tilth.json": SERVABLE}.items():
        done(client.put(f"{api}/logged-models/{logged}/files/{path}", content=data))
    done(client.post(f"{api}/logged-models/{logged}/finalize", json={}))
    done(client.post(f"{api}/models/{model}/versions", json={"logged_model_id": logged}))
    done(client.put(f"{api}/deployments/live", json={"model": model, "version": 1}))
    return Things(project, run, experiment, logged, model)


class Place:
    """A running server as the tests of the control app know one: `client` acts as the local owner."""

    def __init__(self, server: Any) -> None:
        self.url, self.home, self.owner_token = server.url, server.home, server.token
        self._clients: list[httpx.Client] = []
        self.client = self.as_(server.token)

    def as_(self, token: str | None) -> httpx.Client:
        """A client with other credentials, or with none."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._clients.append(httpx.Client(base_url=self.url, headers=headers, timeout=30))
        return self._clients[-1]

    def member(self, name: str, role: str, project: str = "default", scopes: tuple[str, ...] = ALL_SCOPES) -> str:
        """Makes a user with a role and returns a token of his."""
        done(self.client.post("/api/v1/users", json={"name": name}))
        if role:
            done(self.client.put(f"/api/v1/p/{project}/members/{name}", json={"role": role}))
        return self.token(principal=name, scopes=scopes)

    def token(self, **fields: object) -> str:
        return str(done(self.client.post("/api/v1/tokens", json={"name": "test", **fields}))["secret"])

    def close(self) -> None:
        for client in self._clients:
            client.close()


def raw(url: str, data: bytes, *, until: Callable[[bytes], bool] | None = None, wait_s: float = 10.0) -> bytes:
    """What the server answers to these bytes; until it closes, or `until` says that all is there."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=wait_s) as connection:
        received = b""
        try:
            connection.sendall(data)
            while piece := connection.recv(65536):
                received += piece
                if until is not None and until(received):
                    break
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def statuses(received: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", received)]


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain")
