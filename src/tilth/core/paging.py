"""Where a page begins, as a caller asks for it."""

from __future__ import annotations

MAX_OFFSET = 1 << 40
"""Far above any count of rows, and within what every database takes for a number."""


def page_start(offset: int) -> int:
    """The nearest offset that can be asked of a database."""
    return max(0, min(offset, MAX_OFFSET))
