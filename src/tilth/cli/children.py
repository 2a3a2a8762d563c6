"""One child process of the supervisor: started so that it cannot outlive its parent, its output kept, its life counted."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tilth.cli.ports import listen_again, stop_listening
from tilth.core import clock

PR_SET_PDEATHSIG = 1
LOG_BYTES = 10 * 1024 * 1024
"""A log is moved to `<name>.log.1` at this size; one old one is kept."""
TAIL_BYTES = 4096
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_S = 30.0
HOPELESS_STARTS = 2
LONGEST_QUEUE_S = 20.0
"""How long clients may wait in the queue of a child that does not take them: through one restart, not through many."""

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Spec:
    """What to start. arguments: without `--ready-fd N`, which is added at each start. listener: where the child takes its clients from.

    environment: added to the supervisor's own; a variable set to None is taken away.
    """

    name: str
    arguments: Sequence[str]
    listener: socket.socket | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)


def restart_delay_s(failures: int) -> float:
    """Seconds to wait before start number `failures` + 1, failures >= 1: 0.2 doubling to 10."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))


class Log:
    """A log file that grows to LOG_BYTES and starts again. A full disk loses lines, never the process."""

    def __init__(self, path: Path, limit_bytes: int = LOG_BYTES) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self._descriptor = -1
        self._size = 0

    def write(self, data: bytes) -> None:
        try:
            if self._descriptor < 0:
                self._open()
            elif self._size + len(data) > self.limit_bytes:
                self.close()
                os.replace(self.path, self.path.with_name(self.path.name + ".1"))
                self._open()
            self._size += os.write(self._descriptor, data)
        except OSError:
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size


class Child:
    """A process that is started, watched and started again. `ready` is set by the byte it writes once it answers."""

    def __init__(self, spec: Spec, log: Log, longest_queue_s: float = LONGEST_QUEUE_S) -> None:
        self.spec = spec
        self.log = log
        self.longest_queue_s = longest_queue_s
        self.pid = 0
        self.ready = False
        self.was_ready = False
        self.failures = 0
        self.failed_starts = 0
        self.starts = 0
        self.started_s = 0.0
        self.last_ready_s = clock.monotonic()
        self.turned_away = False
        self.due_s = 0.0
        self.output = -1
        self.ready_pipe = -1
        self.tail = b""

    def start(self) -> None:
        """Forks and executes. Raises OSError where no process can be made."""
        output, child_output = os.pipe()
        ready, child_ready = os.pipe()
        os.set_blocking(output, False)
        parent = os.getpid()
        # Until the child has taken off the supervisor's signal handlers, a signal would make the copy act as the supervisor.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            pid = os.fork()
            if pid == 0:
                _become(self.spec, child_output, child_ready, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        os.close(child_output)
        os.close(child_ready)
        self.pid, self.output, self.ready_pipe = pid, output, ready
        self.ready, self.tail = False, b""
        self.starts += 1
        self.started_s = clock.monotonic()

    def read_output(self) -> bool:
        """Moves what the child said to its log. False at the end of its output."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return True
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        if data:
            self.log.write(data)
        return bool(data)

    def read_ready(self) -> None:
        """After the byte, or the end of the pipe without it, nothing more is read from it."""
        self.ready = os.read(self.ready_pipe, 1) == b"1"
        self.was_ready = self.was_ready or self.ready
        if self.ready and self.turned_away and self.spec.listener is not None:
            self.turned_away = False
            # It listens by itself, and we may have ended that in the same moment.
            listen_again(self.spec.listener)
        os.close(self.ready_pipe)
        self.ready_pipe = -1

    def ended(self) -> None:
        """Counts the failure and sets when to start again: later each time, unless it ran well for 30 s."""
        now = clock.monotonic()
        if self.ready:
            self.last_ready_s, self.failed_starts = now, 0
        else:
            self.failed_starts += 1
        # It may have begun to listen before it ended.
        self.pid, self.ready, self.turned_away = 0, False, False
        if now - self.started_s >= HEALTHY_S:
            self.failures = 0
        self.failures += 1
        self.due_s = now + restart_delay_s(self.failures)

    @property
    def hopeless_s(self) -> float:
        """From which moment (monotonic) nobody shall wait for it any longer; infinity while it answers, or nobody waits."""
        if self.ready or self.turned_away or self.spec.listener is None:
            return float("inf")
        return 0.0 if self.failed_starts >= HOPELESS_STARTS else self.last_ready_s + self.longest_queue_s

    def turn_clients_away(self) -> None:
        """Until it is ready: the kernel would go on to deal it its part of all clients, who would wait for nothing."""
        if self.spec.listener is not None:
            self.turned_away = True
            stop_listening(self.spec.listener)

    def signal(self, number: int) -> None:
        """To the child and what it started: it leads a process group of its own."""
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, number)
                return
            except (ProcessLookupError, PermissionError):
                continue

    def kill_group(self) -> None:
        """Ends what a child that has ended left behind. Its own number may be another's by now, its group's not."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def last_line(self) -> str:
        lines = [line for line in self.tail.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""


def _environment(spec: Spec) -> dict[str, str]:
    merged = {**os.environ, **spec.environment}
    return {name: value for name, value in merged.items() if value is not None}


def _become(spec: Spec, output: int, ready: int, parent: int) -> None:
    """Runs in the new process and never returns."""
    try:
        # A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops the children in order.
        os.setpgid(0, 0)
        # SIGKILL, since a child that hangs would ignore anything milder; what was acknowledged is on disk by then.
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (*_HANDLED, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for descriptor in (ready,) if spec.listener is None else (ready, spec.listener.fileno()):
            os.set_inheritable(descriptor, True)
        arguments = [*spec.arguments, "--ready-fd", str(ready)]
        os.execvpe(arguments[0], arguments, _environment(spec))
    except BaseException as error:  # noqa: BLE001 - a copy of the supervisor must not live on, whatever happened
        os.write(2, f"cannot start {spec.name}: {error}\n".encode())
        os._exit(127)
