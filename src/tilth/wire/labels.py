"""Labels of predictions as our own API takes and shows them, and the keys by which they are joined. Moments in ms since the epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

MAX_LABELS = 10_000
"""Labels of one call; the SDK and the command cut longer lists. Nor has a call more rows that labels are joined to."""
MOST_SCORES_A_DAY = 100_000
"""Of a deployment that nobody labels, scores of so many rows a UTC day are kept; of one that has labels, all."""
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Whole = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]


class LogLabels(msgspec.Struct, forbid_unknown_fields=True):
    """Each row: `prediction_id` (`<id>.<n>`, or the id of a request of one row) or the deployment's declared key columns; `label`,
    a number, true or false, or the name of a class; `at` (ms, or ISO 8601 with a time zone), by default now, which only a key needs."""

    labels: Annotated[list[dict[str, Any]], Meta(max_length=MAX_LABELS)]


class LabelKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """key: columns that a label may name instead of a prediction, none to take the declaration back. See wire.serving."""

    key: Annotated[list[Annotated[str, Meta(min_length=1, max_length=250)]], Meta(max_length=8)]
    window_s: Annotated[int, Meta(ge=1, le=31_622_400)] = 2_592_000


class LabelsLogged(msgspec.Struct, frozen=True):
    """received = new + unchanged + corrected + repeated (named twice in the call; the last one counts).

    matched: rows of predictions that got a label, or another one, by this call; waiting: labels of the deployment whose prediction is not
    known (yet), counted to 10,000.
    """

    received: int
    new: int
    unchanged: int
    corrected: int
    repeated: int
    matched: int
    waiting: int


class CoverageRow(msgspec.Struct, frozen=True):
    """Rows that one version answered on one UTC day (`2013-01-31`), and how many of them have a label."""

    day: str
    model: str
    version: int
    predictions: int
    labelled: int

    @property
    def share(self) -> float:
        return self.labelled / self.predictions if self.predictions else 0.0


class Coverage(msgspec.Struct, frozen=True):
    """days: newest first. waiting: labels whose prediction is not known (yet), counted to 10,000. key: columns that labels may name
    instead of a prediction; window_s: how long before a label its prediction may lie. unscored: kept rows of these days whose scores were
    not kept, so that labels of them wait in vain; see MOST_SCORES_A_DAY."""

    predictions: int
    labelled: int
    waiting: int
    key: list[str]
    window_s: int
    days: list[CoverageRow]
    unscored: int = 0


class OutcomeView(msgspec.Struct, frozen=True):
    """One metric of one version over a window, with the bounds of its 95 % interval where they are known."""

    name: str
    value: float
    low: float | None
    high: float | None


class VersionOutcomes(msgspec.Struct, frozen=True):
    """kind: what the labels are (probability, class, number). rows: labelled rows that the metrics are of."""

    version: int
    kind: str
    rows: int
    metrics: list[OutcomeView]


class Outcomes(msgspec.Struct, frozen=True):
    since: int
    until: int
    versions: list[VersionOutcomes]


class LabelVersion(msgspec.Struct, frozen=True):
    """A label as it is, or was until `replaced`. label: as it was given; value: the number it stands for."""

    label: str
    value: float
    logged: int
    by: str
    replaced: int | None = None


class ScoredRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answered rows of one deployment as columns of equal length: what labels are joined to.

    scores: the value of the only output, or the index of the greatest of several (wire.scores); None where it is not finite.
    units: `key_of` the route key; join_keys: `key_of` the declared columns, None where one of them is missing. Raises ValueError for
    columns of unequal length.
    """

    prediction_ids: Annotated[list[Hex32], Meta(max_length=MAX_LABELS)]
    rows: list[Whole]
    at: list[Annotated[int, Meta(ge=0, le=1 << 53)]]
    models: list[Annotated[str, Meta(max_length=250)]]
    versions: list[Whole]
    scores: list[float | None]
    units: list[Hex32]
    join_keys: list[Hex32 | None]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.__struct_fields__}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(f"the columns must be of one length, and are of these: {told}")


def key_of(values: Iterable[object]) -> str | None:
    """32 hexadecimal digits for the values of a key; None where one of them is missing.

    A number and its text are the same key (7, 7.0 and "7"), so that a CSV file and a request agree.
    """
    words = [_word(value) for value in values]
    if any(word is None for word in words):
        return None
    return hashlib.blake2b(msgspec.json.encode(words), digest_size=16).hexdigest()


def _word(value: object) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
