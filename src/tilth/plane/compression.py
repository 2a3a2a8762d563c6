"""Bodies in gzip and deflate, both ways. What comes out is bounded before it is made: a few bytes can stand for gigabytes. Pure."""

from __future__ import annotations

import zlib
from typing import Literal

from tilth.plane.answers import BodyTooLarge
from tilth.plane.forms import InvalidBody

Coding = Literal["gzip", "deflate"]

_GZIP, _ZLIB, _RAW = 31, 15, -15
STEP_BYTES = 64 << 10
"""Read at a time: what follows a member is copied when it ends, so that many small ones in one read cost the square of their number."""
MOST_MEMBERS = 1000
LEVEL = 1
"""Of answers: the event loop waits for it."""


def inflate(body: bytes, coding: Coding, limit: int) -> bytes:
    """Raises BodyTooLarge above `limit` bytes, InvalidBody for what is not whole or not of this coding."""
    bits = _GZIP
    if coding == "deflate":
        # The name means zlib's format; some clients send it without its head of two bytes.
        bits = _ZLIB if body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0 else _RAW
    pieces: list[bytes] = []
    size = at = members = 0
    while at < len(body) or not members:
        # gzip may consist of several members, one after another.
        if members and coding != "gzip":
            raise InvalidBody("bytes follow the deflate data; send one compressed body")
        if members == MOST_MEMBERS:
            raise InvalidBody(f"the body has more than {MOST_MEMBERS} gzip members; compress it in one piece")
        machine = zlib.decompressobj(bits)
        members += 1
        while not machine.eof:
            given = body[at : at + STEP_BYTES]
            if not given:
                raise InvalidBody(f"the body ends before its {coding} data does")
            try:
                piece = machine.decompress(given, limit - size + 1)
            except zlib.error as error:
                raise InvalidBody(f"the body is not {coding}, as content-encoding says: {error}") from error
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(
                    f"the body is above {limit} bytes once it is unpacked, the bound here; send the rows in several requests"
                )
            pieces.append(piece)
            at += len(given) - len(machine.unused_data)
    return b"".join(pieces)


def deflate(body: bytes, coding: Coding) -> bytes:
    machine = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP if coding == "gzip" else _ZLIB)
    return machine.compress(body) + machine.flush()
