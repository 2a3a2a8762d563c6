"""Filters and orders of experiments as MLflow's clients write them: `name LIKE 'churn%' AND tags.team = 'growth'`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tilth.core.comparisons import Comparison, InvalidComparison, as_set, parse_comparisons, parse_order_item

_NUMERIC: Final = frozenset(("creation_time", "last_update_time"))
_KEYS: Final = ("creation_time", "experiment_id", "last_update_time", "name")
_ORDERED: Final = frozenset(("=", "!=", "<", "<=", ">", ">="))
_TEXT: Final = frozenset(("=", "!=", "LIKE", "ILIKE"))
_LISTED: Final = frozenset(("=", "!=", "IN", "NOT IN"))
_PRESENCE: Final = frozenset(("IS NULL", "IS NOT NULL"))
MAX_ORDERS: Final = 20


@dataclass(frozen=True, slots=True)
class ExperimentTerm:
    """key: of a tag, or the name of a field as the protocol has it. value: text, a whole number, numbers of a list, None for presence."""

    is_tag: bool
    key: str
    operator: str
    value: str | int | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class ExperimentOrder:
    key: str
    descending: bool


NEWEST_FIRST: Final = (ExperimentOrder("creation_time", True), ExperimentOrder("experiment_id", False))


def parse_experiment_filter(text: str) -> tuple[ExperimentTerm, ...]:
    """Raises InvalidComparison."""
    return tuple(_term(comparison) for comparison in parse_comparisons(text))


def parse_experiment_orders(items: Sequence[str]) -> tuple[ExperimentOrder, ...]:
    """Newest first without items. Raises InvalidComparison."""
    if len(items) > MAX_ORDERS:
        raise InvalidComparison(f"Invalid order_by: {len(items)} items, and at most {MAX_ORDERS} are allowed", 0)
    orders: list[ExperimentOrder] = []
    for text in items:
        item = parse_order_item(text)
        if _is_tag(item.prefix, 0):
            raise InvalidComparison("Invalid order_by entity: tag", 0)
        _check_key(item.key, 0)
        orders.append(ExperimentOrder(item.key, not item.ascending))
    return tuple(orders) or NEWEST_FIRST


def _term(term: Comparison) -> ExperimentTerm:
    if _is_tag(term.prefix, term.position):
        if term.operator in _PRESENCE:
            return ExperimentTerm(True, term.key, term.operator, None)
        if term.operator not in _TEXT:
            raise InvalidComparison(f"Invalid comparator for tag: {term.operator}", term.position)
        return ExperimentTerm(True, term.key, term.operator, _quoted(term, "tag (e.g. 'my-value')"))
    _check_key(term.key, term.position)
    if term.operator in _PRESENCE:
        raise InvalidComparison(
            f"IS NULL / IS NOT NULL is only supported for tags, not for attribute '{term.key}'", term.position
        )
    if term.key == "experiment_id":
        return _by_number(term)
    if term.key in _NUMERIC:
        if not isinstance(term.value, int):
            raise InvalidComparison(
                f"Expected numeric value type for numeric attribute: {term.key}. Found {term.literal[:200]}", term.value_at
            )
        _check_operator(term, _ORDERED)
        return ExperimentTerm(False, term.key, term.operator, _within(term.value))
    if isinstance(term.value, tuple):
        raise InvalidComparison(
            "Only ['experiment_id'] attributes support comparison with a list of quoted string values.", term.value_at
        )
    text = _quoted(term)
    _check_operator(term, _TEXT)
    return ExperimentTerm(False, term.key, term.operator, text)


def _check_operator(term: Comparison, allowed: frozenset[str]) -> None:
    if term.operator not in allowed:
        known = allowed if allowed == _ORDERED else _TEXT | _LISTED
        raise InvalidComparison(f"Invalid comparator '{term.operator}' not one of '{as_set(known)}'", term.position)


def _by_number(term: Comparison) -> ExperimentTerm:
    if term.operator not in _LISTED:
        raise InvalidComparison(f"Invalid comparator for experiment_id: {term.operator}", term.position)
    if isinstance(term.value, tuple):
        return ExperimentTerm(False, term.key, term.operator, tuple(_number(text, term.value_at) for text in term.texts()))
    return ExperimentTerm(False, term.key, term.operator, _number(_quoted(term), term.value_at))


def _number(text: str, at: int) -> int:
    try:
        return _within(int(text))
    except ValueError:
        raise InvalidComparison(f"Invalid experiment ID '{text[:100]}'. Experiment ID must be a valid integer.", at) from None


def _within(number: int) -> int:
    """Within 63 bits, so that every database can compare it."""
    return max(-(2**62), min(2**62, number))


def _quoted(term: Comparison, what: str = "attributes") -> str:
    if not isinstance(term.value, str):
        raise InvalidComparison(f"Expected a quoted string value for {what}. Got value {term.literal[:200]}", term.value_at)
    if not term.quoted:
        raise InvalidComparison(
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{term.literal[:200]}. Use either single or double quotes.",
            term.value_at,
        )
    return term.value


def _is_tag(prefix: str | None, at: int) -> bool:
    if prefix not in (None, "attribute", "tag", "tags"):
        raise InvalidComparison(f"Invalid entity type '{prefix}'. Valid entity types are ('attribute', 'tag', 'tags')", at)
    return prefix in ("tag", "tags")


def _check_key(key: str, at: int) -> None:
    if key not in _KEYS:
        raise InvalidComparison(f"Invalid attribute key '{key}' specified. Valid keys are '{as_set(_KEYS)}'", at)
