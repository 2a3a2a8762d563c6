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
    """Which form a body holds, and its content as JSON has it. numeric: it is known to be rows of nothing but numbers and nulls."""

    name: str
    value: Any
    numeric: bool = False


class Table(msgspec.Struct, frozen=True):
    """Either columns by name, all of one length, or rows: all lists (with the names of their places, if given) or all objects.

    numeric: the rows are known to be lists of nothing but numbers and nulls.
    """

    rows: Sequence[Any] = ()
    names: tuple[str, ...] | None = None
    columns: dict[str, list[Any]] | None = None
    numeric: bool = False


_Numbers = list[list[int | float | None]]


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: _Numbers


class _NumberForms(msgspec.Struct, forbid_unknown_fields=True):
    instances: _Numbers | msgspec.UnsetType = msgspec.UNSET
    inputs: _Numbers | msgspec.UnsetType = msgspec.UNSET
    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET


_NUMBERS = msgspec.json.Decoder(_NumberForms)
_MANY_BYTES = 2048
"""Of a body whose values are worth being checked as they are decoded; to try it with a short row of texts would cost more."""


def read_form(body: bytes) -> Form:
    """Raises InvalidBody. NaN and Infinity are no JSON and are refused: a missing value is `null`."""
    if len(body) >= _MANY_BYTES and (quick := _rows_of_numbers(body)) is not None:
        return quick
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


def _rows_of_numbers(body: bytes) -> Form | None:
    """None for any other body, sound or not. It ends at the first value that is no number."""
    try:
        document = _NUMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    match document.instances, document.inputs, document.dataframe_split:
        case list(rows), msgspec.UNSET, msgspec.UNSET:
            return Form("instances", rows, numeric=True)
        case msgspec.UNSET, list(rows), msgspec.UNSET:
            return Form("inputs", rows, numeric=True)
        case msgspec.UNSET, msgspec.UNSET, _Split(columns=names, data=rows):
            return Form("dataframe_split", {"columns": names, "data": rows}, numeric=True)
        case _:
            return None


def table_of(given: Form) -> Table:
    """What the form means for a model that takes columns. Raises InvalidBody and WrongWidth."""
    form, value = given.name, given.value
    match form:
        case "dataframe_split":
            return _split(value, numeric=given.numeric)
        case "instances" | "inputs" if given.numeric:
            return Table(rows=value, numeric=True)
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


def _split(value: Any, *, numeric: bool) -> Table:
    if type(value) is not dict or type(value.get("columns")) is not list or type(value.get("data")) is not list:
        raise InvalidBody('dataframe_split must be {"columns": [names], "data": [[values], ...]}')
    # pandas writes unnamed columns as integers; the signature knows them by their text.
    names = tuple(name if type(name) is str else str(name) for name in value["columns"])
    rows = _rows("dataframe_split.data", value["data"], (list,))
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise WrongWidth(f"dataframe_split row {number} has {len(row)} values for {len(names)} columns")
    return Table(rows=rows, names=names, numeric=numeric)


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
