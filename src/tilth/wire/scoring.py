"""Rows scored from files: the manifest beside the output, and what the run that scored them tells on its page.

The manifest is written when scoring begins and again as chunks are finished, each time whole and by one atomic step. The output is
complete when its manifest says so, and not before.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCORING_TAG = "tilth.scoring"
"""Of a run: a `ScoringRecord` as JSON."""
SCORED_VERSION_TAG = "tilth.scored_version"
"""Of a run: the model version, `flight-delay/3`."""
MAX_LISTED_FILES = 20

FileFormat = Literal["parquet", "csv", "jsonl"]
OnBadRow = Literal["fail", "skip", "null"]


class InputFile(msgspec.Struct, frozen=True):
    """name: relative to the place it was read from. stamp: what changes when the file does (moment of change, or the store's tag).

    digest: SHA-256 of a local file once it was read, else empty.
    """

    name: str
    size: int
    stamp: str
    digest: str = ""


class ScoredPart(msgspec.Struct, frozen=True):
    """What one chunk became. chunk: its number in the input's order. rows: written to `name`. refused: rows that could not be scored.

    name is empty where nothing was written; refused_name likewise.
    """

    chunk: int
    rows: int
    refused: int
    name: str = ""
    size: int = 0
    digest: str = ""
    refused_name: str = ""


class ScoringManifest(msgspec.Struct, frozen=True):
    """identity: digest of all that decides the output; only a call with the same one may go on with it.

    parts: of finished chunks. digest: of the whole output, once it is complete: of the file, or over the list of parts.
    """

    identity: str
    state: Literal["running", "complete"]
    model: str
    version: str
    seal: str
    run_id: str
    source: str
    inputs: tuple[InputFile, ...]
    output_format: FileFormat
    on_bad_row: OnBadRow
    started: int
    parts: tuple[ScoredPart, ...] = ()
    ended: int | None = None
    digest: str = ""
    size: int = 0
    format: int = 1


class ScoringRecord(msgspec.Struct, frozen=True):
    """What a run shows. inputs: at most MAX_LISTED_FILES of `input_files`. seconds: of all calls that worked at it."""

    model: str
    version: str
    source: str
    output: str
    manifest: str
    input_files: int
    inputs: tuple[InputFile, ...]
    rows: int
    refused: int
    parts: int
    size: int
    digest: str
    seconds: float
    on: str
    processes: int
    engine: str
