"""The little language of run lists: `auc>0.7 params.depth=7 status=failed tags.team~"churn" maple`.

Terms stand side by side (or joined by `and`); all must hold. A term is `[entity.]key operator value`, or a bare word, which is looked
for in the run's name. Entities: metrics, params, tags, dataset (name, digest, context), attributes; a bare key is an attribute if it is
one, else a metric, param or tag. Operators: < <= > >= = !=, ~ !~ (contains, without regard to case) and ^= (begins with). Keys and
values with odd characters stand in quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

from tilth.domains.tracking.rules.batches import as_number
from tilth.domains.tracking.types import STATUSES, InvalidGroup, InvalidOrder, InvalidRunFilter

Entity = Literal["metric", "param", "tag", "attribute", "dataset", "any"]
Operator = Literal["<", "<=", ">", ">=", "=", "!=", "~", "!~", "^=", "like", "ilike", "in", "not_in", "is_null", "not_null"]
ORDERED: frozenset[str] = frozenset(("<", "<=", ">", ">="))

MAX_CHARS = 2000
MAX_TERMS = 20
MAX_ORDERS = 10

ENTITIES: dict[str, Entity] = {
    **dict.fromkeys(("metrics", "metric"), "metric"),
    **dict.fromkeys(("params", "param", "parameters", "parameter"), "param"),
    **dict.fromkeys(("tags", "tag"), "tag"),
    **dict.fromkeys(("attributes", "attribute", "attr", "run"), "attribute"),
    **dict.fromkeys(("datasets", "dataset"), "dataset"),
}
DATASET_KEYS = frozenset(("name", "digest", "context"))
ATTRIBUTES = {
    "id": "id",
    "run_id": "id",
    "name": "name",
    "run_name": "name",
    "status": "status",
    "user": "user_name",
    "user_id": "user_id",
    "source": "source",
    "parent": "parent_run_id",
    "experiment": "experiment",
    "start_time": "started",
    "started": "started",
    "end_time": "ended",
    "ended": "ended",
    "duration": "duration",
}
MOMENTS = frozenset(("started", "ended"))
NUMBERS = frozenset(("started", "ended", "duration"))


@dataclass(frozen=True, slots=True)
class Condition:
    """One term. text: the value as written; number: the value as a number, where the comparison is one of numbers.

    For attributes, key is the name of the field; moments are milliseconds, durations seconds.
    like, ilike: text is a pattern with % and _ and no way to escape them. in, not_in: one of values, or none of them.
    is_null: the run lacks the key, or the attribute is not set.
    """

    entity: Entity
    key: str
    operator: Operator
    text: str = ""
    number: float | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """as_text: params are ordered by their text, also where they read as numbers."""

    entity: Entity
    key: str
    descending: bool
    as_text: bool = False


NEWEST_FIRST = Order("attribute", "started", True)

_SPACE = re.compile(r"\s*")
_REF = re.compile(r"""(?:([A-Za-z_]+)\.)?(?:"([^"]*)"|`([^`]*)`|([^\s<>=!~^"'`()]+))\s*(<=|>=|==|!=|!~|\^=|<|>|=|~)\s*""")
_VALUE = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"'`()]+)""")
_WORD = re.compile(r""""([^"]*)"|'([^']*)'|([^\s<>=!~"'`()]+)""")


def parse_filter(text: str) -> tuple[Condition, ...]:
    """The terms of a filter; none for blank text. Raises InvalidRunFilter, which knows the position."""
    if len(text) > MAX_CHARS:
        raise InvalidRunFilter(f"longer than {MAX_CHARS} characters", text, MAX_CHARS)
    terms: list[Condition] = []
    at = _skip(text, 0)
    while at < len(text):
        term, at = _term(text, at)
        if term is not None:
            terms.append(term)
        if len(terms) > MAX_TERMS:
            raise InvalidRunFilter(f"more than {MAX_TERMS} terms", text, at)
        at = _skip(text, at)
    return tuple(terms)


def parse_order(text: str) -> Order:
    """`metrics.auc desc`, `start_time`, `name asc`. Empty text: newest first. Raises InvalidOrder."""
    words = text.strip()
    if not words:
        return NEWEST_FIRST
    head, _, last = words.rpartition(" ")
    descending = last.lower() == "desc"
    key = head.strip() if head and last.lower() in ("asc", "desc") else words
    key = key.replace('"', "").replace("`", "")
    if not key or len(key) > 300:
        raise InvalidOrder(text)
    if key in ATTRIBUTES:
        return Order("attribute", ATTRIBUTES[key], descending)
    prefix, dot, rest = key.partition(".")
    entity = ENTITIES.get(prefix.lower())
    if not dot or entity is None:
        return Order("metric", key, descending)
    if not rest or entity == "dataset" or (entity == "attribute" and rest not in ATTRIBUTES):
        raise InvalidOrder(text)
    return Order(entity, ATTRIBUTES[rest] if entity == "attribute" else rest, descending)


def parse_orders(text: str) -> tuple[Order, ...]:
    """Orders with commas between, the first one first: `metrics.auc desc, start_time`. Raises InvalidOrder."""
    items = re.findall(r"""(?:[^,"`]|"[^"]*"|`[^`]*`|["`])+""", text)
    if len(items) > MAX_ORDERS:
        raise InvalidOrder(text)
    return tuple(parse_order(item) for item in items) or (NEWEST_FIRST,)


def parse_group(text: str) -> tuple[Entity, str]:
    """What runs are grouped by: `params.model`, `tags.team`, or an attribute such as `status`. Raises InvalidOrder."""
    order = parse_order(text)
    if order.entity == "metric" or order.key in NUMBERS:
        raise InvalidGroup(text)
    return order.entity, order.key


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _term(text: str, at: int) -> tuple[Condition | None, int]:
    ref = _REF.match(text, at)
    if ref is None:
        return _bare_word(text, at)
    value = _VALUE.match(text, ref.end())
    if value is None:
        raise InvalidRunFilter(f"a value is missing after {ref[5]!r}", text, ref.end())
    quoted = value[1] if value[1] is not None else value[2]
    written = value[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    entity, key = _resolved(text, ref)
    operator = cast(Operator, "=" if ref[5] == "==" else ref[5])
    return _condition(text, ref.start(), value.start(), entity, key, operator, written), value.end()


def _bare_word(text: str, at: int) -> tuple[Condition | None, int]:
    word = _WORD.match(text, at)
    if word is None:
        what = "parentheses are not part of the language" if text[at] in "()" else f"{text[at]!r} cannot stand here"
        raise InvalidRunFilter(what, text, at)
    written = next(part for part in word.groups() if part is not None)
    if word[3] is not None and written.lower() == "and":
        return None, word.end()
    if word[3] is not None and written.lower() == "or":
        raise InvalidRunFilter("`or` is not part of the language: all terms must hold", text, at)
    return Condition("attribute", "name", "~", written), word.end()


def _resolved(text: str, ref: re.Match[str]) -> tuple[Entity, str]:
    """Entity and key of `[entity.]key`; a dot may also belong to the key itself."""
    prefix, key = ref[1], next(part for part in ref.groups()[1:4] if part is not None)
    entity = ENTITIES.get(prefix.lower()) if prefix else None
    if prefix and entity is None:
        entity, key = "any", f"{prefix}.{key}"
    if entity is None:
        entity = "attribute" if key in ATTRIBUTES else "any"
    if entity == "attribute":
        if key not in ATTRIBUTES:
            raise InvalidRunFilter(f"no attribute {key!r}; there are {', '.join(sorted(ATTRIBUTES))}", text, ref.start())
        key = ATTRIBUTES[key]
    if entity == "dataset" and key not in DATASET_KEYS:
        raise InvalidRunFilter(f"no {key!r} of data sets; there are {', '.join(sorted(DATASET_KEYS))}", text, ref.start())
    return entity, key


def _condition(text: str, at: int, value_at: int, entity: Entity, key: str, operator: Operator, written: str) -> Condition:
    ordered = operator in ORDERED
    contains = operator in ("~", "!~", "^=")
    if entity == "attribute" and key == "status" and not contains and written.lower() not in STATUSES:
        raise InvalidRunFilter(f"no status {written!r}; there are {', '.join(sorted(STATUSES))}", text, value_at)
    if entity == "attribute" and key == "status":
        written = written.lower()
    numeric = entity == "metric" or (entity == "attribute" and key in NUMBERS)
    if numeric and contains:
        raise InvalidRunFilter(f"{operator!r} searches text, but this is a number", text, at)
    if ordered and (entity in ("tag", "dataset") or (entity == "attribute" and not numeric)):
        raise InvalidRunFilter(f"{operator!r} compares numbers, but this is text: use =, !=, ~ or !~", text, at)
    number = None if contains or entity == "dataset" else _number(entity, key, written)
    if number is None and (numeric or ordered):
        raise InvalidRunFilter(f"{written!r} is not a number" + (" or a date" if key in MOMENTS else ""), text, value_at)
    return Condition(entity, key, operator, written, number)


def _number(entity: Entity, key: str, written: str) -> float | None:
    number = as_number(written)
    if number is None and entity == "attribute" and key in MOMENTS:
        try:
            moment = datetime.fromisoformat(written)
        except ValueError:
            return None
        return float(round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))
    if number is None and entity in ("metric", "any") and written.lower().lstrip("+-") in ("inf", "infinity"):
        return float(written)
    return number
