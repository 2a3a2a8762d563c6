"""Stored bytes in and out over HTTP, for every route that takes or gives files: streamed, with flat memory, whatever their size.

They are written by users' code, so a browser gets them as an attachment in a sandbox, and never guesses their type.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.response import Stream

from tilth.core.errors import Invalid
from tilth.core.hashing import FileEntry, is_digest
from tilth.core.ids import Digest
from tilth.core.ports import Blobs
from tilth.core.ranges import ByteRange, RangeNotSatisfiable, byte_range

UNCOMPRESSED = {"tilth_uncompressed": True}
"""For `opt=` of a route: Range and ETag speak of the stored bytes, so nothing may gzip them on the way."""

BLOBS = "tilth_blobs"
MAX_BYTES = "tilth_max_artifact_bytes"
SIGNED_S = "tilth_signed_download_s"
DEFAULT_MAX_BYTES = 10_000_000_000
PLAIN_BYTES = "application/octet-stream"

Asked = Request[Any, Any, Any]


class InvalidDigest(Invalid):
    """The digest that the client announced is not one."""


def blobs_of(request: Asked) -> Blobs:
    found: Blobs = request.app.state[BLOBS]
    return found


def announced(request: Asked) -> Digest | None:
    """What the header X-Tilth-Sha256 says of the body. Raises InvalidDigest."""
    text = request.headers.get("x-tilth-sha256")
    if text is None:
        return None
    if not is_digest(text):
        raise InvalidDigest("X-Tilth-Sha256 must be 64 lower-case hexadecimal digits: the SHA-256 of the body")
    return Digest(text)


def max_file_bytes(request: Asked) -> int:
    """Bytes that one file may have."""
    return int(request.app.state.get(MAX_BYTES, DEFAULT_MAX_BYTES))


def signed_download_s(request: Asked) -> int:
    """Seconds for which an address signed by the store is good; 0: none is given out."""
    return int(request.app.state.get(SIGNED_S, 0))


def sent_type(request: Asked, path: str) -> str:
    """The media type that the client gave, else the one that the name suggests."""
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given in ("", PLAIN_BYTES, "application/x-www-form-urlencoded"):
        return type_of_name(path)
    return given if re.fullmatch(r"[\w.+-]{1,100}/[\w.+-]{1,100}", given, re.ASCII) else PLAIN_BYTES


def type_of_name(path: str) -> str:
    return mimetypes.guess_type(path, strict=False)[0] or PLAIN_BYTES


async def download(request: Asked, entry: FileEntry, media_type: str = PLAIN_BYTES) -> Response[Any]:
    """The file as an attachment. 304 for a known ETag, 206 for a Range, 416 for one behind the end."""
    headers = _headers(entry)
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    whole = ByteRange(0, entry.size)
    try:
        part = byte_range(request.headers.get("range"), entry.size) or whole
    except RangeNotSatisfiable:
        return Response(b"", status_code=416, headers={"content-range": f"bytes */{entry.size}"}, media_type=media_type)
    headers["content-length"] = str(part.end - part.start)
    status = 200
    if part != whole:
        status, headers["content-range"] = 206, f"bytes {part.start}-{part.end - 1}/{entry.size}"
    pieces = blobs_of(request).open(entry.digest, start=part.start, end=None if part.end == entry.size else part.end)
    return Stream(await _begun(pieces), status_code=status, headers=headers, media_type=media_type)


def _headers(entry: FileEntry) -> dict[str, str]:
    name = entry.path.rsplit("/", 1)[-1]
    return {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
        "etag": f'"{entry.digest}"',
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "x-tilth-sha256": entry.digest,
    }


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Reads the first piece at once: bytes that are missing must become an error answer, not a torn one."""
    first = await anext(pieces, b"")

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_pieces()
