"""What the program prints while a run is open, kept as a log of the run. The terminal gets it as before."""

from __future__ import annotations

import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from tilth.core.clock import monotonic

if TYPE_CHECKING:
    from tilth.sdk.active import Run

MAX_BYTES = 20_000_000
FIRST_AFTER_S = 10.0
MAX_PAUSE_S = 600.0
CUT = b"\n... more was printed: a run keeps the first 20 MB\n"


class Output:
    """Text printed since it was made, in a temporary file. `text` may be read while it grows."""

    def __init__(self) -> None:
        # Lives as long as the run.
        self._file = tempfile.TemporaryFile(prefix="tilth-output-")  # noqa: SIM115
        self._lock = threading.Lock()
        self.size = 0
        self._is_full = False
        _listen(self)

    def write(self, text: str) -> None:
        data = text.encode(errors="replace")
        with self._lock:
            if self._is_full or self._file.closed:
                return
            if self.size + len(data) > MAX_BYTES:
                data, self._is_full = CUT, True
            self._file.write(data)
            self.size += len(data)

    def content(self) -> bytes:
        with self._lock:
            if self._file.closed:
                return b""
            self._file.seek(0)
            data = self._file.read()
            return bytes(data)

    def close(self) -> None:
        _unlisten(self)
        with self._lock:
            self._file.close()


class _Tee:
    """A stream that hands on everything, and text also to those who listen."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> Any:
        for listener in tuple(_listeners):
            listener.write(text)
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)


_listeners: list[Output] = []
_lock = threading.Lock()


def _listen(output: Output) -> None:
    with _lock:
        _listeners.append(output)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _Tee):
                setattr(sys, name, _Tee(stream))


def _unlisten(output: Output) -> None:
    """The last one puts the streams back, unless somebody else has put others in their place meanwhile."""
    with _lock:
        if output in _listeners:
            _listeners.remove(output)
        if not _listeners:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if isinstance(stream, _Tee):
                    setattr(sys, name, stream._stream)


def keep_output(run: Run) -> None:
    """Stores what is printed as `logs/output.log` of the run (`logs/rank1.log` of another rank), also while it goes on."""
    output, name = Output(), f"logs/{'output' if run.rank.is_first else f'rank{run.rank.rank}'}.log"
    state = {"size": 0, "next": monotonic() + FIRST_AFTER_S, "pause": FIRST_AFTER_S}

    def look() -> None:
        """From the sampling thread; ever more seldom, since the whole text is stored each time."""
        if output.size == state["size"] or monotonic() < state["next"] or not run.sends_at_once:
            return
        state["size"], state["pause"] = output.size, min(MAX_PAUSE_S, state["pause"] * 2)
        state["next"] = monotonic() + state["pause"]
        run.later(name, output.content)

    def last(ended: Run) -> None:
        content, state["size"] = output.content(), output.size
        output.close()
        if content:
            ended.later(name, lambda: content)

    run.on_sample(look)
    run.at_end(last)
