"""MLflow's dialect of JSON: its errors, how its requests are read and its answers written. The objects stand in `mlflow_tracking` and
`mlflow_registry`.

It is proto3 JSON with names in snake_case: whole numbers may come as text, unknown fields are ignored, fields without a value are left
out of an answer, and NaN is the text "NaN". The wording of errors is MLflow's own, since its clients look for parts of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar, Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from tilth.core.errors import TilthError

SPOKEN_VERSION: Final = "3.17.2"
"""The version of MLflow whose protocol this is."""

STATUS: Final = {
    "INVALID_PARAMETER_VALUE": 400,
    "BAD_REQUEST": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL_ERROR": 500,
    "INVALID_STATE": 500,
    "DATA_LOSS": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Error code -> HTTP status. Clients retry 408, 429, 500, 502, 503 and 504 for minutes: what is the caller's fault is never one of them."""

MAX_FLOAT: Final = 1.7976931348623157e308
MAX_INT64: Final = 2**63 - 1
SEE_DOCS: Final = " See the API docs for more information about request parameters."

T = TypeVar("T", bound="Asked")


class MlflowError(TilthError):
    """A refusal in MLflow's own words. Raised only behind MLflow's addresses, where the error table writes it in MLflow's form."""

    kind = "invalid"

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code

    @property
    def status(self) -> int:
        return STATUS[self.error_code]


class ErrorAnswer(Struct):
    error_code: str
    message: str


class Asked(Struct):
    """Base of requests. REQUIRED: fields that must hold something; the empty text counts as nothing.

    Declare fields in the order in which MLflow checks them: of several faults the first is told.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def explain(cls, given: dict[str, Any]) -> None:
        """Raises MlflowError for a fault below the fields, which only the request itself can put into words."""


class Answer(Struct, omit_defaults=True):
    """Base of answers: what has no value is left out."""


class KeyValue(Answer):
    """A tag or a param."""

    key: str | None = None
    value: str | None = None


class Nothing(Answer):
    """The answer `{}` of calls that only do something."""


def invalid(message: str) -> MlflowError:
    return MlflowError("INVALID_PARAMETER_VALUE", message)


def missing(parameter: str) -> MlflowError:
    return invalid(f"Missing value for required parameter '{parameter}'.{SEE_DOCS}")


def invalid_value(parameter: str, value: Any, hint: str = "") -> str:
    """MLflow's sentence about a value that cannot be."""
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
    shown = shown if len(shown) <= 500 else shown[:500] + "..."
    return f"Invalid value {shown} for parameter '{parameter}' supplied" + (f": {hint}" if hint else ".")


def to_wire(value: float | None) -> float | str:
    """A metric's value as MLflow writes it. None is NaN; the infinities become the greatest finite numbers."""
    if value is None or math.isnan(value):
        return "NaN"
    return max(-MAX_FLOAT, min(MAX_FLOAT, value))


def from_body(body: bytes, wanted: type[T]) -> T:
    """Reads a JSON body. No body counts as `{}`. Raises MlflowError (400)."""
    try:
        asked: T = _decoder(wanted).decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        asked = _read_slowly(body, wanted)
    _check(asked, wanted)
    return asked


def from_query(pairs: Iterable[tuple[str, str]], wanted: type[T]) -> T:
    """Reads a query string: a field that is a list takes every value of its key, any other the first. Raises MlflowError (400)."""
    kinds = _kinds(wanted)
    given: dict[str, Any] = {}
    for name, value in pairs:
        if kinds.get(name) is list:
            given.setdefault(name, []).append(value)
        elif name in kinds:
            given.setdefault(name, value)
    asked = _converted(given, wanted)
    _check(asked, wanted)
    return asked


def to_body(answer: Struct) -> bytes:
    return _encode(answer)


_encode = msgspec.json.Encoder().encode


@cache
def _decoder(wanted: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(wanted, strict=False)


@cache
def _kinds(wanted: type[Struct]) -> dict[str, type]:
    """What each field is at heart: str, int, float, bool, list or a struct."""
    hints = get_type_hints(wanted)
    kinds: dict[str, type] = {}
    for name in wanted.__struct_fields__:
        plain = [kind for kind in get_args(hints[name]) if kind is not type(None)] if _is_union(hints[name]) else [hints[name]]
        kinds[name] = getattr(plain[0], "__origin__", plain[0])
    return kinds


def _is_union(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _read_slowly(body: bytes, wanted: type[T]) -> T:
    """The way of requests that the decoder refused: finds the words, and lets pass what MLflow lets pass (bare NaN, doubled encoding)."""
    try:
        given = json.loads(body)
        if isinstance(given, str):
            given = json.loads(given)
        # Half a surrogate pair is no text: nothing could store it, nor write it into the answer that refuses it.
        json.dumps(given, ensure_ascii=False).encode()
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise MlflowError("BAD_REQUEST", f"Bad Request. The body is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise MlflowError("BAD_REQUEST", f"Bad Request. The body must be a JSON object, got {type(given).__name__}.")
    return _converted(given, wanted)


def _converted(given: dict[str, Any], wanted: type[T]) -> T:
    try:
        return msgspec.convert(given, wanted, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _first_fault(given, wanted, error) from error


def _first_fault(given: dict[str, Any], wanted: type[Asked], error: Exception) -> MlflowError:
    for name, kind in _kinds(wanted).items():
        value = given.get(name)
        if value is None or value == "":
            if name in wanted.REQUIRED:
                return missing(name)
            if value is None or kind is str:
                continue
        if not _reads_as(value, kind):
            return invalid(invalid_value(name, value, f" Hint: Value was of type '{type(value).__name__}'.") + SEE_DOCS)
    wanted.explain(given)
    path = str(error).rpartition("`$")[2].strip("`")
    return invalid(f"Invalid value for parameter '{path.lstrip('.') or 'body'}' supplied: {error}.{SEE_DOCS}")


def _reads_as(value: Any, kind: type) -> bool:
    try:
        if kind is int:
            return not isinstance(value, (dict, list, bool)) and -MAX_INT64 - 1 <= int(value) <= MAX_INT64
        if kind is float:
            return not isinstance(value, (dict, list, bool)) and float(value) is not None
    except (TypeError, ValueError, OverflowError):
        return False
    if issubclass(kind, Struct):
        return isinstance(value, dict)
    return isinstance(value, kind)


def _check(asked: Asked, wanted: type[Asked]) -> None:
    for name in wanted.REQUIRED:
        value = getattr(asked, name)
        if value is None or value == "":
            raise missing(name)
    for name in _whole_numbers(wanted):
        value = getattr(asked, name)
        if value is not None and not -MAX_INT64 - 1 <= value <= MAX_INT64:
            raise invalid(invalid_value(name, value) + SEE_DOCS)


@cache
def _whole_numbers(wanted: type[Asked]) -> tuple[str, ...]:
    return tuple(name for name, kind in _kinds(wanted).items() if kind is int)
