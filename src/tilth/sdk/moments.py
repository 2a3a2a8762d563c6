"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tilth.core.clock import DAY, HOUR, MINUTE, Millis, now
from tilth.core.errors import Invalid

Moment = datetime | str | int
"""A datetime (without a time zone: of this machine's), ISO 8601 (`2026-03-01`, a day or time without zone is UTC), ms since the epoch, or
a span before now: `30m`, `24h`, `7d`."""

_SPAN = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}


class InvalidMoment(Invalid):
    """A text that names no moment."""


def moment_of(given: Moment) -> Millis:
    """Raises InvalidMoment."""
    if isinstance(given, datetime):
        return Millis(round(given.timestamp() * 1000))
    if isinstance(given, int):
        return Millis(given)
    span = _SPAN.fullmatch(given)
    if span is not None:
        return Millis(now() - int(span[1]) * _UNITS[span[2]])
    if given.isdecimal() and len(given) < 17:
        return Millis(int(given))
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise InvalidMoment(
            f"{given[:60]!r} names no moment; write 2026-03-01, 2026-03-01T12:00:00Z, ms since 1970, or a span before now: 24h, 7d"
        ) from error
    return moment_of(found if found.tzinfo is not None else found.replace(tzinfo=UTC))
