"""Where a page of a search ended: opaque text that names the last run's place in the order, not a count of rows.

A page that follows is therefore right although runs were added or taken away meanwhile. A token belongs to one question.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

import msgspec

from tilth.domains.tracking.types import InvalidPage

Value = str | int | float | None
MAX_TOKEN_CHARS = 20_000


def fingerprint(*question: object) -> bytes:
    """Eight bytes that tell one question from another."""
    return blake2b(repr(question).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def page_token(question: bytes, place: tuple[Value, ...]) -> str:
    return urlsafe_b64encode(question + msgspec.msgpack.encode(place)).decode().rstrip("=")


def place_of(question: bytes, token: str, length: int) -> tuple[Value, ...]:
    """The place behind a token; it has `length` values. Raises InvalidPage for one of another question, or of none."""
    try:
        if len(token) > MAX_TOKEN_CHARS:
            raise ValueError(token)
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        place: tuple[Value, ...] = msgspec.msgpack.decode(raw[8:], type=tuple[Value, ...])
    except (ValueError, msgspec.DecodeError):
        raise InvalidPage(
            f"Invalid page token {token[:40]!r}: it was not given by this server; take next_page_token of the answer before"
        ) from None
    if raw[:8] != question or len(place) != length:
        raise InvalidPage(
            "page_token belongs to another filter, order or scope; ask the same question as before, or begin without a token"
        )
    return place
