"""Bodies in gzip and deflate, both ways. What comes out is bounded before it is made: a few bytes can stand for gigabytes. Pure."""

from __future__ import annotations

import zlib
from typing import Literal

from tilth.plane.answers import BodyTooLarge
from tilth.plane.forms import InvalidBody

Coding = Literal["gzip", "deflate"]

_GZIP, _ZLIB, _RAW = 31, 15, -15
LEVEL = 1
"""Of answers: the event loop waits for it."""


def inflate(body: bytes, coding: Coding, limit: int) -> bytes:
    """Raises BodyTooLarge above `limit` bytes, InvalidBody for what is not whole or not of this coding."""
    bits = _GZIP
    if coding == "deflate":
        # The name means zlib's format; some clients send it without its head of two bytes.
        bits = _ZLIB if body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0 else _RAW
    pieces: list[bytes] = []
    size, rest = 0, body
    while rest or not pieces:
        machine = zlib.decompressobj(bits)
        try:
            piece = machine.decompress(rest, limit - size + 1)
        except zlib.error as error:
            raise InvalidBody(f"the body is not {coding}, as content-encoding says: {error}") from error
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(
                f"the body is above {limit} bytes once it is unpacked, the bound here; send the rows in several requests"
            )
        if not machine.eof:
            raise InvalidBody(f"the body ends before its {coding} data does")
        pieces.append(piece)
        # gzip may consist of several members, one after another.
        rest = machine.unused_data
        if rest and coding != "gzip":
            raise InvalidBody("bytes follow the deflate data; send one compressed body")
    return b"".join(pieces)


def deflate(body: bytes, coding: Coding) -> bytes:
    machine = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP if coding == "gzip" else _ZLIB)
    return machine.compress(body) + machine.flush()
