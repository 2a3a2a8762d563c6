"""A process that reads bodies: one frame with a body and a signature in, one with arrays or a refusal out, one at a time."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.core.errors import Invalid
from tilth.plane.arrays import AnyEncoder, encoder_of
from tilth.plane.bodies.reader import IDLE_S, ROWS, BodyUnreadable
from tilth.plane.executors.frames import Frame, receive, send
from tilth.plane.parent import die_with_parent
from tilth.plane.protocols import CODECS, Content
from tilth.wire.signature import Signature

KEPT_BYTES = 512 << 20
"""Memory above which a process has done its work: what Python frees does not always go back to the system."""
_PAGE_BYTES = resource.getpagesize()


def main() -> None:
    die_with_parent(signal.SIGKILL)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        # No core files of what somebody sent, and the first to go where the machine itself runs out.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        channel.set_inheritable(False)
        channel.settimeout(IDLE_S)
        send(channel, Frame("loaded"))
        # Libraries that run out of memory say so there; the caller is told by the model server.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        with contextlib.suppress(EOFError, OSError):
            while _answer(channel):
                pass
    os._exit(0)


def _answer(channel: socket.socket) -> bool:
    """One body. Returns whether to go on."""
    answer = _read(receive(channel))
    last = _data_bytes() > KEPT_BYTES
    send(channel, msgspec.structs.replace(answer, detail=answer.detail | {"last": last}))
    return not last


def _read(frame: Frame) -> Frame:
    """What else is raised (a library that panics over somebody's bytes) ends the process, which the model server tells the caller."""
    detail = frame.detail
    _bound_memory(detail["memory_bytes"])
    try:
        signature, encoder = _known(frame.arrays["signature"].tobytes())
        content = msgspec.convert(detail["content"], Content)
        asked = CODECS[detail["protocol"]].read(frame.arrays["body"].tobytes(), content, signature)
        inputs = encoder.encode(asked.given)
    except Invalid as error:
        return _refused(error)
    except MemoryError:
        told = f"what the body becomes is above {detail['memory_bytes'] >> 20} MB; send the rows in several requests"
        return _refused(BodyUnreadable(told))
    arrays = {ROWS: inputs} if isinstance(inputs, np.ndarray) else inputs
    return Frame("outputs", detail={"id": asked.id, "wish": msgspec.to_builtins(asked.wish)}, arrays=arrays)


def _refused(error: Invalid) -> Frame:
    return Frame("refused", str(error), {"kind": type(error).__name__})


@lru_cache(maxsize=32)
def _known(signature: bytes) -> tuple[Signature, AnyEncoder]:
    decoded = msgspec.msgpack.decode(signature, type=Signature)
    return decoded, encoder_of(decoded)


def _bound_memory(limit: int) -> None:
    """limit: bytes that this process may hold beyond what it holds empty. Of data only: libraries reserve more than they touch."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _data_bytes() -> int:
    """0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
