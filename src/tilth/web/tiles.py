"""The figures at the head of a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """tone: good, bad or nothing. url: where a click leads."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    url: str = ""
