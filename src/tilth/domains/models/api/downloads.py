"""Stored bytes as answers: streamed, never shown as a page of ours, in parts where a Range asks for it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.response import Stream

from tilth.core.hashing import FileEntry
from tilth.core.ports import Blobs
from tilth.core.ranges import RangeNotSatisfiable, byte_range

UNCOMPRESSED = {"tilth_uncompressed": True}
"""For `opt=` of a route: parts of a file and ETags speak of the stored bytes, so nothing may gzip them on the way."""


async def download(request: Request[Any, Any, Any], entry: FileEntry) -> Response[Any]:
    """The file as an attachment. 304 for a known ETag, 206 for a Range, 416 for one behind the end."""
    blobs: Blobs = request.app.state["tilth_blobs"]
    headers = _headers(entry)
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(b"", status_code=304, headers={"etag": headers["etag"]}, media_type=headers["content-type"])
    try:
        part = byte_range(request.headers.get("range"), entry.size)
    except RangeNotSatisfiable:
        return Response(
            b"", status_code=416, headers={"content-range": f"bytes */{entry.size}"}, media_type=headers["content-type"]
        )
    # A missing blob is an error answer now, and would be a broken stream later.
    await blobs.stat(entry.digest)
    if part is None:
        return Stream(
            blobs.open(entry.digest), headers={**headers, "content-length": str(entry.size)}, media_type=headers["content-type"]
        )
    pieces = blobs.open(entry.digest, start=part.start, end=part.end)
    headers |= {
        "content-range": f"bytes {part.start}-{part.end - 1}/{entry.size}",
        "content-length": str(part.end - part.start),
    }
    return Stream(pieces, headers=headers, status_code=206, media_type=headers["content-type"])


def _headers(entry: FileEntry) -> dict[str, str]:
    name = entry.path.rsplit("/", 1)[-1]
    return {
        "content-type": "application/octet-stream",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "etag": f'"{entry.digest}"',
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
        "x-tilth-sha256": entry.digest,
    }
