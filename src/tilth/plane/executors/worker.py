"""The process of one model: reads frames from the model server, predicts, answers. One request at a time.

Runs in the model's own environment, which has NumPy, msgspec, PyYAML and what the model needs, and nothing else of the model server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.core.errors import Invalid
from tilth.flavours.port import ArrayPredictor, Predictor
from tilth.flavours.saving import load_predictor
from tilth.plane.executors.frames import Frame, pieces, receive, send_pieces
from tilth.plane.parent import die_with_parent
from tilth.plane.threads import hold_to
from tilth.wire.models import DOCUMENT_NAME, ModelDocument

ROWS = "rows"
"""Name of the one array of a model that takes a table of numbers, and of its answer."""
_HEADROOM_MB = 2048
"""Address space of data beyond memory_mb at which an allocation fails at once, before the watching server can have seen it."""


def main() -> None:
    die_with_parent(signal.SIGKILL)
    parser = argparse.ArgumentParser(prog="python -m tilth.plane.executors.worker", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="socket to the model server")
    with socket.socket(fileno=parser.parse_args().fd) as channel:
        # No core files of a model's memory, and the first to go where the machine itself runs out.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        channel.set_inheritable(False)
        with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
            _serve(channel)
    # The model's own threads and exit handlers have no say.
    sys.stderr.flush()
    os._exit(0)


def _serve(channel: socket.socket) -> None:
    predictor: Predictor | ArrayPredictor | None = None
    while True:
        frame = receive(channel)
        try:
            if frame.kind == "load":
                predictor = _loaded(frame.detail)
                answer = pieces(Frame("loaded", detail={"engine": predictor.engine}))
            else:
                assert predictor is not None
                answer = pieces(Frame("outputs", arrays=_predicted(predictor, frame.arrays)))
        except Invalid as error:
            answer = pieces(Frame("refused", text=str(error)[:900]))
        except Exception as error:  # noqa: BLE001 the model is the user's code: it may raise anything
            traceback.print_exc()
            answer = pieces(Frame("failed", text=f"{type(error).__name__}: {str(error)[:900]}"))
        send_pieces(channel, answer)


def _loaded(detail: dict[str, Any]) -> Predictor | ArrayPredictor:
    folder = Path(detail["folder"])
    if memory_mb := int(detail["memory_mb"]):
        limit = (memory_mb + _HEADROOM_MB) << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    document = msgspec.json.decode((folder / DOCUMENT_NAME).read_bytes(), type=ModelDocument)
    predictor = load_predictor(folder, document)
    hold_to(int(detail["threads"]))
    return predictor


def _predicted(predictor: Predictor | ArrayPredictor, arrays: Any) -> Any:
    if isinstance(predictor, ArrayPredictor):
        return predictor.predict_arrays(arrays)
    return {ROWS: predictor.predict(arrays[ROWS])}


if __name__ == "__main__":
    main()
