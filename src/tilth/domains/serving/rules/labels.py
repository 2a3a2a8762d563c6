"""What a row of a call says: which prediction it labels, and the number that the label stands for. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tilth.domains.serving.types.labels import OF_A_KEY, InvalidLabel, Label
from tilth.wire.labels import key_of
from tilth.wire.models import ModelDocument

MAX_TEXT_CHARS = 250
LATEST_MS = 4_102_444_800_000
"""The year 2100: later moments are mistakes of unit."""
_PREDICTION = re.compile(r"([0-9a-f]{32})(?:\.(\d{1,9}))?")


def classes_of(document: ModelDocument | None) -> tuple[str, ...]:
    """Names of the classes whose index, or whose probability, the model answers; empty for a model that answers numbers."""
    if document is None:
        return ()
    if document.method == "predict_proba":
        return document.classes
    return next((output.categories for output in document.signature.outputs if output.categories), ())


class LabelReader:
    """Reads rows for one deployment. key: its declared columns. classes: of its model, in the order of their index; empty for numbers."""

    def __init__(self, key: Sequence[str], classes: Sequence[str], now: int) -> None:
        self._key = tuple(key)
        self._classes = {name: index for index, name in enumerate(classes)}
        self._now = now
        self._known = {"prediction_id", "label", "at", *self._key}

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[Label]:
        """One label per row. Raises InvalidLabel for the first that is none."""
        return [self._read_one(place, row) for place, row in enumerate(rows)]

    def _read_one(self, place: int, row: Mapping[str, Any]) -> Label:
        if not row.keys() <= self._known:
            strange = min(set(row) - self._known)
            raise InvalidLabel(place, f"column {strange[:80]!r} is not one of {self._columns()}")
        if "label" not in row:
            raise InvalidLabel(place, "it has no `label`")
        value, text = self._value(place, row["label"])
        named = row.get("prediction_id")
        if named is not None:
            found = _PREDICTION.fullmatch(named) if isinstance(named, str) else None
            if found is None:
                raise InvalidLabel(
                    place,
                    f"prediction_id {str(named)[:60]!r} is not 32 hexadecimal digits, or those and `.<row>`, as the answer gave it",
                )
            return Label(found[1], int(found[2] or 0), 0, value, text, bare=found[2] is None)
        ref = key_of(row.get(name) for name in self._key) if self._key else None
        if ref is None:
            raise InvalidLabel(place, f"it names no prediction: give {self._columns(needed=True)}")
        return Label(ref, OF_A_KEY, self._moment(place, row.get("at")), value, text)

    def _columns(self, *, needed: bool = False) -> str:
        key = ", ".join(self._key)
        if needed:
            return f"prediction_id, or {key}" if key else "prediction_id (this deployment declares no key columns)"
        return ", ".join(["prediction_id", "label", "at", *self._key])

    def _value(self, place: int, given: object) -> tuple[float, str]:
        text = _text(given)
        if isinstance(given, bool):
            return float(self._classes.get(str(given), given)), text
        if isinstance(given, int | float):
            try:
                number = float(given)
            except OverflowError:
                raise InvalidLabel(place, "the label is a number too large for a 64-bit float") from None
            if not math.isfinite(number):
                raise InvalidLabel(
                    place, f"the label is {text}, which says nothing: leave the row out until the outcome is known"
                )
            return float(self._classes.get(text, number)), text
        if not isinstance(given, str):
            raise InvalidLabel(place, "the label is missing: leave the row out until the outcome is known")
        if given in self._classes:
            return float(self._classes[given]), text
        known = ", ".join(list(self._classes)[:20])
        what = f"none of the model's classes ({known})" if known else "text, and the model has no classes: give a number"
        raise InvalidLabel(place, f"the label {text!r} is {what}")

    def _moment(self, place: int, given: object) -> int:
        if given is None:
            return self._now
        if isinstance(given, str):
            try:
                parsed = datetime.fromisoformat(given)
            except ValueError:
                raise InvalidLabel(
                    place, f"at {given[:40]!r} is no moment: give ms, or ISO 8601 such as 2013-01-31T05:00:00Z"
                ) from None
            if parsed.tzinfo is None:
                raise InvalidLabel(place, f"at {given[:40]!r} has no time zone: add Z for UTC, or an offset")
            given = round(parsed.timestamp() * 1000)
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= LATEST_MS:
            raise InvalidLabel(place, f"at {str(given)[:40]!r} is no moment: give ms since 1970, or ISO 8601 with a time zone")
        return given


def _text(given: object) -> str:
    """As a class of the model is named: 1.0 is `1` where the class is 1."""
    if isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        return str(int(given))
    return str(given)[:MAX_TEXT_CHARS]


def without_repeats(labels: Sequence[Label]) -> list[Label]:
    """One label for each prediction or key and moment: the last that was named. In an order that all writers share."""
    return sorted(
        {(each.ref, each.row, each.at): each for each in labels}.values(), key=lambda each: (each.ref, each.row, each.at)
    )
