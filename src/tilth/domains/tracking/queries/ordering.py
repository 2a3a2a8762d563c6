"""Orders of runs as SQL: the terms of ORDER BY, the index that an order can be read from, and the rows after a place.

Missing values come last, NaN before them; then newest first, then by id. The values of these terms for a run are its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, false, or_

from tilth.domains.tracking.queries.filters import attribute
from tilth.domains.tracking.rules.filters import Order
from tilth.domains.tracking.rules.page_tokens import Value
from tilth.domains.tracking.tables import metric_last, param, run, tag

_NULLABLE = frozenset(("ended", "duration", "parent_run_id"))


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One term of ORDER BY. nullable: it may be NULL, which comes last whatever the direction."""

    expression: Any
    descending: bool
    nullable: bool = False

    def sql(self) -> list[Any]:
        directed = self.expression.desc() if self.descending else self.expression
        return [self.expression.is_(None), directed] if self.nullable else [directed]

    def equals(self, value: Value) -> ColumnElement[bool]:
        return self.expression.is_(None) if value is None else self.expression == value  # type: ignore[no-any-return]

    def follows(self, value: Value) -> ColumnElement[bool]:
        """Whether the term's value comes after `value`."""
        if value is None:
            return false()
        beyond = self.expression < value if self.descending else self.expression > value
        return or_(beyond, self.expression.is_(None)) if self.nullable else beyond


STARTED, ID = Term(run.c.started, True), Term(run.c.id, False)


@dataclass(frozen=True, slots=True)
class Sorting:
    """terms: the whole order, STARTED and ID at the end. joins: tables to join from the left, each with its ON."""

    terms: tuple[Term, ...]
    joins: tuple[tuple[Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an order that one index yields. The phases of an order follow each other.

    source: the table whose index is read, joined to `run`; None to read runs by start. where: what rows of the phase meet.
    fixed: the values that the first terms of the whole order have in this phase; the rest is `terms`.
    """

    source: Any | None
    where: tuple[Any, ...]
    terms: tuple[Term, ...]
    fixed: tuple[Value, ...]
    joins: tuple[tuple[Any, Any], ...] = field(default=())

    def holds(self, place: Sequence[Value]) -> bool:
        """Whether a place of the whole order lies in this phase; of several that hold the last is meant."""
        return all(have == want for have, want in zip(place, self.fixed, strict=False))


def sorting(orders: Sequence[Order]) -> Sorting:
    """The general form of an order, for a set of runs that is known already."""
    terms: list[Term] = []
    joins: list[tuple[Any, Any]] = []
    for number, order in enumerate(orders):
        if order.entity == "attribute":
            terms.append(Term(attribute(order.key), order.descending, order.key in _NULLABLE))
            continue
        source = _table(order).alias(f"ordering_{number}")
        joins.append((source, and_(source.c.run_id == run.c.id, source.c.key == order.key)))
        terms += _terms_of(order, source)
    return Sorting((*terms, STARTED, ID), tuple(joins))


def comes_after(terms: Sequence[Term], place: Sequence[Value]) -> ColumnElement[bool]:
    """Whether a row comes after `place` in the order of the terms."""
    ways: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for term, value in zip(terms, place, strict=True):
        ways.append(and_(*equal, term.follows(value)))
        equal.append(term.equals(value))
    anywhere = or_(*ways)
    first, value = terms[0], place[0]
    if first.nullable or value is None:
        return anywhere
    # Says the same once more of the first term alone, so that an index is entered at the right place.
    return and_(first.expression <= value if first.descending else first.expression >= value, anywhere)


def phases(orders: Sequence[Order]) -> list[Phase] | None:
    """The parts of an order that indexes yield, or None if none does and runs must be sorted."""
    if not orders or (orders[0].entity == "attribute" and orders[0].key == "started"):
        whole = sorting(orders)
        return [Phase(None, (), whole.terms, (), whole.joins)]
    first = orders[0]
    if first.entity == "attribute":
        return None
    rest = sorting(orders[1:])
    table = _table(first).alias("ordering")
    lacks = exists().where(table.c.run_id == run.c.id, table.c.key == first.key)
    own = _terms_of(first, table)
    match first.entity:
        case "metric":
            with_source = _from_source(rest.terms, table)
            value = Term(table.c.value, first.descending)
            return [
                Phase(table, (table.c.value.is_not(None),), (value, *with_source), (0,), rest.joins),
                Phase(table, (table.c.value.is_(None),), with_source, (1, None), rest.joins),
                Phase(None, (~lacks,), rest.terms, (2, None), rest.joins),
            ]
        case "param" if not first.as_text:
            number, prefix = (Term(term.expression, term.descending) for term in own)
            return [
                Phase(table, (table.c.number.is_not(None),), (number, prefix, *rest.terms), (), rest.joins),
                Phase(table, (table.c.number.is_(None),), (prefix, *rest.terms), (None,), rest.joins),
                Phase(None, (~lacks,), rest.terms, (None, None), rest.joins),
            ]
        case _:
            prefix = Term(own[0].expression, own[0].descending)
            return [
                Phase(table, (), (prefix, *rest.terms), (), rest.joins),
                Phase(None, (~lacks,), rest.terms, (None,), rest.joins),
            ]


def _from_source(terms: tuple[Term, ...], table: Any) -> tuple[Term, ...]:
    """`metric_last` repeats the start and the id of its run, so that its index alone yields the order."""
    repeated = {STARTED: Term(table.c.started, True), ID: Term(table.c.run_id, False)}
    return tuple(repeated.get(term, term) for term in terms)


def _table(order: Order) -> Any:
    return {"param": param, "tag": tag}.get(order.entity, metric_last)


def _terms_of(order: Order, source: Any) -> list[Term]:
    if order.entity == "param" and order.as_text:
        return [Term(source.c.prefix, order.descending, True)]
    if order.entity == "param":
        return [Term(source.c.number, order.descending, True), Term(source.c.prefix, order.descending, True)]
    if order.entity == "tag":
        return [Term(source.c.prefix, order.descending, True)]
    rank = case((source.c.run_id.is_(None), 2), (source.c.value.is_(None), 1), else_=0)
    return [Term(rank, False), Term(source.c.value, order.descending, True)]
