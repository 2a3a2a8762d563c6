"""The finished parts of an output that is one file become that file. Memory stays flat: parts pass through one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tilth.core.hashing import address_of_file
from tilth.core.ids import new_id
from tilth.sdk.batch.manifest import Output
from tilth.sdk.batch.places import LocalPlace
from tilth.wire.scoring import FileFormat, ScoredPart


def join(output: Output, parts: Sequence[ScoredPart], kind: FileFormat) -> tuple[str, int]:
    """Writes the file, and the refused rows beside it. Returns digest and size of the file."""
    # Beside its place it is renamed in one step; for an object store it is sent from here.
    beside = output.place.folder if isinstance(output.place, LocalPlace) else Path(tempfile.gettempdir())
    joined = beside / f".{output.name}.{new_id()}.tmp"
    names = [part.name for part in parts if part.name]
    try:
        if kind == "parquet":
            places = [output.parts.address(name) for name in names]
            pl.scan_parquet(places, storage_options=output.parts.options).sink_parquet(
                joined, compression="zstd", compression_level=1
            )
        else:
            _append(output, names, joined, skip_heads=kind == "csv")
        found = address_of_file(joined), joined.stat().st_size
        output.place.write_file(output.name, joined)
    finally:
        joined.unlink(missing_ok=True)
    refused = [part.refused_name for part in parts if part.refused_name]
    if refused:
        try:
            _append(output, refused, joined, skip_heads=False)
            output.place.write_file(output.refused, joined)
        finally:
            joined.unlink(missing_ok=True)
    return found


def _append(output: Output, names: Sequence[str], joined: Path, *, skip_heads: bool) -> None:
    with joined.open("wb") as into:
        for number, name in enumerate(names):
            pieces = output.parts.pieces(name)
            if skip_heads and number:
                into.write(next(pieces, b"").partition(b"\n")[2])
            for piece in pieces:
                into.write(piece)
