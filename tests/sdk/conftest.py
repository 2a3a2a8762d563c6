from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from tilth.sdk import connection, current
from tilth.wire.tracking import RunDetail


@dataclass
class LiveServer:
    """The control app of a home of its own, answering on a real socket from a thread of this process."""

    system: Any
    app: Any
    token: str
    home: Path
    port: int = 0
    server: Any = None
    thread: threading.Thread | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TILTH_URL": self.url, "TILTH_TOKEN": self.token, "TILTH_HOME": str(self.home)}

    def up(self) -> None:
        from tilth.app.server import bind

        listening = bind("127.0.0.1", self.port)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(self.app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def down(self) -> None:
        assert self.thread is not None
        self.server.should_exit = True
        self.thread.join(10)

    def python(self, code: str, *, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of its own against this server."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.environment, **environment},
            cwd=self.home,
        )
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="session")
def shared_live_server(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    server = make_server(migrated_home, tmp_path_factory.mktemp("live") / "home")
    yield server
    server.down()
    server.system.database.close()


def make_server(template: Path, home: Path) -> LiveServer:
    from tilth.app.bootstrap import ensure_local_identity
    from tilth.app.control import create_app
    from tilth.app.settings import load_settings
    from tilth.app.wiring import build

    shutil.copytree(template, home)
    settings = load_settings(home, environ={})
    system = build(settings, control_url="http://127.0.0.1:8700", serve_url="http://127.0.0.1:8701")
    local = ensure_local_identity(system.database, home, settings.project_name)
    server = LiveServer(system, create_app(system), local.token, home)
    server.up()
    return server


@pytest.fixture(autouse=True)
def journal_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs wait whose server is away."""
    monkeypatch.setenv("TILTH_JOURNAL", str(tmp_path / "journal"))
    return tmp_path / "journal"


@pytest.fixture
def live(shared_live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    """A server that the SDK in this process finds by the environment."""
    monkeypatch.setenv("TILTH_URL", shared_live_server.url)
    monkeypatch.setenv("TILTH_TOKEN", shared_live_server.token)
    connection.forget()
    yield shared_live_server
    while (left := current.current_run()) is not None:
        left.finish()
    connection.forget()


@pytest.fixture
def brittle(migrated_home: Path, tmp_path: Path, live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    """A server of the test's own, which it may take away; the SDK finds it."""
    server = make_server(migrated_home, tmp_path / "brittle")
    monkeypatch.setenv("TILTH_URL", server.url)
    monkeypatch.setenv("TILTH_TOKEN", server.token)
    connection.forget()
    yield server
    server.down()
    server.system.database.close()


@pytest.fixture
def read(live: LiveServer) -> Callable[..., Any]:
    """A run as the server (the shared one unless it is named) has it."""

    def read_run(run_id: str, server: LiveServer = live) -> Any:
        headers = {"authorization": f"Bearer {server.token}"}
        answer = httpx.get(f"{server.url}/api/v1/p/default/runs/{run_id}", headers=headers)
        return msgspec.json.decode(answer.content, type=RunDetail)

    return read_run
