"""Frames of the prediction log: what a model server writes before it answers, and what shippers, monitors and backtests read.

A segment is a run of frames. A frame is `TPF1`, the payload's length and its CRC-32 (both u32, little endian), then the payload: a
MessagePack array in the field order of `PredictionFrame`; later fields are added at its end. A process that was killed or a machine that
lost power may leave a torn frame at the end of a segment, nowhere else: readers stop there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from tilth.core.ids import PredictionId

MAGIC = b"TPF1"
HEAD = struct.Struct("<4sII")
MAX_PAYLOAD_BYTES = 1 << 30
"""Above this a length is taken for garbage, so that a torn head cannot make a reader ask for 4 GiB."""


class PredictionFrame(msgspec.Struct, frozen=True, array_like=True):
    """One answered request of one or more rows.

    moment: ms since the epoch, when it was answered; version: key of the model version (`model/number`); request_id: the caller's own
    id or empty; body and answer: the raw bytes of the request and of the answer.
    protocol: name of the codec that reads both back; header_bytes, answer_header_bytes: of the JSON before binary tensors, 0 without any.
    latency_us: from the request's last byte to its answer. route_key: what chose the version, empty where the request named none.
    shadow: the answer of a version in the shadow, which nobody was given; its prediction id is that of the answer that was.
    Row n of it is known to everybody else as `<prediction_id>.<n>`.
    """

    prediction_id: str
    moment: int
    deployment_id: str
    version: str
    content_type: str
    request_id: str
    body: bytes
    answer: bytes
    rows: int = 0
    protocol: str = "mlflow"
    header_bytes: int = 0
    answer_header_bytes: int = 0
    latency_us: int = 0
    route_key: str = ""
    shadow: bool = False


_ARRAY = bytes([0x90 | len(PredictionFrame.__struct_fields__)])
"""MessagePack's head of an array of up to 15 values is one byte."""
_BYTES = struct.Struct(">BI")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PredictionFrame)


def row_id(prediction_id: str, row: int) -> PredictionId:
    """The id of one row of a request, counted from 0; labels are joined to it."""
    return PredictionId(f"{prediction_id}.{row}")


def encode(frame: PredictionFrame) -> bytes:
    payload = _encoder.encode(frame)
    return HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


def encode_uncopied(frame: PredictionFrame) -> list[bytes]:
    """What `encode` gives, in pieces of which two are the frame's own body and answer: for large ones."""
    values = msgspec.structs.astuple(frame)
    payload = [
        _ARRAY,
        _encoder.encode(values[:6])[1:],
        _BYTES.pack(0xC6, len(frame.body)),
        frame.body,
        _BYTES.pack(0xC6, len(frame.answer)),
        frame.answer,
        _encoder.encode(values[8:])[1:],
    ]
    checksum = 0
    for piece in payload:
        checksum = zlib.crc32(piece, checksum)
    return [HEAD.pack(MAGIC, sum(map(len, payload)), checksum), *payload]


def iterate(segment: BinaryIO) -> Iterator[PredictionFrame]:
    """Every whole frame from the stream's position on; ends at the first that is torn. Holds one frame in memory."""
    while (payload := _next_payload(segment)) is not None:
        yield _decoder.decode(payload)


@dataclass(frozen=True, slots=True)
class SegmentScan:
    """What a segment holds: whole frames, the bytes they take, and the bytes after them that are no whole frame."""

    frames: int
    good_bytes: int
    torn_bytes: int


def scan(segment: BinaryIO) -> SegmentScan:
    """Counts from the stream's position (the start of a frame) to its end."""
    frames = good = 0
    start = segment.tell()
    while _next_payload(segment) is not None:
        frames += 1
        good = segment.tell() - start
    return SegmentScan(frames, good, segment.seek(0, 2) - start - good)


def _next_payload(segment: BinaryIO) -> bytes | None:
    head = segment.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    magic, length, checksum = HEAD.unpack(head)
    if magic != MAGIC or length > MAX_PAYLOAD_BYTES:
        return None
    payload = segment.read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None
