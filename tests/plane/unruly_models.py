"""Models that misbehave on request: what the value in the first column says happens."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilth.core.errors import Invalid
from tilth.core.hashing import Manifest
from tilth.flavours import save_model
from tilth.wire.plane import ModelFile, PlaneDeployment, PlaneRoute, PlaneRuntime, PlaneVersion

RAISE, HANG, EXIT, CRASH, LEAK, SLOW, PID, REFUSE, ODD = 1001.0, 1002.0, 1003.0, 1004.0, 1005.0, 1006.0, 1007.0, 1008.0, 1009.0
"""Rows whose first value is one of these make the model do so; others are answered with that value."""
LEAK_MB = 400
_kept: list[Any] = []


class Unruly:
    """`pause_s`: what each call takes besides; `offset`: added to answers; `at_zero`: one of the above, done when the value is 0, which
    is what model servers warm up with; `held_mb`: memory that it takes once it is read back."""

    def __init__(self, pause_s: float = 0.0, offset: float = 0.0, at_zero: float = 0.0, held_mb: int = 0) -> None:
        self.pause_s = pause_s
        self.offset = offset
        self.at_zero = at_zero
        self.held_mb = held_mb

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.held = np.ones(self.held_mb << 17)

    def predict(self, table: np.ndarray) -> np.ndarray:
        asked = {value or self.at_zero for value in table[:, 0].tolist()}
        if self.pause_s:
            time.sleep(self.pause_s)
        if RAISE in asked:
            raise ValueError("unlucky")
        if REFUSE in asked:
            raise Invalid("no such rows")
        if HANG in asked:
            time.sleep(3600)
        if EXIT in asked:
            os._exit(7)
        if CRASH in asked:
            ctypes.string_at(0)
        if LEAK in asked:
            _kept.append(np.ones(LEAK_MB << 17))
            time.sleep(3600)
        if SLOW in asked:
            time.sleep(0.5)
        if PID in asked:
            return np.full(len(table), float(os.getpid()))
        if ODD in asked:
            return np.array([object()] * len(table), dtype=object)
        return table[:, 0] + self.offset


def save(model: Unruly, folder: Path) -> None:
    save_model(model, folder, example=pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 0.0]}))


class Named:
    """A model's folder as `PlaneHome.cache` takes it, under a name of its own."""

    def __init__(self, folder: Path, name: str, model: Unruly) -> None:
        save(model, folder)
        self.folder = folder
        self.manifest = Manifest.of_folder(folder)
        self.name = name

    def version(self, number: int = 1) -> PlaneVersion:
        files = tuple(ModelFile(entry.path, entry.digest, entry.size) for entry in self.manifest.files)
        return PlaneVersion(self.name, number, f"m-{self.name}", self.manifest.digest, files)

    def deployed(self, name: str, generation: int = 1, **runtime: Any) -> PlaneDeployment:
        version = self.version()
        routes = (PlaneRoute(version.key, 10_000),)
        return PlaneDeployment(f"d-{name}", "p1", "demo", name, generation, (version,), routes, runtime=PlaneRuntime(**runtime))
