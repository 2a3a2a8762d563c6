"""File paths at the end of an address: taken from the raw path, each segment decoded once, so that `a//b` and `a%2f..` are seen as sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request

from tilth.core.names import InvalidName, check_artifact_path


def path_after(request: Request[Any, Any, Any], segments: int) -> str:
    """What follows the first `segments` segments of the address, such as `a/b.bin`. Raises InvalidName for a path-like trick."""
    raw: bytes = request.scope["raw_path"].split(b"?", 1)[0]
    try:
        decoded = [unquote_to_bytes(segment).decode() for segment in raw.split(b"/")[segments + 1 :]]
    except UnicodeDecodeError as error:
        raise InvalidName("the file's path is not UTF-8; percent-encode its UTF-8 bytes") from error
    for segment in decoded:
        if "/" in segment:
            raise InvalidName(f"file path segment {segment[:80]!r} holds an encoded '/': send it as it is")
    return check_artifact_path("/".join(decoded))
