"""File paths at the end of an address, taken from the raw path, so that `a//b` and `a%2f..` are seen as sent."""

from __future__ import annotations

from typing import Any

from litestar import Request

from tilth.core.names import path_of_segments


def path_after(request: Request[Any, Any, Any], segments: int) -> str:
    """What follows the first `segments` segments of the address, such as `a/b.bin`. Raises InvalidName for a path-like trick."""
    raw: bytes = request.scope["raw_path"].split(b"?", 1)[0]
    return path_of_segments(raw.split(b"/")[segments + 1 :])
