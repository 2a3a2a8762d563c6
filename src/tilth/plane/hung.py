"""What other workers, and the next one, must know of a model that hung."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from tilth.wire.plane import HUNG_FOLDER


class HungMarks:
    """Which models hung on the event loop of some worker of this home, by manifest digest."""

    def __init__(self, home: Path) -> None:
        self._folder = home / HUNG_FOLDER

    def __contains__(self, digest: str) -> bool:
        return (self._folder / digest).exists()

    def known(self) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._folder))
        except FileNotFoundError:
            return frozenset()

    def add(self, digest: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / digest).touch()

    def prune(self, wanted: Collection[str]) -> None:
        with contextlib.suppress(FileNotFoundError):
            for place in self._folder.iterdir():
                if place.name not in wanted:
                    place.unlink(missing_ok=True)
