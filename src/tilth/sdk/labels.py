"""`tilth.labels`: what came true of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from tilth.core.errors import Invalid
from tilth.sdk.connection import Connection, connection
from tilth.wire.labels import MAX_LABELS, Coverage, LabelsLogged, LogLabels, Outcomes

Progress = Callable[[int], object]
"""Called after each call to the server with the number of labels that it took so far."""
_NOTHING = LabelsLogged(0, 0, 0, 0, 0, 0, 0)


class InvalidLabels(Invalid):
    """What was given holds no labels."""


def log(deployment: str, rows: Any, *, progress: Progress | None = None) -> LabelsLogged:
    """Keeps what came true of predictions of a deployment.

    rows: a DataFrame, or dicts, each with `prediction_id` (`<id>.<row>`, or the id of a request of one row) or the deployment's declared
    key columns; `label` (a number, true or false, or the name of a class); and for a key `at` (a datetime with a time zone, ISO 8601, or
    ms), by default now. More than 10,000 go in several calls. Logging the same again changes nothing, so that what broke off may simply
    be repeated; another value is a correction. Raises InvalidLabels, and what the server refuses, by the place of the row in its call.
    """
    target = connection()
    path = _base(target, deployment)
    done = _NOTHING
    for part in _parts(_rows(rows)):
        answer = target.http.call("POST", path, LabelsLogged, body=LogLabels(part))
        done = _sum(done, answer)
        if progress is not None:
            progress(done.received)
    return done


def coverage(deployment: str, *, days: int = 30) -> Coverage:
    """How many of the predictions of the last days have a label, by UTC day and version."""
    target = connection()
    return target.http.call("GET", f"{_base(target, deployment)}/coverage", Coverage, query={"days": days})


def outcomes(deployment: str, *, since: int | None = None, until: int | None = None) -> Outcomes:
    """How good the labelled predictions of [since, until) in ms were, by version; by default of the last 30 days."""
    target = connection()
    query = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
    return target.http.call("GET", f"{_base(target, deployment)}/outcomes", Outcomes, query=query)


def _base(target: Connection, deployment: str) -> str:
    return f"{target.api}/deployments/{quote(deployment, safe='')}/labels"


def _rows(rows: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(rows, Mapping):
        return [rows]
    if hasattr(rows, "iter_rows"):
        named: Iterable[Mapping[str, Any]] = rows.iter_rows(named=True)
        return named
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        records: list[Mapping[str, Any]] = rows.to_dict("records")
        return records
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        return rows
    raise InvalidLabels("give labels as a DataFrame, or as a list of dicts with `prediction_id` and `label`")


def _parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    given = iter(rows)
    while part := list(islice(given, MAX_LABELS)):
        yield [_plain(row) for row in part]


def _plain(row: object) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise InvalidLabels(f"a label is a dict with `prediction_id` and `label`, not {type(row).__name__}")
    # A column that a table must have for other rows is nothing in this one.
    return {str(name): _value(value) for name, value in row.items() if name == "label" or not _missing(value)}


def _missing(value: object) -> bool:
    return value is None or value != value


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _sum(one: LabelsLogged, other: LabelsLogged) -> LabelsLogged:
    """waiting is of the whole deployment: the newer one counts."""
    return LabelsLogged(
        received=one.received + other.received,
        new=one.new + other.new,
        unchanged=one.unchanged + other.unchanged,
        corrected=one.corrected + other.corrected,
        repeated=one.repeated + other.repeated,
        matched=one.matched + other.matched,
        waiting=other.waiting,
    )
