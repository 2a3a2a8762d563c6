"""Who scores: processes of this machine (here) or actors of a Ray cluster (`ray_crew`)."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from tilth.core.errors import KINDS, TilthError
from tilth.sdk.batch.channel import BAD_ROWS, receive, send
from tilth.sdk.batch.errors import BadRows, ScorerLost
from tilth.sdk.batch.work import Answer, Chunk, Ready, ScoringWork
from tilth.wire.scoring import ScoredPart

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS")
SECRETS = ("TILTH_TOKEN", "MLFLOW_TRACKING_TOKEN")
END_AFTER_S = 5.0


class Crew(Protocol):
    """Ends its work as a context manager. engine: who answers for the model."""

    engine: str

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def scored(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, ScoredPart]]:
        """In the order in which they are done; at most a few chunks are held. Raises what scoring raised, and ScorerLost."""
        ...


class ProcessCrew:
    """Processes of this machine, each with the model and with one thread."""

    def __init__(self, work: ScoringWork, processes: int) -> None:
        self._children = [_start() for _ in range(processes)]
        self.engine = ""
        try:
            for child in self._children:
                _tell(child, work)
            for child in self._children:
                assert child.stdout is not None
                ready = receive(child.stdout, Ready)  # type: ignore[arg-type]
                if ready is None:
                    raise _lost(child, "while it loaded the model")
                if ready.error:
                    raise error_of(ready.kind, ready.error)
                self.engine = ready.engine
        except BaseException:
            self._end(at_once=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(at_once=error is not None)

    def scored(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, ScoredPart]]:
        waiting, lock = iter(chunks), threading.Lock()
        done: queue.Queue[tuple[Chunk, ScoredPart] | BaseException | None] = queue.Queue()

        def drive(child: subprocess.Popen[bytes]) -> None:
            try:
                while True:
                    with lock:
                        chunk = next(waiting, None)
                    if chunk is None:
                        break
                    done.put((chunk, _asked(child, chunk)))
            except BaseException as error:  # noqa: BLE001 whoever waits for the answers raises it
                done.put(error)
            else:
                done.put(None)

        for child in self._children:
            threading.Thread(target=drive, args=(child,), name="tilth-score", daemon=True).start()
        going = len(self._children)
        while going:
            found = done.get()
            if found is None:
                going -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found

    def _end(self, *, at_once: bool) -> None:
        for child in self._children:
            if at_once:
                child.kill()
            elif child.stdin is not None:
                child.stdin.close()
        for child in self._children:
            try:
                child.wait(END_AFTER_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None and not stream.closed:
                    _close(stream)


def error_of(kind: str, message: str) -> TilthError:
    """kind: of tilth.core.errors, or the code of BadRows."""
    return BadRows(message) if kind == BAD_ROWS else KINDS.get(kind, TilthError)(message)


def _start() -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment.update(dict.fromkeys(THREADS, "1"))
    command = [sys.executable, "-m", "tilth.sdk.batch.worker"]
    # A session of its own: Ctrl-C is for the one who waits, who then ends them.
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True)


def _tell(child: subprocess.Popen[bytes], value: object) -> None:
    assert child.stdin is not None
    try:
        send(child.stdin, value)  # type: ignore[arg-type]
    except (BrokenPipeError, ValueError) as gone:
        raise _lost(child, "before it began") from gone


def _asked(child: subprocess.Popen[bytes], chunk: Chunk) -> ScoredPart:
    _tell(child, chunk)
    assert child.stdout is not None
    answer = receive(child.stdout, Answer)  # type: ignore[arg-type]
    if answer is None:
        raise _lost(child, f"while it scored {chunk.file} from {chunk.first} on")
    return part_of(answer)


def part_of(answer: Answer) -> ScoredPart:
    if answer.part is None:
        raise error_of(answer.kind, answer.error)
    return answer.part


def _lost(child: subprocess.Popen[bytes], when: str) -> ScorerLost:
    code = child.wait()
    by = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    hint = " (too little memory? try a smaller --batch-rows or fewer --processes)" if code == -signal.SIGKILL else ""
    return ScorerLost(f"a scoring process {by} {when}{hint}; what is finished is kept, call again to go on")


def _close(stream: Any) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return  # It was killed with a question under way.
