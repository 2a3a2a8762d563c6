"""One result of a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Condition = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """what: the thing that was looked at. found: what was seen, and why it matters. mend: what to do; empty where all is well.

    `note` is worth knowing and stops nothing; `broken` must be mended.
    """

    what: str
    condition: Condition
    found: str
    mend: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def ok(what: str, found: str) -> Finding:
    return Finding(what, "ok", found)


def note(what: str, found: str, mend: str = "") -> Finding:
    return Finding(what, "note", found, mend)


def broken(what: str, found: str, mend: str) -> Finding:
    return Finding(what, "broken", found, mend)
