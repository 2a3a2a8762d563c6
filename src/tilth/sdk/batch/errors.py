"""What batch scoring refuses."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.core.errors import Conflict, Invalid, NotFound, Unavailable


class InvalidPlace(Invalid):
    """A path or address that rows cannot be read from or written to."""


class NothingToScore(NotFound):
    """There is no file with rows where they are said to be."""


class UnfitRows(Invalid):
    """The files do not have what the model takes. Says everything that is wrong, before the first row is scored."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        super().__init__(f"{where} does not fit the model, {count}:{listed}")


class BadRows(Invalid):
    """A row cannot be scored, and the policy is to fail."""


class OutputTaken(Conflict):
    """Something else stands where the output shall go, or another process writes there."""


class ScorerLost(Unavailable):
    """A scoring process ended before its work did."""
