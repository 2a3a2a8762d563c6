"""Files on their way to the server: small ones in one request, large ones in parts that survive a broken connection and a new process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import NotFound
from tilth.core.hashing import CHUNK_BYTES, address_of_file, chunks, content_address
from tilth.core.ids import Digest
from tilth.sdk.http import Http
from tilth.wire.uploads import CompleteUpload, OpenUpload, Upload

PARTS_ABOVE_BYTES = 64 << 20
PART_BYTES: int | None = None
"""None: what the server finds best for the size."""
JOIN_TIMEOUT_S = 1800.0
BAR_AFTER_S = 1.0
BAR_CHARS = 30

Progress = Callable[[int, int], None]
"""(bytes done, bytes of the whole)"""


def send_file(
    http: Http,
    api: str,
    place: str,
    file: Path,
    content_type: str,
    *,
    retry_for_s: float,
    digest: str | None = None,
    progress: Progress | None = None,
) -> None:
    """PUTs a file to `place`, above 64 MiB in parts. api: path of the project's API. Parts that are there already are not sent again.

    Raises what the server refuses, and Unavailable once it has been away for `retry_for_s` seconds; calling again goes on.
    """
    size = file.stat().st_size
    known = digest or address_of_file(file)
    if size > PARTS_ABOVE_BYTES:
        shown = progress or Bar(file.name)
        _send_parts(http, api, place, file, Digest(known), content_type, retry_for_s, shown)
        return

    def pieces() -> Iterator[bytes]:
        with file.open("rb") as stream:
            yield from chunks(stream, CHUNK_BYTES)

    headers = {"x-tilth-sha256": known, "content-length": str(size), "content-type": content_type}
    http.send("PUT", place, pieces, headers=headers, retry_for_s=retry_for_s)


def _send_parts(
    http: Http, api: str, place: str, file: Path, digest: Digest, content_type: str, retry_for_s: float, progress: Progress
) -> None:
    size = file.stat().st_size
    for attempt in (1, 2):
        opened = http.call("POST", f"{api}/uploads", Upload, body=OpenUpload(size, digest, PART_BYTES), retry_for_s=retry_for_s)
        try:
            if not opened.complete:
                _send_missing(http, f"{api}/uploads/{opened.id}", opened, file, retry_for_s, progress)
            headers = {"x-tilth-sha256": digest, "content-type": content_type}
            http.send("PUT", place, b"", query={"upload": opened.id}, headers=headers, retry_for_s=retry_for_s)
            progress(size, size)
            return
        except NotFound:
            # The upload was swept meanwhile, or the place is gone: one fresh upload tells which.
            if attempt == 2:
                raise


def _send_missing(http: Http, path: str, opened: Upload, file: Path, retry_for_s: float, progress: Progress) -> None:
    there = {part.number: (part.size, part.digest) for part in opened.parts}
    size = opened.size or 0
    count = -(-size // opened.part_bytes)
    for number in range(1, count + 1):
        begin = (number - 1) * opened.part_bytes
        length = min(opened.part_bytes, size - begin)
        if number not in there or there[number][0] != length:
            _send_part(http, f"{path}/parts/{number}", file, begin, length, retry_for_s)
        progress(begin + length, size)
    body = msgspec.json.encode(CompleteUpload(parts=list(range(1, count + 1))))
    http.send("POST", f"{path}/complete", body, retry_for_s=retry_for_s, timeout_s=JOIN_TIMEOUT_S)


def _send_part(http: Http, path: str, file: Path, begin: int, length: int, retry_for_s: float) -> None:
    def pieces() -> Iterator[bytes]:
        left = length
        with file.open("rb") as stream:
            stream.seek(begin)
            while left and (piece := stream.read(min(CHUNK_BYTES, left))):
                left -= len(piece)
                yield piece

    http.send("PUT", path, pieces, headers={"content-length": str(length)}, retry_for_s=retry_for_s)


def send_bytes(http: Http, place: str, data: bytes, content_type: str, *, retry_for_s: float) -> None:
    headers = {"x-tilth-sha256": content_address(data), "content-type": content_type}
    http.send("PUT", place, data, headers=headers, retry_for_s=retry_for_s)


class Bar:
    """A line on the terminal, after a second; nothing where stderr is no terminal."""

    def __init__(self, name: str, stream: Any = None) -> None:
        self._name, self._stream = name, stream if stream is not None else sys.stderr
        self._began = monotonic()
        self._drawn = 0.0

    def __call__(self, done: int, whole: int) -> None:
        moment = monotonic()
        last = done >= whole
        if not self._stream.isatty() or moment - self._began < BAR_AFTER_S or (not last and moment - self._drawn < 0.1):
            return
        self._drawn = moment
        filled = BAR_CHARS * done // max(1, whole)
        rate = done / max(0.001, moment - self._began) / 1e6
        bar = "#" * filled + "." * (BAR_CHARS - filled)
        line = f"\r{self._name[:40]} {bar} {done / 1e6:,.0f} of {whole / 1e6:,.0f} MB, {rate:,.0f} MB/s"
        self._stream.write(line + ("\n" if last else ""))
        self._stream.flush()
