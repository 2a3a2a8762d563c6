"""The processes that read bodies, as the model server sees them: started when one is needed, asked, ended when they fail."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from tilth.core import clock
from tilth.core.errors import Invalid, TooLarge, Unavailable
from tilth.plane.executors.frames import Frame, FrameDamaged, receive, send
from tilth.plane.forms import InvalidBody
from tilth.plane.inputs import Inputs
from tilth.plane.protocols.port import Codec, Content, Wish
from tilth.wire.signature import Signature

MODULE = "tilth.plane.bodies.process"
MOST_PROCESSES = 2
"""Of one model server. More bodies wait."""
IDLE_S = 60.0
"""Then a process ends by itself."""
START_TIMEOUT_S = 30.0
TIMEOUT_S = 30.0
"""For a body of a few bytes; each megabyte adds a second."""
MEMORY_BYTES = 512 << 20
"""Of a process: this, and TIMES_BODY times the body. Python's objects of numbers are that much larger than their text."""
TIMES_BODY = 40
MOST_ARRAY_BYTES = 64 << 20
"""Of what a body becomes: this, and ARRAYS_TIMES_BODY times the body. A number of a few bytes of text has 8."""
ARRAYS_TIMES_BODY = 8
ROWS = "rows"
"""Name of the array, where a model takes one table of numbers."""


class BodyUnreadable(TooLarge):
    """What a body becomes, or the memory or time that reading it takes, is above its bound."""


class ReaderFailed(Unavailable):
    """No process can be started to read a body."""


class Reading(NamedTuple):
    """inputs: encoded by the signature. wish, id: see protocols.port.Asked."""

    inputs: Inputs
    wish: Wish
    id: str


class BodyReader:
    """May be asked by MOST_PROCESSES threads at once. A process ends with the thread that was the first to need it."""

    def __init__(self) -> None:
        # msgspec looks at a Struct when it first converts to it, and two threads that do so at once can end the process.
        msgspec.convert({}, Wish)
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        weakref.finalize(self, _end_all, self._all)

    def read(self, codec: Codec, body: bytes, content: Content, signature: Signature) -> Reading:
        """Raises what the codec and the encoder raise, BodyUnreadable and ReaderFailed. Blocking."""
        process = self._take()
        memory = MEMORY_BYTES + TIMES_BODY * len(body)
        asked = Frame(
            "read",
            detail={"protocol": codec.name, "content": msgspec.to_builtins(content), "memory_bytes": memory},
            arrays={
                "body": np.frombuffer(body, np.uint8),
                "signature": np.frombuffer(msgspec.msgpack.encode(signature), np.uint8),
            },
        )
        timeout_s = TIMEOUT_S + len(body) / 1e6
        most_bytes = MOST_ARRAY_BYTES + ARRAYS_TIMES_BODY * len(body)
        answer = process.ask(asked, timeout_s, most_bytes)
        if answer is None or answer.detail.get("last"):
            self._all.discard(process)
            process.end()
        else:
            self._idle.append(process)
        if answer is None:
            raise BodyUnreadable(
                f"the body becomes more than {most_bytes >> 20} MB, or reading it takes more than {memory >> 20} MB or {timeout_s:.0f} s; "
                "send the rows in several requests"
            )
        if answer.kind == "refused":
            raise _kind_called(str(answer.detail.get("kind")))(answer.text)
        arrays = dict(answer.arrays)
        wish = msgspec.convert(answer.detail["wish"], Wish)
        return Reading(arrays if signature.named else arrays[ROWS], wish, answer.detail["id"])

    def _take(self) -> _Process:
        with contextlib.suppress(IndexError):
            while True:
                # The one used last: the others may end.
                process = self._idle.pop()
                if process.lives_on:
                    return process
                self._all.discard(process)
                process.end()
        process = _Process()
        self._all.add(process)
        return process


class _Process:
    """Raises ReaderFailed where it cannot be started."""

    def __init__(self) -> None:
        self._used = clock.monotonic()
        self._channel, theirs = socket.socketpair()
        # It imports from where we do, whatever made our path.
        start = f"import sys; sys.path[:] = {[*filter(None, sys.path)]!r}; from {MODULE} import main; main()"
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", start, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if name in os.environ},
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                )
            except OSError as error:
                self._channel.close()
                raise ReaderFailed(f"no process can be started to read the body: {error.strerror}; ask again") from error
        self._channel.settimeout(START_TIMEOUT_S)
        try:
            receive(self._channel)
        except (OSError, EOFError, FrameDamaged) as error:
            self.end()
            raise ReaderFailed("no process came up to read the body; ask again, or see the log of the model server") from error
        self._channel.settimeout(None)

    @property
    def lives_on(self) -> bool:
        """Whether it waits for long enough still to be asked."""
        return self._process.poll() is None and clock.monotonic() - self._used < IDLE_S / 2

    def ask(self, frame: Frame, timeout_s: float, most_bytes: int) -> Frame | None:
        """None where the process ended, or took too long and was ended. most_bytes: of the answer."""
        timer = threading.Timer(timeout_s, self._process.kill)
        timer.start()
        try:
            send(self._channel, frame)
            return receive(self._channel, most_bytes)
        except (OSError, EOFError, FrameDamaged):
            return None
        finally:
            timer.cancel()
            self._used = clock.monotonic()

    def end(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


def _end_all(processes: set[_Process]) -> None:
    for process in processes:
        process.end()


def _kind_called(name: str) -> type[Invalid]:
    return next((kind for kind in _kinds(Invalid) if kind.__name__ == name), InvalidBody)


def _kinds(base: type[Invalid]) -> Iterator[type[Invalid]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)
