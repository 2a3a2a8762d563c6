"""Filters and orders of runs as MLflow's clients write them, turned into the conditions and orders of the native language.

Texts of errors are MLflow's own, since clients match them. Params and tags compare as text here, also where they read as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NoReturn, cast

from tilth.core.comparisons import Comparison, InvalidComparison, as_set, parse_comparisons, parse_order_item
from tilth.domains.tracking.rules.filters import DATASET_KEYS, Condition, Entity, Operator, Order

MAX_PATTERN_CHARS = 10_000
MAX_ORDERS = 20

NUMERIC = frozenset(("=", "!=", "<", "<=", ">", ">="))
TEXTS = frozenset(("=", "!=", "LIKE", "ILIKE"))
PRESENCE = frozenset(("IS NULL", "IS NOT NULL"))
LISTS = frozenset(("IN", "NOT IN"))

_ENTITIES: dict[str, Entity] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("parameter", "parameters", "param", "params"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_ATTRIBUTES = {
    "run_id": "id",
    "run_name": "name",
    "run name": "name",
    "Run name": "name",
    "Run Name": "name",
    "status": "status",
    "user_id": "user_name",
    "artifact_uri": "artifact_uri",
    "start_time": "started",
    "created": "started",
    "Created": "started",
    "end_time": "ended",
}
_ORDER_ATTRIBUTES = {key: field for key, field in _ATTRIBUTES.items() if "un " not in key}
_MOMENTS = frozenset(("started", "ended"))
_SHOWN_ENTITY = {"metric": "metric", "param": "parameter", "tag": "tag", "attribute": "attribute", "dataset": "dataset"}
_OPERATORS: dict[str, Operator] = {
    **{sign: cast(Operator, sign) for sign in NUMERIC},
    "LIKE": "like",
    "ILIKE": "ilike",
    "IN": "in",
    "NOT IN": "not_in",
    "IS NULL": "is_null",
    "IS NOT NULL": "not_null",
}
STATUS_NAMES = {
    "scheduled": "SCHEDULED",
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
    "lost": "FAILED",
}
"""Our statuses as MLflow knows them."""


def parse_mlflow_filter(text: str) -> tuple[Condition, ...]:
    """The terms of a filter such as `metrics.auc > 0.7 AND params.model = 'xgb'`. Raises InvalidComparison."""
    return tuple(_condition(comparison) for comparison in parse_comparisons(text))


def parse_mlflow_orders(items: Sequence[str]) -> tuple[Order, ...]:
    """The items of an order_by list such as `["metrics.auc DESC", "start_time"]`. Raises InvalidComparison."""
    if len(items) > MAX_ORDERS:
        raise InvalidComparison(f"Invalid order_by: {len(items)} items, and at most {MAX_ORDERS} are allowed", 0)
    return tuple(_order(item) for item in items)


def _order(text: str) -> Order:
    item = parse_order_item(text)
    entity = _entity(item.prefix, 0)
    if entity == "dataset":
        raise InvalidComparison("Invalid identifier type 'dataset'", 0)
    key = item.key
    if entity == "attribute":
        if key not in _ORDER_ATTRIBUTES:
            _refuse_attribute(key, _ORDER_ATTRIBUTES, 0)
        key = _ORDER_ATTRIBUTES[key]
    return Order(entity, key, not item.ascending, as_text=entity == "param")


def _condition(term: Comparison) -> Condition:
    entity = _entity(term.prefix, term.position)
    if term.operator in PRESENCE and entity not in ("param", "tag"):
        raise InvalidComparison(
            f"IS NULL / IS NOT NULL is only supported for tags and params, not for '{_SHOWN_ENTITY[entity]}' '{term.key}'",
            term.position,
        )
    match entity:
        case "metric":
            return _number(term, entity, term.key, "metric")
        case "param" | "tag":
            return _text(term, entity)
        case "dataset":
            return _dataset(term)
        case _:
            return _attribute(term)


def _entity(prefix: str | None, at: int) -> Entity:
    entity = _ENTITIES.get(prefix) if prefix is not None else "attribute"
    if entity is None:
        raise InvalidComparison(
            f"Invalid entity type '{prefix}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']", at
        )
    return entity


def _refuse_attribute(key: str, known: dict[str, str], at: int) -> NoReturn:
    raise InvalidComparison(f"Invalid attribute key '{key}' specified. Valid keys are '{as_set(known)}'", at)


def _operator(term: Comparison, allowed: frozenset[str]) -> Operator:
    if term.operator not in allowed:
        # The texts of MLflow close this quote for params alone.
        closing = "'" if _ENTITIES.get(term.prefix or "") == "param" else ""
        raise InvalidComparison(f"Invalid comparator '{term.operator}' not one of '{as_set(allowed)}{closing}", term.position)
    return _OPERATORS[term.operator]


def _number(term: Comparison, entity: Entity, key: str, what: str) -> Condition:
    if isinstance(term.value, str | tuple) or term.value is None:
        raise InvalidComparison(f"Expected numeric value type for {what}. Found {term.literal[:200]}", term.value_at)
    return Condition(entity, key, _operator(term, NUMERIC), term.literal, float(term.value))


def _quoted(term: Comparison, expected: str) -> str:
    """The text that a comparison asks for. Raises InvalidComparison for a bare word or a number."""
    if not isinstance(term.value, str):
        raise InvalidComparison(f"{expected} Got value {term.literal[:200]}", term.value_at)
    if not term.quoted:
        raise InvalidComparison(
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{term.literal[:200]}. Use either single or double quotes.",
            term.value_at,
        )
    if len(term.value) > MAX_PATTERN_CHARS:
        raise InvalidComparison(f"Invalid value: longer than {MAX_PATTERN_CHARS} characters", term.value_at)
    return term.value


def _text(term: Comparison, entity: Entity) -> Condition:
    if term.operator in PRESENCE:
        return Condition(entity, term.key, _OPERATORS[term.operator])
    text = _quoted(term, f"Expected a quoted string value for {_SHOWN_ENTITY[entity]} (e.g. 'my-value').")
    return Condition(entity, term.key, _operator(term, TEXTS | PRESENCE), text)


def _dataset(term: Comparison) -> Condition:
    if term.key not in DATASET_KEYS:
        raise InvalidComparison(
            f"Invalid dataset key '{term.key}' specified. Valid keys are '{as_set(DATASET_KEYS)}'", term.position
        )
    if isinstance(term.value, tuple):
        return Condition("dataset", term.key, _operator(term, LISTS), values=term.texts())
    text = _quoted(term, "Expected a quoted string value for dataset attributes.")
    operator = _operator(term, TEXTS | LISTS)
    if operator in ("in", "not_in"):
        term.texts()
    return Condition("dataset", term.key, operator, text)


def _attribute(term: Comparison) -> Condition:
    field = _ATTRIBUTES.get(term.key)
    if field is None:
        _refuse_attribute(term.key, _ATTRIBUTES, term.position)
    if field in _MOMENTS:
        return _number(term, "attribute", field, f"numeric attribute: {term.key}")
    if isinstance(term.value, tuple):
        if field != "id":
            raise InvalidComparison(
                "Only ['run_id'] attributes support comparison with a list of quoted string values.", term.value_at
            )
        return Condition("attribute", field, _operator(term, LISTS), values=term.texts())
    text = _quoted(term, "Expected a quoted string value for attributes.")
    operator = _operator(term, TEXTS | LISTS)
    if operator in ("in", "not_in"):
        term.texts()
    return _status(operator, text) if field == "status" else Condition("attribute", field, operator, text)


def _status(operator: Operator, text: str) -> Condition:
    """Decided here, since what MLflow calls FAILED are two of our statuses."""
    meets = _STATUS_TESTS[operator]
    met = tuple(status for status, shown in STATUS_NAMES.items() if meets(shown, text))
    return Condition("attribute", "status", "in", text, values=met)


def _like(shown: str, pattern: str) -> bool:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in re.sub("%+", "%", pattern))
    return re.fullmatch("".join(parts), shown, re.DOTALL) is not None


_STATUS_TESTS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda shown, text: shown == text,
    "!=": lambda shown, text: shown != text,
    "like": _like,
    "ilike": lambda shown, text: _like(shown, text.upper()),
}
