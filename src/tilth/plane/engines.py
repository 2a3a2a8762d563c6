"""What runs a version: the model in this process, or in processes of its own. Blocking; runs in the loading threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tilth.flavours import load_predictor
from tilth.flavours.port import ArrayPredictor, Arrays, Outputs, Predictor, Rows
from tilth.plane.executors import ProcessPool
from tilth.plane.executors.environment import code_folder, interpreter
from tilth.plane.executors.process import Launch
from tilth.plane.executors.worker import ROWS
from tilth.plane.threads import hold_to
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PlaneRuntime


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model. pool: its processes, None where it runs in this one."""

    predictor: Predictor | ArrayPredictor
    pool: ProcessPool | None

    def close(self) -> None:
        if self.pool is not None:
            self.pool.close()


class RemotePredictor:
    """A model that takes a table of numbers, in a process of its own."""

    def __init__(self, pool: ProcessPool, engine: str) -> None:
        self.engine = engine
        self._pool = pool

    def predict(self, rows: Rows) -> Outputs:
        outputs: Outputs = self._pool.predict({ROWS: rows})[ROWS]
        return outputs


class RemoteArrayPredictor:
    """A model that takes arrays by name, in a process of its own."""

    def __init__(self, pool: ProcessPool, engine: str) -> None:
        self.engine = engine
        self._pool = pool

    def predict_arrays(self, arrays: Arrays) -> Arrays:
        return self._pool.predict(arrays)


def runs_apart(document: ModelDocument, runtime: PlaneRuntime) -> bool:
    return document.isolated or runtime.apart


def start_engine(key: str, folder: Path, document: ModelDocument, runtime: PlaneRuntime, home: Path) -> Engine:
    """Raises kinds of TilthError, and whatever loading the model raises."""
    if not runs_apart(document, runtime):
        predictor = load_predictor(folder, document)
        hold_to(int(os.environ.get("OMP_NUM_THREADS", "1")))
        return Engine(predictor, None)
    launch = Launch(
        name=key,
        folder=folder,
        python=interpreter(runtime, folder, home),
        code=code_folder(home),
        threads=runtime.threads,
        memory_mb=runtime.memory_mb,
        predict_timeout_s=runtime.predict_timeout_s,
    )
    pool = ProcessPool(launch, runtime.min_processes, runtime.most_processes)
    engine = pool.start()
    remote = RemoteArrayPredictor if document.signature.named else RemotePredictor
    return Engine(remote(pool, engine), pool)
