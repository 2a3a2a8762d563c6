"""A Tilth for the demo: the one that already runs on this home, or a new one that ends with the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tilth.core.home import read_server_file

USUAL_PORTS = (8700, 8701)
ANY_PORTS = (0, 0)


class NotStarted(Exception):
    """`tilth up` ended before it was ready. The message is its own last words."""


@dataclass
class Platform:
    """url: pages and API; serve_url: predictions; token: the local owner's; process: None where somebody else started it."""

    url: str
    serve_url: str
    token: str
    project: str
    process: subprocess.Popen[str] | None

    def login_link(self) -> str:
        """An address that signs a browser in as the local owner, once. Raises NotStarted."""
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.post(f"{self.url}/api/v1/login-links", headers=headers, timeout=10, trust_env=False)
        if not answer.is_success:
            raise NotStarted(f"{self.url} gave no login link ({answer.status_code}: {answer.text[:200]})")
        return str(answer.json()["url"])

    def wait(self) -> None:
        """Until the started Tilth ends; at once where it is not ours."""
        if self.process is not None:
            self.process.wait()


@contextlib.contextmanager
def running(home: Path) -> Iterator[Platform]:
    """Raises NotStarted."""
    process = None if _answers(home) else _start(home)
    try:
        found = read_server_file(home)
        if found is None:
            raise NotStarted(f"Tilth runs, but {home}/server.json is not there; see `tilth logs --home {home}`")
        yield Platform(found.url.rstrip("/"), found.serve_url.rstrip("/"), found.token, found.project or "default", process)
    finally:
        if process is not None:
            _stop(process)


def _answers(home: Path) -> bool:
    found = read_server_file(home)
    if found is None:
        return False
    try:
        return httpx.get(f"{found.url}/api/v1/health", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _start(home: Path) -> subprocess.Popen[str]:
    home.mkdir(parents=True, exist_ok=True)
    try:
        return _started(home, *USUAL_PORTS)
    except NotStarted as refused:
        if "is in use" not in str(refused):
            raise
    return _started(home, *ANY_PORTS)


def _started(home: Path, port: int, serve_port: int) -> subprocess.Popen[str]:
    command = ["up", "--home", str(home), "--port", str(port), "--serve-port", str(serve_port)]
    errors = home / "demo-up.log"
    with errors.open("w") as stderr:
        # A group of its own: Ctrl-C reaches the demo alone, which then stops Tilth in good order.
        process = subprocess.Popen(
            [sys.executable, "-m", "tilth.cli.main", *command],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            process_group=0,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready "):
        _stop(process)
        said = errors.read_text().strip().splitlines()
        raise NotStarted(
            said[-1].removeprefix("error: ") if said else "`tilth up` ended without a word; run it by hand to see why"
        )
    return process


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
