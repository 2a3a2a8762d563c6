"""One model in a process of its own, as the model server sees it: started, asked, watched, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tilth.core import clock
from tilth.core.errors import Invalid, TilthError, Unavailable
from tilth.plane.answers import DeadlineExceeded
from tilth.plane.executors.frames import Frame, FrameDamaged, receive, send

MODULE = "tilth.plane.executors.worker"
LOAD_TIMEOUT_S = 180.0
MOST_ANSWER_BYTES = 1 << 30
"""Of one batch."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOME", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
"""What a model's process sees of our environment: nothing that opens anything."""

Verdict = Literal["", "hung", "memory", "closed"]


class ModelHung(DeadlineExceeded):
    """The model took longer than the deployment's `predict_timeout_s`; its process was ended."""


class ModelProcessDied(Unavailable):
    """The process of a model ended while it predicted; another one is started."""


class ModelProcessFailed(TilthError):
    """The process of a model cannot be started, or the model cannot be loaded in it."""


class RequestRefused(Invalid):
    """A model in its process refused what it was given: it is the caller's mistake."""


class ModelRaised(Exception):
    """The model raised in its process. `str` is the type and message of what it raised."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the process of one version. python: the interpreter; code: a folder on its path that holds `tilth` and nothing else.

    memory_mb: 0 for no bound; threads: of numeric libraries.
    """

    name: str
    folder: Path
    python: str
    code: Path
    threads: int
    memory_mb: int
    predict_timeout_s: float

    @property
    def arguments(self) -> Sequence[str]:
        # Not -m: the packages that stand beside `tilth` here must not come along into another environment.
        start = f"import sys; sys.path.insert(0, {str(self.code)!r}); from {MODULE} import main; main()"
        return (self.python, "-P", "-c", start)

    def environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        threads = {f"{library}_NUM_THREADS": str(self.threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
        return {**kept, **threads, "PYTHONUNBUFFERED": "1"}


def resident_bytes(process: str) -> int:
    """Memory of a process (its number, or `self`); 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


class ModelProcess:
    """`ask` belongs to one thread at a time; `watch` and `kill` may come from another.

    The constructor only starts the process: it must run in a thread that lives as long as the process shall.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.engine = ""
        self.started = clock.monotonic()
        self.idle_since = self.started
        self.reason = ""
        self._verdict: Verdict = ""
        self._deadline: float | None = self.started + LOAD_TIMEOUT_S
        self._guard = threading.Lock()
        self._channel, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*launch.arguments, "--fd", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=dict(launch.environment()),
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                self._channel.close()
                raise ModelProcessFailed(f"{launch.python} cannot be started: {error.strerror}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def load(self) -> None:
        """Raises ModelProcessFailed with what loading raised."""
        detail = {"folder": str(self.launch.folder), "memory_mb": self.launch.memory_mb, "threads": self.launch.threads}
        try:
            answer = self._exchange(Frame("load", detail=detail), LOAD_TIMEOUT_S)
        except ModelRaised as error:
            raise ModelProcessFailed(f"cannot be loaded in its process: {error}") from None
        except TilthError as error:
            raise ModelProcessFailed(f"cannot be loaded in its process: {error}") from error
        self.engine = str(answer.detail.get("engine", ""))[:200]
        self.idle_since = clock.monotonic()

    def predict(self, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises ModelRaised, RequestRefused, ModelHung and ModelProcessDied; after the last two the process is gone."""
        answer = self._exchange(Frame("predict", arrays=arrays), self.launch.predict_timeout_s)
        self.idle_since = clock.monotonic()
        return answer.arrays

    def watch(self, now: float) -> None:
        """Ends the process where it hangs or holds too much memory. now: monotonic seconds."""
        deadline = self._deadline
        if deadline is not None and now > deadline:
            self._condemn("hung", f"gave no answer within {self._patience():g} s")
        limit = self.launch.memory_mb << 20
        if limit and (held := self.memory_bytes()) > limit:
            self._condemn("memory", f"held {held >> 20} MB, above its memory_mb of {self.launch.memory_mb}")

    def memory_bytes(self) -> int:
        return resident_bytes(str(self.pid))

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        """Ends the process and whatever it started."""
        self._condemn("closed", "was closed")
        self._process.wait()
        self._channel.close()

    def how_it_ended(self) -> str:
        """Waits for the end of the process."""
        if self.reason:
            return self.reason
        self._kill()
        code = self._process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def _patience(self) -> float:
        return LOAD_TIMEOUT_S if not self.engine else self.launch.predict_timeout_s

    def _exchange(self, frame: Frame, timeout_s: float) -> Frame:
        self._deadline = clock.monotonic() + timeout_s
        try:
            send(self._channel, frame)
            answer = receive(self._channel, MOST_ANSWER_BYTES)
        except (OSError, EOFError, FrameDamaged) as error:
            raise self._end(error) from error
        finally:
            self._deadline = None
        if answer.kind == "refused":
            raise RequestRefused(answer.text[:1000])
        if answer.kind == "failed":
            raise ModelRaised(answer.text[:1000])
        return answer

    def _end(self, error: Exception) -> TilthError:
        if isinstance(error, FrameDamaged):
            self.reason = f"broke the protocol: {error}"
        how = self.how_it_ended()
        if self._verdict == "hung":
            return ModelHung(f"version {self.launch.name} {how}; its process was ended and another is started")
        return ModelProcessDied(f"the process of version {self.launch.name} {how}; another is started")

    def _condemn(self, verdict: Verdict, reason: str) -> None:
        with self._guard:
            if not self._verdict:
                self._verdict, self.reason = verdict, reason
        self._kill()

    def _kill(self) -> None:
        # The group, for what the model started; poll() first, since the number of a process that was waited for may be another's.
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()
