"""Large files sent in parts: an upload is opened, filled part by part in any order, and completed into one file.

A part that arrived stays until the upload is completed, given up, or left alone for a day: a broken connection, or a new process, goes on
with the parts that are missing.
"""

from __future__ import annotations

from msgspec import Struct

from tilth.wire.tracking import Request

MAX_PARTS = 10_000
DEFAULT_PART_BYTES = 64 << 20
LEAST_PART_BYTES = 1 << 20


class OpenUpload(Request):
    """size: bytes of the whole file; digest: its SHA-256, by which the same caller finds the upload again. None: known at the end."""

    size: int | None = None
    digest: str | None = None
    part_bytes: int | None = None


class CompleteUpload(Request):
    """parts: the numbers that make the file, in order; left out: all that are there. digest: what the whole must have."""

    parts: list[int] | None = None
    digest: str | None = None


class UploadPart(Struct):
    """number: from 1. size in bytes."""

    number: int
    size: int
    digest: str


class Upload(Struct):
    """part_bytes: what a client should cut the file into. complete: the file is whole and waits to be used, under `digest`."""

    id: str
    size: int | None
    digest: str | None
    part_bytes: int
    created: int
    complete: bool
    parts: list[UploadPart]
