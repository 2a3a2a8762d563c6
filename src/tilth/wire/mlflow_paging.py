"""Page tokens of MLflow's lists: where the next page begins, and which question it belongs to."""

from __future__ import annotations

import base64
import binascii

import msgspec

from tilth.wire.mlflow import invalid

MAX_OFFSET = 2**31 - 1


class _Token(msgspec.Struct):
    offset: int
    asked: str = ""


def token_of(offset: int, asked: str = "") -> str:
    """asked: a digest of the question."""
    return base64.b64encode(msgspec.json.encode(_Token(offset, asked))).decode()


def offset_of(token: str | None, asked: str = "") -> int:
    """0 without a token. Raises MlflowError (400)."""
    if not token:
        return 0
    try:
        plain = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Invalid page token, could not base64-decode") from None
    try:
        read = msgspec.json.decode(plain, type=_Token)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid(f"Invalid page token, decoded value={plain[:200]!r}") from None
    if not 0 <= read.offset <= MAX_OFFSET:
        raise invalid(f"Invalid page token, not stringable {read.offset}")
    if read.asked != asked:
        raise invalid(
            "The page token does not match the requested experiment IDs, filter string, datasets or order by: "
            "send the same request again with the token, or begin without one"
        )
    return read.offset
