"""What routes that take in bytes read off the request and the app's state."""

from __future__ import annotations

from typing import Any

from litestar import Request

from tilth.core.errors import Invalid
from tilth.core.hashing import is_digest
from tilth.core.ids import Digest

BLOBS = "tilth_blobs"
MAX_BYTES = "tilth_max_artifact_bytes"
DEFAULT_MAX_BYTES = 10_000_000_000


class InvalidDigest(Invalid):
    """The digest that the client announced is not one."""


def announced(request: Request[Any, Any, Any]) -> Digest | None:
    """What the header X-Tilth-Sha256 says of the body. Raises InvalidDigest."""
    text = request.headers.get("x-tilth-sha256")
    if text is None:
        return None
    if not is_digest(text):
        raise InvalidDigest("X-Tilth-Sha256 must be 64 lower-case hexadecimal digits: the SHA-256 of the body")
    return Digest(text)


def max_file_bytes(request: Request[Any, Any, Any]) -> int:
    """Bytes that one file may have."""
    return int(request.app.state.get(MAX_BYTES, DEFAULT_MAX_BYTES))
