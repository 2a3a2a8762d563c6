"""Values and errors of labels. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilth.core.errors import Conflict, Invalid

OF_A_KEY = -1
"""Stands for the row in a label that names a declared key instead of a prediction."""


OF_THE_REQUEST = ("route_key", "request_id")
"""What a key may name beside input columns: headers of the request."""


class UnknownKeyColumn(Invalid):
    def __init__(self, column: str, known: Sequence[str]) -> None:
        super().__init__(f"{column[:80]!r} cannot be a key of labels: it is none of {', '.join(known)[:400]}")


class InvalidLabel(Invalid):
    """A row that no label can be made of."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(f"label {place}: {why}; nothing of this call was kept")


class SeveralRows(Conflict):
    """A label names a request of several rows."""

    def __init__(self, prediction_id: str) -> None:
        super().__init__(
            f"prediction {prediction_id} answered several rows: name one of them, such as {prediction_id}.0; nothing of this call was kept"
        )


@dataclass(frozen=True, slots=True)
class Label:
    """ref: the prediction's id, or the hash of a key (then row is OF_A_KEY and `at` the moment that the label is of, else 0).

    value: what the metrics count: a number, 0 or 1, or the index of a class. text: as it was given.
    bare: the prediction was named without its row.
    """

    ref: str
    row: int
    at: int
    value: float
    text: str
    bare: bool = False
