"""File paths at the end of an address: taken from the raw path and decoded once, so that `a//b` and `a%2f..` are seen as sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request

from tilth.core.names import InvalidName, check_artifact_path


def path_after(request: Request[Any, Any, Any], segments: int) -> str:
    """What follows the first `segments` segments of the address, such as `a/b.bin`. Raises InvalidName for a path-like trick."""
    raw: bytes = request.scope["raw_path"].split(b"?", 1)[0]
    parts = raw.split(b"/", segments + 1)
    try:
        return check_artifact_path(unquote_to_bytes(parts[segments + 1]).decode())
    except (IndexError, UnicodeDecodeError) as error:
        raise InvalidName("the file's path is missing or not UTF-8; name a relative path such as 'data/model.bin'") from error
