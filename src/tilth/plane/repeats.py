"""The same client asks again with the same head: what was decided by it need not be decided anew. Pure, and part of the hot path.

A program on a kept connection sends the same request line and headers with each request, but for the length of its body. Reading and
judging them is a third of what a small prediction costs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tilth.plane.admission import Admission
from tilth.plane.state import ServingState

GOOD_FOR_S = 1.0
"""Then the head is judged again: a token may have reached its end."""
MAX_DIGITS = 12
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})(?=\r\n)", re.IGNORECASE)
_OTHER_FRAMING = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A head that was admitted: its bytes before and after the digits of the body's length. state, until: when the verdict ends to hold."""

    before: bytes
    after: bytes
    verdict: Admission
    state: ServingState
    until: float

    def body_of(self, data: bytes, state: ServingState, now: float) -> bytes | None:
        """The body, if `data` is one whole request with this head and nothing else, and the verdict still holds. now: monotonic seconds."""
        if state is not self.state or now > self.until or not data.startswith(self.before):
            return None
        start = len(self.before)
        end = data.find(b"\r", start, start + MAX_DIGITS + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self.after, end):
            return None
        body = data[end + len(self.after) :]
        return body if len(body) == int(digits) <= self.verdict.max_body_bytes else None


def repeat_of(data: bytes, body_bytes: int, verdict: Admission, state: ServingState, now: float) -> Repeat | None:
    """What can be repeated of `data`: one whole request that was admitted and keeps its connection, of whose end the parser read
    `body_bytes` as the body. None where more than one plain length says where the body ends."""
    head = data[: len(data) - body_bytes]
    found = _LENGTH.findall(head)
    if head.find(_HEAD_END) != len(head) - len(_HEAD_END) or len(found) != 1 or int(found[0]) != body_bytes:
        return None
    if _OTHER_FRAMING.search(head):
        return None
    match = _LENGTH.search(head)
    assert match is not None
    return Repeat(head[: match.start(1)], head[match.end(1) :], verdict, state, now + GOOD_FOR_S)
