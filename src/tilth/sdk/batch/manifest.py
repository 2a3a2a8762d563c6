"""The manifest beside the output: what is finished, so that a killed job goes on, and whether all of it is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from tilth.core.clock import monotonic, now
from tilth.core.hashing import canonical_json, content_address
from tilth.sdk.batch.errors import OutputTaken
from tilth.sdk.batch.places import LocalPlace, Place, digest_of
from tilth.wire.scoring import OnBadRow, ScoredPart, ScoringManifest

WRITE_EVERY_S = 1.0
"""A kill loses what was finished since: those chunks are scored again, into the same parts."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where a job writes. name: of the one file that it becomes, empty where the parts in `place` are the output themselves.

    parts: the place of the parts. manifest: its name in `place`.
    """

    address: str
    place: Place
    name: str
    parts: Place
    parts_address: str

    @property
    def manifest(self) -> str:
        return f"{self.name}.manifest.json" if self.name else "_manifest.json"

    @property
    def refused(self) -> str:
        """The file of refused rows, where the output is one file."""
        return f"{self.name}.refused.jsonl"

    @property
    def shown(self) -> str:
        return f"{self.place.shown}/{self.name}" if self.name else self.place.shown


class Ledger:
    """Written at most once a second while it grows, and at its end."""

    def __init__(self, output: Output, manifest: ScoringManifest) -> None:
        self._output = output
        self._manifest = manifest
        self._parts = {part.chunk: part for part in manifest.parts}
        self._written = 0.0
        self.write()

    @property
    def done(self) -> dict[int, ScoredPart]:
        return self._parts

    def add(self, part: ScoredPart) -> None:
        self._parts[part.chunk] = part
        if monotonic() - self._written > WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        self._manifest = msgspec.structs.replace(self._manifest, parts=self.ordered())
        self._output.place.write(self._output.manifest, msgspec.json.format(msgspec.json.encode(self._manifest), indent=1))
        self._written = monotonic()

    def complete(self, *, digest: str, size: int, manifest: ScoringManifest) -> ScoringManifest:
        """manifest: carries what became known only now (digests of the inputs)."""
        self._manifest = msgspec.structs.replace(manifest, state="complete", ended=now(), digest=digest, size=size)
        self.write()
        return self._manifest

    def ordered(self) -> tuple[ScoredPart, ...]:
        return tuple(self._parts[number] for number in sorted(self._parts))


def read_manifest(output: Output) -> ScoringManifest | None:
    """Raises OutputTaken where another file has the name of the manifest."""
    if output.place.find(output.manifest) is None:
        return None
    data = b"".join(output.place.pieces(output.manifest))
    try:
        return msgspec.json.decode(data, type=ScoringManifest)
    except msgspec.DecodeError as error:
        raise OutputTaken(
            f"{output.place.shown}/{output.manifest} is no manifest of Tilth ({error}); choose another --out, or take it away"
        ) from error


def standing(output: Output, identity: str, on_bad_row: OnBadRow, *, resume: bool | None) -> ScoringManifest | None:
    """What an earlier call left that this one goes on with; None begins anew, after what that one wrote is taken away.

    resume: True goes on and must find something to go on with, False begins anew, None goes on if there is something that fits.
    Raises OutputTaken.
    """
    found = read_manifest(output)
    if found is None:
        if resume:
            raise OutputTaken(f"there is nothing to go on with at {output.shown}: no manifest stands there")
        _check_free(output)
        return None
    if resume is False:
        _clear(output, found)
        return None
    if found.state == "complete":
        raise OutputTaken(f"{output.shown} is complete ({found.version}, {rows_of(found):,} rows); --fresh scores it anew")
    # What was finished under `fail` held no bad row, so any policy may go on with it.
    if found.identity != identity or found.on_bad_row not in ("fail", on_bad_row):
        raise OutputTaken(
            f"{output.shown} holds part of another job: {found.version} over {found.source}, or with other options or changed files. "
            "Call it as it was begun to go on, or --fresh to begin anew"
        )
    return found


def rows_of(manifest: ScoringManifest) -> int:
    return sum(part.rows for part in manifest.parts)


def sealed(parts: Sequence[ScoredPart]) -> str:
    """The digest of an output of several parts: over their list."""
    return content_address(canonical_json([[part.name, part.digest, part.size] for part in parts if part.name]))


def is_whole(place: Place, part: ScoredPart) -> bool:
    """Whether a finished part is still there, byte for byte."""
    if not part.name:
        return True
    found = place.find(part.name)
    return found is not None and found.size == part.size and digest_of(place, part.name) == part.digest


def _check_free(output: Output) -> None:
    if output.name and output.place.find(output.name) is not None:
        raise OutputTaken(f"{output.shown} exists and was not scored by Tilth; choose another --out, or take it away first")
    if not output.name and any(not file.name.startswith(".") for file in output.place.files()):
        raise OutputTaken(f"{output.shown} is not empty and holds no scoring of Tilth; choose an empty --out")


def _clear(output: Output, found: ScoringManifest) -> None:
    """The manifest goes first: what is left after a kill is then no output."""
    output.place.remove(output.manifest)
    for name in (output.name, output.refused) if output.name else ():
        output.place.remove(name)
    for part in found.parts:
        for name in (part.name, part.refused_name):
            if name:
                output.parts.remove(name)
    clear_parts(output)


def clear_parts(output: Output) -> None:
    """Parts that no manifest knows, since their process was killed before it could be written."""
    clear_unfinished(output)
    for file in output.parts.files():
        folder, _, name = file.name.rpartition("/")
        if folder in ("", "_refused") and name.startswith("part-"):
            output.parts.remove(file.name)
    if output.name and isinstance(output.parts, LocalPlace):
        with suppress(OSError):
            output.parts.folder.rmdir()


def clear_unfinished(output: Output) -> None:
    """What killed processes were writing. An object store shows nothing unfinished."""
    if isinstance(output.parts, LocalPlace):
        for file in output.parts.files():
            name = file.name.rpartition("/")[2]
            if name.startswith(".") and name.endswith(".tmp"):
                output.parts.remove(file.name)


def taken(output: Output) -> IO[bytes] | None:
    """Keeps other processes of this machine from writing there while it is open; None in an object store, which knows no locks.

    Raises OutputTaken.
    """
    if not isinstance(output.place, LocalPlace):
        return None
    folder: Path = output.place.folder
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / f".{output.manifest}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise OutputTaken(f"another process scores into {output.shown} just now; wait for it, or choose another --out") from error
    return lock


def let_go(output: Output, lock: IO[bytes] | None) -> None:
    if lock is not None:
        os.unlink(lock.name)
        lock.close()
