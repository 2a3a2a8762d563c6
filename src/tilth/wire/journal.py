"""What a run leaves on disk while its server is away: one JSON document a line, read again by `tilth sync`, maybe by a newer Tilth.

A writer's folder holds `entries.jsonl`, which begins with Began; `files/`, named by digest; and `position`, how far it was sent.
"""

from __future__ import annotations

from msgspec import Struct

from tilth.wire.tracking import LogBatch, RunCreate, RunUpdate

FORMAT = 1


class Began(Struct, tag="run", omit_defaults=True):
    """Who writes, and for which run.

    url and project: where the run was meant to go; empty where no server was known. create: makes the run where it does not stand yet.
    ends_run: this writer says how the run ends; without such a word it was lost.
    """

    writer: str
    run_id: str
    name: str
    url: str
    project: str
    host: str
    pid: int
    started: int
    create: RunCreate | None = None
    ends_run: bool = False
    format: int = FORMAT


class Logged(Struct, tag="log", omit_defaults=True):
    """A numbered batch. tried: it was sent before, and the answer is not known: it must go out again just as it was."""

    batch: LogBatch
    tried: bool = False


class Stored(Struct, tag="artifact", omit_defaults=True):
    """A file of the run. file: absolute path of one that was too large to copy; else it lies in `files/` under its digest."""

    path: str
    digest: str
    size: int
    content_type: str
    file: str = ""


class Changed(Struct, tag="update", omit_defaults=True):
    """Status, end, notes."""

    update: RunUpdate


Entry = Began | Logged | Stored | Changed


class Position(Struct, omit_defaults=True):
    """Bytes of `entries.jsonl`. sent: acknowledged; until: end of the group under way, which must be repeated as it was.

    apart: that group was refused as a whole, and its batches go out one by one. refused: entries that the server refused for good.
    """

    sent: int = 0
    until: int = 0
    apart: bool = False
    refused: list[str] = []
