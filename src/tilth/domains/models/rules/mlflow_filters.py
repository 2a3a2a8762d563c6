"""What may be asked of registered models, versions and logged models in MLflow's filter strings, and in which order. Pure.

The wording of refusals is MLflow's own, since its clients look for parts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tilth.core.comparisons import Comparison, InvalidComparison, as_set, parse_comparisons, parse_order_item

IS_PROMPT = "mlflow.prompt.is_prompt"

Entity = Literal["attribute", "tag", "param", "metric"]
Value = str | int | float | tuple[str, ...]

_NUMERIC = ("<", "<=", ">", ">=", "=", "!=")
_TEXT = ("=", "!=", "LIKE", "ILIKE")
_LISTS = ("IN", "NOT IN")
_TIMES = {"creation_timestamp": "created", "last_updated_timestamp": "updated"}
_LOGGED_TIMES = {
    **_TIMES,
    "creation_time": "created",
    "last_updated_time": "updated",
    "creation_timestamp_ms": "created",
    "last_updated_timestamp_ms": "updated",
}
_LOGGED_TEXTS = {
    "name": "name",
    "model_id": "id",
    "model_type": "model_type",
    "status": "status",
    "source_run_id": "source_run_id",
}
_STATUS = {
    "READY": "ready",
    "PENDING": "pending",
    "FAILED": "failed",
    "LOGGED_MODEL_READY": "ready",
    "LOGGED_MODEL_PENDING": "pending",
    "LOGGED_MODEL_UPLOAD_FAILED": "failed",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """key: a column for an attribute, else the key of a tag, param or metric. operator: as `core.comparisons` writes it."""

    entity: Entity
    key: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    """entity attribute: `key` is a column; metric: its last value, of one dataset where that is named."""

    key: str
    ascending: bool
    entity: Literal["attribute", "metric"] = "attribute"
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True, slots=True)
class RegistryFilter:
    """prompts: whether prompts, which MLflow keeps among the models, are asked for; else they are left out."""

    conditions: tuple[Condition, ...]
    prompts: bool = False


def registered_models_filter(text: str) -> RegistryFilter:
    """Raises InvalidComparison."""
    return _registry(tuple(_of_registry(each, {"name": "name"}, ("name",), {}) for each in parse_comparisons(text)))


def versions_filter(text: str) -> RegistryFilter:
    """Raises InvalidComparison."""
    texts = {"name": "name", "run_id": "run_id", "source_path": "source"}
    numbers = {"version_number": "version", **_TIMES}
    return _registry(tuple(_of_registry(each, texts, ("name", "run_id"), numbers) for each in parse_comparisons(text)))


def logged_models_filter(text: str) -> tuple[Condition, ...]:
    """Raises InvalidComparison."""
    return tuple(_of_logged(each) for each in parse_comparisons(text))


def registered_models_order(items: Sequence[str]) -> tuple[Order, ...]:
    """Raises InvalidComparison."""
    names = {"name": "name", "timestamp": "updated", "last_updated_timestamp": "updated"}
    known = "{'name', 'timestamp'}"
    return _ordered(items, names, lambda key: f"Invalid order by key '{key}' specified. Valid keys are '{known}'")


def versions_order(items: Sequence[str]) -> tuple[Order, ...]:
    """Raises InvalidComparison."""
    names = {"name": "name", "version_number": "version", **_TIMES}
    return _ordered(items, names, lambda key: f"Invalid attribute key '{key}' specified. Valid keys are '{as_set(names)}'")


def logged_models_order(field: str, ascending: bool, dataset_name: str = "", dataset_digest: str = "") -> Order:
    """Raises InvalidComparison."""
    entity, dot, key = field.partition(".")
    if not dot:
        column = {**_LOGGED_TIMES, **_LOGGED_TEXTS}.get(field)
        if column is None:
            raise InvalidComparison(f"Invalid order by field name: {field}", 0)
        return Order(column, ascending)
    if entity != "metrics":
        raise InvalidComparison(f"Invalid order by field name: {field}. Only metrics are supported.", 0)
    return Order(key.strip('`"'), ascending, "metric", dataset_name, dataset_digest)


def _registry(conditions: tuple[Condition, ...]) -> RegistryFilter:
    for each in conditions:
        if each.entity == "tag" and each.key == IS_PROMPT:
            asked = str(each.value).lower()
            prompts = (each.operator == "=" and asked == "true") or (each.operator == "!=" and asked == "false")
            kept = conditions if prompts else tuple(c for c in conditions if not (c.entity == "tag" and c.key == IS_PROMPT))
            return RegistryFilter(kept, prompts)
    return RegistryFilter(conditions)


def _of_registry(each: Comparison, texts: dict[str, str], listed: Collection[str], numbers: dict[str, str]) -> Condition:
    if each.prefix is not None and each.prefix not in ("attribute", "tag", "tags"):
        raise InvalidComparison(
            f"Invalid entity type '{each.prefix}'. Valid entity types are ('attribute', 'tag', 'tags')", each.position
        )
    if each.prefix in ("tag", "tags"):
        _check_operator(each, _TEXT, "Invalid comparator for tag: ")
        return Condition(
            "tag", each.key, each.operator, _quoted(each, "Expected a quoted string value for tag (e.g. 'my-value').")
        )
    if each.key in numbers:
        _check_operator(each, _NUMERIC, f"Invalid comparator for attribute {each.key}: ")
        return Condition("attribute", numbers[each.key], each.operator, _whole_number(each))
    if each.key not in texts:
        valid = as_set((*texts, *numbers))
        raise InvalidComparison(f"Invalid attribute key '{each.key}' specified. Valid keys are '{valid}'", each.position)
    _check_operator(each, (*_TEXT, *_LISTS) if each.key in listed else _TEXT, "Invalid comparator for attribute: ")
    if each.operator in _LISTS:
        return Condition("attribute", texts[each.key], each.operator, each.texts())
    fault = "Expected a quoted string value or a list of quoted string values for attributes."
    return Condition("attribute", texts[each.key], each.operator, _quoted(each, fault))


def _of_logged(each: Comparison) -> Condition:
    kinds: dict[str, Entity] = {"attributes": "attribute", "metrics": "metric", "params": "param", "tags": "tag"}
    entity = kinds.get(each.prefix or "attributes")
    if entity is None:
        raise InvalidComparison(
            f"Invalid entity type: {each.prefix!r}. Expected one of ['attributes', 'metrics', 'params', 'tags'].", each.position
        )
    name = f"{each.prefix or 'attributes'}.{each.key}"
    if entity == "metric" or (entity == "attribute" and each.key in _LOGGED_TIMES):
        _check_operator(each, _NUMERIC, f"Invalid comparison operator for {name}: ", _NUMERIC)
        return Condition(entity, _LOGGED_TIMES.get(each.key, each.key), each.operator, _number(each))
    if entity == "attribute" and each.key not in _LOGGED_TEXTS:
        known = sorted({**_LOGGED_TIMES, **_LOGGED_TEXTS})
        raise InvalidComparison(f"Invalid attribute key '{each.key}' specified. Valid keys are {known}", each.position)
    texts = (*_TEXT, *_LISTS)
    _check_operator(each, texts, f"Invalid comparison operator for {name}: ", texts)
    value: Value = each.texts() if each.operator in _LISTS else str(each.value) if each.quoted else each.literal
    if entity == "attribute":
        value = _status(value) if each.key == "status" else value
        return Condition(entity, _LOGGED_TEXTS[each.key], each.operator, value)
    return Condition(entity, each.key, each.operator, value)


def _status(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple(_STATUS.get(part.upper(), part) for part in value)
    return _STATUS.get(str(value).upper(), value)


def _check_operator(each: Comparison, allowed: Sequence[str], fault: str, told: Sequence[str] | None = None) -> None:
    if each.operator in allowed:
        return
    shown = f"{each.operator!r}. Expected one of {tuple(told)}." if told is not None else each.operator
    raise InvalidComparison(f"{fault}{shown}", each.position)


def _quoted(each: Comparison, fault: str) -> str:
    if not each.quoted or not isinstance(each.value, str):
        raise InvalidComparison(f"{fault} Got value {each.literal[:200]}", each.value_at)
    return each.value


def _whole_number(each: Comparison) -> int:
    value = each.value
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise InvalidComparison(f"Invalid value for numeric attribute '{each.key}': {each.value!r}", each.value_at)
    return value


def _number(each: Comparison) -> float:
    try:
        return float(each.value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidComparison(f"Expected a number for {each.key!r}. Got value {each.literal[:200]}", each.value_at) from error


def _ordered(items: Sequence[str], names: dict[str, str], fault: Callable[[str], str]) -> tuple[Order, ...]:
    found: list[Order] = []
    for text in items:
        item = parse_order_item(text)
        column = names.get(item.key) if item.prefix in (None, "attribute") else None
        if column is None:
            raise InvalidComparison(fault(text.strip().split(" ")[0]), 0)
        if any(each.key == column for each in found):
            raise InvalidComparison(f"`order_by` contains duplicate fields: {list(items)}", 0)
        found.append(Order(column, item.ascending))
    return tuple(found)
