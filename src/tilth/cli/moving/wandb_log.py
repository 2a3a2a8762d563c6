"""The log that W&B's client writes beside a run (`run-<id>.wandb`): records in frames of 32 KiB blocks, each a protobuf message.

Only the fields that an import needs are decoded, by number, so that neither `wandb` nor `protobuf` need be installed. Framing as in
LevelDB's log; the checksum is CRC-32 over the frame's type and data. A log that breaks off (a killed run) gives what is whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tilth.cli.moving.source import Unreadable

BLOCK = 32_768
HEAD = struct.Struct("<IHB")
FILE_HEAD = b":W&B\xe1\xbe\x00"
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
MAX_RECORD_BYTES = 256 << 20

HISTORY, SUMMARY, CONFIG, STATS, RUN, EXIT = 2, 3, 5, 7, 17, 18
"""Numbers of the kinds of record that are taken."""

Fields = dict[int, list[Any]]


@dataclass(slots=True)
class WandbLog:
    """history: one dict per step, with `_step`. stats: (moment in ms, values). exit_code: None for a run that never ended."""

    run_id: str = ""
    entity: str = ""
    project: str = ""
    name: str = ""
    notes: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    started: int | None = None
    commit: str = ""
    remote: str = ""
    exit_code: int | None = None
    runtime_s: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    stats: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    torn: bool = False


def read_log(path: Path) -> WandbLog:
    """Raises Unreadable for a file that is no such log."""
    log = WandbLog()
    with path.open("rb") as opened:
        if opened.read(len(FILE_HEAD)) != FILE_HEAD:
            raise Unreadable(f"{path} is not a log of W&B's client (its first bytes are others)")
        try:
            for record in _records(opened):
                _take(log, _fields(record))
        except _TornError:
            log.torn = True
    return log


class _TornError(Exception):
    """The log ends, or is damaged, inside a record."""


def _records(opened: Any) -> Iterator[bytes]:
    at = len(FILE_HEAD)
    parts: list[bytes] = []
    while True:
        left = BLOCK - at % BLOCK
        if left < HEAD.size:
            opened.read(left)
            at += left
        head = opened.read(HEAD.size)
        if not head:
            return
        if len(head) < HEAD.size:
            raise _TornError
        checksum, length, kind = HEAD.unpack(head)
        data = opened.read(length)
        at += HEAD.size + length
        if len(data) < length or zlib.crc32(data, zlib.crc32(bytes((kind,)))) != checksum:
            raise _TornError
        if kind in (FULL, FIRST):
            parts = []
        parts.append(data)
        if sum(map(len, parts)) > MAX_RECORD_BYTES:
            raise _TornError
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []


def _fields(data: bytes) -> Fields:
    """Field number -> its values: int for varints, bytes for texts and messages. Numbers of fixed width are bytes, too."""
    found: Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            value, at = data[at : at + width], at + width
        else:
            raise _TornError
        if at > len(data):
            raise _TornError
        found.setdefault(number, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _TornError
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _take(log: WandbLog, record: Fields) -> None:
    for data in record.get(HISTORY, ()):
        fields = _fields(data)
        row = _items(fields.get(1, []))
        if "_step" not in row:
            step = _fields(fields[2][0]) if 2 in fields else {}
            row["_step"] = step.get(1, [len(log.history)])[0]
        log.history.append(row)
    for data in record.get(SUMMARY, ()):
        log.summary |= _items(_fields(data).get(1, []))
    for data in record.get(CONFIG, ()):
        log.config |= _items(_fields(data).get(1, []))
    for data in record.get(STATS, ()):
        fields = _fields(data)
        log.stats.append((_moment(fields.get(2, [])) or 0, _items(fields.get(3, []))))
    for data in record.get(RUN, ()):
        _take_run(log, _fields(data))
    for data in record.get(EXIT, ()):
        fields = _fields(data)
        log.exit_code, log.runtime_s = int(fields.get(1, [0])[0]), int(fields.get(2, [0])[0])


def _take_run(log: WandbLog, run: Fields) -> None:
    names = {1: "run_id", 2: "entity", 3: "project", 6: "group", 7: "job_type", 8: "name", 9: "notes"}
    for number, name in names.items():
        if number in run:
            setattr(log, name, _text(run[number][-1]))
    log.tags = [_text(tag) for tag in run.get(10, [])] or log.tags
    log.started = _moment(run.get(17, [])) or log.started
    for data in run.get(4, ()):
        log.config |= _items(_fields(data).get(1, []))
    for data in run.get(21, ()):
        git = _fields(data)
        log.remote, log.commit = _text(git.get(1, [b""])[0]), _text(git.get(2, [b""])[0])


def _items(found: list[bytes]) -> dict[str, Any]:
    """Items of (key | nested_key*, value as JSON); nested keys are joined by dots."""
    items: dict[str, Any] = {}
    for data in found:
        fields = _fields(data)
        nested = [_text(part) for part in fields.get(2, [])]
        key = ".".join(nested) if nested else _text(fields.get(1, [b""])[0])
        if key and 16 in fields:
            items[key] = read_json(fields[16][0])
    return items


def read_json(data: bytes) -> Any:
    """JSON as W&B's client writes it: with NaN and Infinity, which strict JSON does not know. None for what does not read."""
    words = {b"NaN": float("nan"), b"Infinity": float("inf"), b"-Infinity": float("-inf")}
    if data.strip() in words:
        return words[data.strip()]
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _moment(found: list[bytes]) -> int | None:
    """A protobuf Timestamp in ms."""
    if not found:
        return None
    fields = _fields(found[0])
    return int(fields.get(1, [0])[0]) * 1000 + int(fields.get(2, [0])[0]) // 1_000_000


def _text(data: Any) -> str:
    return data.decode("utf-8", errors="replace") if isinstance(data, bytes) else str(data)
