"""The Range header of a download (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tilth.core.errors import Invalid

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeNotSatisfiable(Invalid):
    """The range begins behind the end of the file."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes [start, end) of a file."""

    start: int
    end: int


def byte_range(header: str | None, size: int) -> ByteRange | None:
    """The one range that was asked for; None means the whole file, also for headers that RFC 9110 lets a server ignore.

    Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(f"the file has {size} bytes, so there is nothing from byte {start} on; ask for less")
    return ByteRange(start, end)
