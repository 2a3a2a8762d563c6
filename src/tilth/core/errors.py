"""The kinds of error that a caller can act on.

A domain derives its own errors from these kinds. They know names and numbers, never HTTP: one table in `tilth.app.http`
turns a kind into a status, and the SDK turns the answer back into the same kind.
"""

from __future__ import annotations

import re
from typing import ClassVar


class TilthError(Exception):
    """Base of every error that reaches a user. `str(error)` says what, why and what next, in one or two sentences."""

    kind: ClassVar[str] = "error"

    @property
    def code(self) -> str:
        """Stable name for programs: the class name in snake_case, such as `unknown_run`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()


class NotFound(TilthError):
    """The named thing does not exist, or the caller may not know that it does."""

    kind = "not_found"


class Conflict(TilthError):
    """The request is well formed but does not fit the present state."""

    kind = "conflict"


class Unauthenticated(TilthError):
    """No credentials, or credentials that are unknown, expired or revoked."""

    kind = "unauthenticated"


class Denied(TilthError):
    """The caller is known and may see the thing, but holds too low a role or too narrow a scope."""

    kind = "denied"


class Invalid(TilthError):
    """The request itself is wrong; sending it again unchanged cannot help."""

    kind = "invalid"


class TooLarge(Invalid):
    """A body, a batch or a value is above its bound."""

    kind = "too_large"


class Unavailable(TilthError):
    """The request may succeed if it is sent again later, unchanged."""

    kind = "unavailable"

    retry_after_s: float = 1.0


class TooMany(Unavailable):
    """Somebody asks more often than is allowed; `retry_after_s` says when the next request is taken."""

    kind = "too_many"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutOfSpace(Unavailable):
    """The disk or the quota is full; nothing of the request was kept."""

    kind = "out_of_space"


class Damaged(TilthError):
    """Stored bytes do not match their digest, or a stored row breaks a rule that held when it was written."""

    kind = "damaged"


KINDS: dict[str, type[TilthError]] = {
    error.kind: error
    for error in (NotFound, Conflict, Unauthenticated, Denied, Invalid, TooLarge, Unavailable, TooMany, OutOfSpace, Damaged)
}
"""Kind -> class; the SDK uses it to raise what the server raised."""
