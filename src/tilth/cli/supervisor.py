"""The parent process of `tilth up`: holds the sockets, starts control and the model servers, and starts again what dies.

It imports `tilth.core` and the standard library only and stays below 20 MB. On stdout it prints one line, `ready <url>`, once control
answers and every model server accepts; everything else goes to stderr and to `<home>/logs`. SIGTERM and Ctrl-C stop all within 10 s.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tilth.cli.children import LONGEST_QUEUE_S, Child, Log, Spec
from tilth.cli.ports import listen
from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.core.home import LOGS_FOLDER, SERVER_FILE

STARTUP_ERROR = 3
"""A child that ends with this code says on its last line of stderr why no other start would do better."""
MOST_FAILED_STARTS = 3
TERM_TO_KILL_S = 8.0
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
"""One process per core: threads of a numeric library in each would stall one another (480 ms at p99, measured)."""
KEPT_FROM_WORKERS = (
    *(f"TILTH_{name}" for name in ("DATABASE_URL", "DATABASE_URL_FILE", "TOKEN")),
    *(f"AWS_{name}" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "WEB_IDENTITY_TOKEN_FILE", "PROFILE")),
    *(f"AZURE_STORAGE_{name}" for name in ("ACCOUNT_KEY", "ACCESS_KEY", "SAS_KEY", "SAS_TOKEN", "CONNECTION_STRING")),
    *(f"AZURE_{name}" for name in ("CLIENT_SECRET", "FEDERATED_TOKEN_FILE")),
    *(f"GOOGLE_{name}" for name in ("APPLICATION_CREDENTIALS", "SERVICE_ACCOUNT", "SERVICE_ACCOUNT_KEY")),
    *(f"PG{name}" for name in ("PASSWORD", "PASSFILE", "SERVICEFILE", "SSLKEY")),
)
"""Models are users' code: what opens the database and the store of the blobs is the control process's alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. home: an existing folder. controls, workers: numbers of processes, >= 1 and >= 0. memory_budget_mb: of each worker,
    for lazy versions."""

    home: Path
    host: str
    port: int
    serve_host: str
    serve_port: int
    controls: int
    workers: int
    scheme: str = "http"
    memory_budget_mb: int = 0


class Supervisor:
    """Runs children until a signal. One thread: what forks must have no other."""

    def __init__(
        self,
        specs: Sequence[Spec],
        logs: Path,
        announce: str,
        grace_s: float = TERM_TO_KILL_S,
        longest_queue_s: float = LONGEST_QUEUE_S,
    ) -> None:
        self.children = [Child(spec, Log(logs / f"{spec.name}.log"), longest_queue_s) for spec in specs]
        self.announce = announce
        self.grace_s = grace_s
        self.announced = False
        self.stopping = False
        self.exit_code = 0
        self._hurry = False
        self._kill_at_s = float("inf")
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Exit code of the process: 0 after a signal, 1 where the children could not be started."""
        wake = self._catch_signals()
        for child in self.children:
            self._start(child)
        while not self.stopping or any(child.pid for child in self.children):
            for key, _ in self._selector.select(self._wait_s()):
                if key.data is None:
                    os.read(wake, 4096)
                else:
                    self._hear(key.data, key.fd)
            self._reap()
            self._turn_clients_away()
            self._start_due()
            self._announce_when_ready()
            if self.stopping and (self._hurry or clock.monotonic() >= self._kill_at_s):
                self._signal_all(signal.SIGKILL)
        return self.exit_code

    def stop(self) -> None:
        if self.stopping:
            self._hurry = True
            return
        self.stopping = True
        self._kill_at_s = clock.monotonic() + self.grace_s
        self._signal_all(signal.SIGTERM)

    def _catch_signals(self) -> int:
        """A signal wakes the loop through a pipe; returns its reading end."""
        wake, wake_writer = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_on_signal)
        self._selector.register(wake, selectors.EVENT_READ, None)
        return wake

    def _stop_on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            say(f"cannot start {child.spec.name}: {error.strerror}; trying again")
            child.ended()
            return
        self._selector.register(child.output, selectors.EVENT_READ, child)
        self._selector.register(child.ready_pipe, selectors.EVENT_READ, child)

    def _hear(self, child: Child, descriptor: int) -> None:
        if descriptor == child.ready_pipe:
            self._selector.unregister(descriptor)
            child.read_ready()
            if child.ready and child.starts > 1 and self.announced:
                say(f"{child.spec.name} answers again")
        elif descriptor == child.output and not child.read_output():
            self._forget_output(child)

    def _forget_output(self, child: Child) -> None:
        if child.output >= 0:
            self._selector.unregister(child.output)
            os.close(child.output)
            child.output = -1

    def _reap(self) -> None:
        for child in self.children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._after_end(child, os.waitstatus_to_exitcode(status))

    def _after_end(self, child: Child, code: int) -> None:
        child.kill_group()
        while child.output >= 0 and child.read_output() and select_now(child.output):
            pass
        self._forget_output(child)
        if child.ready_pipe >= 0:
            self._selector.unregister(child.ready_pipe)
            os.close(child.ready_pipe)
            child.ready_pipe = -1
        child.ended()
        if self.stopping:
            return
        if not child.was_ready and (code == STARTUP_ERROR or child.starts >= MOST_FAILED_STARTS):
            self._give_up(child, code)
        else:
            say(f"{child.spec.name} {how_it_ended(code)}; starting it again in {max(0.0, child.due_s - clock.monotonic()):.1f} s")

    def _give_up(self, child: Child, code: int) -> None:
        """Only before the first `ready`: later, whatever still answers is worth more than an end."""
        if code == STARTUP_ERROR and child.last_line:
            say(child.last_line if child.last_line.startswith("error:") else f"error: {child.last_line}")
        else:
            last = f" ({child.last_line})" if child.last_line else ""
            say(f"error: {child.spec.name} {how_it_ended(code)} while starting{last}; see {child.log.path}")
        self.exit_code = 1
        self.stop()

    def _start_due(self) -> None:
        now = clock.monotonic()
        for child in self.children:
            if not child.pid and not self.stopping and child.due_s <= now:
                self._start(child)

    def _turn_clients_away(self) -> None:
        for child in self.children:
            if child.hopeless_s <= clock.monotonic():
                child.turn_clients_away()

    def _announce_when_ready(self) -> None:
        if self.announced or self.stopping or not all(child.ready for child in self.children):
            return
        self.announced = True
        # Whoever started us may have closed the pipe once it had read enough.
        with contextlib.suppress(OSError):
            print(f"ready {self.announce}", flush=True)

    def _signal_all(self, number: int) -> None:
        for child in self.children:
            if child.pid:
                child.signal(number)

    def _wait_s(self) -> float | None:
        """Seconds until something is due; None: until a descriptor speaks."""
        dues = [child.due_s for child in self.children if not child.pid and not self.stopping]
        dues += [child.hopeless_s for child in self.children if child.hopeless_s < float("inf")]
        if self.stopping:
            dues.append(self._kill_at_s if clock.monotonic() < self._kill_at_s else clock.monotonic() + 0.1)
        return max(0.0, min(dues) - clock.monotonic()) if dues else None


def select_now(descriptor: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(0))


def how_it_ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def say(line: str) -> None:
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def address(host: str, port: int, scheme: str = "http") -> str:
    """What to type into a browser on this machine: a wildcard is reached by the loopback address."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{scheme}://{shown}:{port}"


def specs_of(plan: Plan, controls: Sequence[socket.socket], workers: Sequence[socket.socket]) -> list[Spec]:
    """The command lines of all children. The ports are the true ones, also where a free one was asked for."""
    port, serve_port = controls[0].getsockname()[1], workers[0].getsockname()[1] if workers else plan.serve_port
    home = str(plan.home)
    specs = []
    for number, taken in enumerate(controls):
        arguments = [sys.executable, "-m", "tilth.app", "--home", home, "--fd", str(taken.fileno())]
        arguments += ["--port", str(port), "--serve-port", str(serve_port)]
        specs.append(Spec(f"control-{number}" if number else "control", arguments, taken))
    for number, taken in enumerate(workers):
        arguments = [sys.executable, "-m", "tilth.plane", "--home", home, "--worker", f"w{number}", "--fd", str(taken.fileno())]
        arguments += ["--memory-budget-mb", str(plan.memory_budget_mb)]
        specs.append(Spec(f"serve-w{number}", arguments, taken, {**ONE_THREAD, **dict.fromkeys(KEPT_FROM_WORKERS)}))
    if workers:
        # What reads the log of the model servers stands beside them, as they do without the secrets that users' code must not see.
        for name in ("shipping", "shadow"):
            beside = [sys.executable, "-m", f"tilth.plane.{name}", "--home", home]
            specs.append(Spec(name, beside, None, {**ONE_THREAD, **dict.fromkeys(KEPT_FROM_WORKERS)}))
    return specs


def supervise(plan: Plan) -> int:
    """Opens the sockets, which stay open here so that a restarted child inherits its queue, and runs until a signal."""
    os.umask(0o077)
    try:
        controls = listen(plan.host, plan.port, plan.controls, option="--port")
        workers = listen(plan.serve_host, plan.serve_port, plan.workers, option="--serve-port") if plan.workers else []
    except TilthError as error:
        say(f"error: {error}")
        return 1
    url = address(plan.host, controls[0].getsockname()[1], plan.scheme)
    supervisor = Supervisor(specs_of(plan, controls, workers), plan.home / LOGS_FOLDER, url)
    try:
        return supervisor.run()
    finally:
        if supervisor.announced:
            # Our control wrote where it answers, and from now on nothing answers there. A start that was refused leaves
            # the file alone: it may be that of the server that holds the home.
            (plan.home / SERVER_FILE).unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tilth up", description="Started by `tilth up`, after its checks.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--serve-host", default="127.0.0.1")
    parser.add_argument("--serve-port", type=int, required=True)
    parser.add_argument("--controls", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--memory-budget-mb", type=int, default=0)
    parser.add_argument("--scheme", default="http")
    parser.add_argument("--lock-fd", type=int, help="a lock on the home, held as long as this process lives")
    given = vars(parser.parse_args(arguments))
    lock = given.pop("lock_fd")
    if lock is not None:
        # No child may hold it, or the home would stay locked for as long as one of them takes to die.
        os.set_inheritable(lock, False)
    return supervise(Plan(**given))


if __name__ == "__main__":
    sys.exit(main())
