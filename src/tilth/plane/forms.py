"""MLflow's JSON forms: `dataframe_split`, `dataframe_records`, `instances` and `inputs`. Knows nothing of the model. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tilth.core.errors import Invalid

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_EXAMPLE = '{"instances": [[...], ...]} or {"dataframe_split": {"columns": [...], "data": [[...], ...]}}'


class InvalidBody(Invalid):
    """The body is not JSON, or not one of the forms."""


class WrongWidth(Invalid):
    """A row or column has another number of values than the rest needs."""


class Form(msgspec.Struct, frozen=True):
    """Which form a body holds, and its content as JSON has it."""

    name: str
    value: Any


class Table(msgspec.Struct, frozen=True):
    """Either columns by name, all of one length, or rows: all lists (with the names of their places, if given) or all objects."""

    rows: Sequence[Any] = ()
    names: tuple[str, ...] | None = None
    columns: dict[str, list[Any]] | None = None


def read_form(body: bytes) -> Form:
    """Raises InvalidBody. NaN and Infinity are no JSON and are refused: a missing value is `null`."""
    document = decode_json(body)
    if type(document) is not dict:
        raise InvalidBody(f"the body must be a JSON object such as {_EXAMPLE}, not {kind_of(document)}")
    found = [form for form in FORMS if form in document]
    if len(found) != 1:
        has = ", ".join(found) or "none"
        raise InvalidBody(f"the body must hold exactly one of {', '.join(FORMS)}; it has {has}. Send for example {_EXAMPLE}")
    if len(document) > 1:
        unknown = [name for name in document if name not in (found[0], "params")]
        if unknown:
            raise InvalidBody(f"field {unknown[0][:80]!r} is unknown; beside {found[0]} only 'params' may stand")
    return Form(found[0], document[found[0]])


def table_of(given: Form) -> Table:
    """What the form means for a model that takes columns. Raises InvalidBody and WrongWidth."""
    form, value = given.name, given.value
    match form:
        case "dataframe_split":
            return _split(value)
        case "dataframe_records":
            return Table(rows=_rows(form, value, (dict,)))
        case _:
            return _by_column(form, value) if type(value) is dict else Table(rows=_rows(form, value, (list, dict)))


def decode_json(body: bytes) -> Any:
    """Raises InvalidBody."""
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise InvalidBody("the body is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "; NaN and Infinity are not JSON, send null for a missing value" if _looks_unjson(body) else ""
        raise InvalidBody(f"the body is not valid JSON: {error}{hint}") from error


def _looks_unjson(body: bytes) -> bool:
    return b"NaN" in body or b"Infinity" in body


def _split(value: Any) -> Table:
    if type(value) is not dict or type(value.get("columns")) is not list or type(value.get("data")) is not list:
        raise InvalidBody('dataframe_split must be {"columns": [names], "data": [[values], ...]}')
    # pandas writes unnamed columns as integers; the signature knows them by their text.
    names = tuple(name if type(name) is str else str(name) for name in value["columns"])
    rows = _rows("dataframe_split.data", value["data"], (list,))
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise WrongWidth(f"dataframe_split row {number} has {len(row)} values for {len(names)} columns")
    return Table(rows=rows, names=names)


def _rows(form: str, value: Any, kinds: tuple[type, ...]) -> list[Any]:
    expected = " or all ".join("lists of values" if kind is list else "objects" for kind in kinds)
    if type(value) is not list:
        raise InvalidBody(f"{form} must be a list of rows, all {expected}; got {kind_of(value)}")
    met = set(map(type, value))
    if len(met) > 1 or not met.issubset(kinds):
        first = type(value[0]) if type(value[0]) in kinds else None
        row = next(number for number, item in enumerate(value) if type(item) is not first)
        raise InvalidBody(f"{form} must hold rows that are all {expected}; row {row} is {kind_of(value[row])}")
    return value


def _by_column(form: str, value: dict[str, Any]) -> Table:
    lengths: dict[str, int] = {}
    for name, column in value.items():
        if type(column) is not list:
            raise InvalidBody(f"{form} column {name[:80]!r} must be a list of values, not {kind_of(column)}")
        lengths[name] = len(column)
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name[:40]!r} {length}" for name, length in list(lengths.items())[:8])
        raise WrongWidth(f"the columns of {form} have different lengths: {shown}")
    return Table(columns=value)


def kind_of(value: Any) -> str:
    """What JSON calls it, for a message."""
    names = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return names.get(type(value), "null")
