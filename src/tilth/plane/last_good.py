"""What served here, for a model server that is started again and finds that the newest generation does not load."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

import msgspec

from tilth.plane.whole_files import write_whole
from tilth.wire.plane import SERVED_FOLDER, PlaneDeployment

_deployments = msgspec.json.Decoder(PlaneDeployment)
"""Made by one thread, as in wire.models: those that load deployments must not do so side by side."""


class LastGood:
    """The generation of each deployment that some model server of this home served last, by the deployment's id. Blocking."""

    def __init__(self, home: Path) -> None:
        self._folder = home / SERVED_FOLDER

    def note(self, served: PlaneDeployment) -> None:
        """Raises OSError."""
        write_whole(self._place(served.id), msgspec.json.encode(served))

    def before(self, wanted: PlaneDeployment) -> PlaneDeployment | None:
        """The one that served before this generation; None where none is known."""
        try:
            known = _deployments.decode(self._place(wanted.id).read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return known if known.id == wanted.id and known.generation < wanted.generation else None

    def prune(self, wanted: Collection[str]) -> None:
        """wanted: ids of deployments."""
        with contextlib.suppress(FileNotFoundError):
            for place in self._folder.iterdir():
                if place.stem not in wanted:
                    place.unlink(missing_ok=True)

    def _place(self, id_: str) -> Path:
        return self._folder / f"{id_}.json"
