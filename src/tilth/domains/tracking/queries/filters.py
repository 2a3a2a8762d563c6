"""Run filters and orders as SQL. Every condition is answered by a primary key or an order index."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal, not_, or_, select

from tilth.domains.tracking.rules.filters import Condition, Order
from tilth.domains.tracking.tables import experiment, metric_last, param, run, tag

_of_run = experiment.alias("of_run")
_ATTRIBUTES: dict[str, Any] = {
    "id": run.c.id,
    "name": run.c.name,
    "status": run.c.status,
    "user_name": run.c.user_name,
    "user_id": run.c.user_id,
    "source": run.c.source,
    "parent_run_id": run.c.parent_run_id,
    "experiment": select(_of_run.c.name).where(_of_run.c.id == run.c.experiment_id).correlate(run).scalar_subquery(),
    "started": run.c.started,
    "ended": run.c.ended,
    "duration": (run.c.ended - run.c.started) / 1000.0,
}


def condition_sql(condition: Condition) -> ColumnElement[bool]:
    """Whether a row of `run` meets the condition. A run that lacks the key never does, `!=` and `!~` included."""
    match condition.entity:
        case "attribute":
            return _compared(_ATTRIBUTES[condition.key], condition)
        case "metric":
            return _metric(condition)
        case "param":
            return _param(condition)
        case "tag":
            return _tag(condition)
        case "any" if condition.operator in ("<", "<=", ">", ">="):
            return or_(_metric(condition), _param(condition))
        case "any":
            metrics = [_metric(condition)] if condition.number is not None else []
            return or_(*metrics, _param(condition), _tag(condition))


def order_sql(order: Order) -> tuple[Any | None, list[Any]]:
    """A table to join from the left (None: none), and the terms of ORDER BY: missing values and NaN last, then newest first."""
    newest = [run.c.started.desc(), run.c.id.desc()]
    if order.entity == "attribute":
        column = _ATTRIBUTES[order.key]
        if order.key == "started":
            return None, newest if order.descending else [run.c.started, run.c.id]
        return None, [column.is_(None), column.desc() if order.descending else column, *newest]
    source, columns = _ordered_columns(order)
    terms: list[Any] = []
    for column in columns:
        terms += [column.is_(None), column.desc() if order.descending else column]
    return source, [*terms, *newest]


def _ordered_columns(order: Order) -> tuple[Any, list[Any]]:
    if order.entity == "param":
        joined = param.alias("ordering")
        return (joined, and_(joined.c.run_id == run.c.id, joined.c.key == order.key)), [joined.c.number, joined.c.prefix]
    if order.entity == "tag":
        joined = tag.alias("ordering")
        return (joined, and_(joined.c.run_id == run.c.id, joined.c.key == order.key)), [joined.c.prefix]
    joined = metric_last.alias("ordering")
    return (joined, and_(joined.c.run_id == run.c.id, joined.c.key == order.key)), [joined.c.value]


def _metric(condition: Condition) -> ColumnElement[bool]:
    return exists().where(
        metric_last.c.run_id == run.c.id,
        metric_last.c.key == condition.key,
        metric_last.c.is_nan.is_(False),
        _compared(metric_last.c.value, condition),
    )


def _tag(condition: Condition) -> ColumnElement[bool]:
    return exists().where(tag.c.run_id == run.c.id, tag.c.key == condition.key, _text(tag.c.value, condition))


def _param(condition: Condition) -> ColumnElement[bool]:
    mine = and_(param.c.run_id == run.c.id, param.c.key == condition.key)
    if condition.number is None:
        return exists().where(mine, _text(param.c.value, condition))
    numeric = _compared(param.c.number, condition)
    if condition.operator == "=":
        # `depth=7` finds "7" and "7.0"; `version=1e3` also finds the text itself.
        return exists().where(mine, or_(numeric, param.c.value == condition.text))
    if condition.operator == "!=":
        return exists().where(mine, or_(param.c.number.is_(None), numeric))
    return exists().where(mine, numeric)


def _compared(column: Any, condition: Condition) -> ColumnElement[bool]:
    if condition.number is None:
        return _text(column, condition)
    value = literal(condition.number)
    match condition.operator:
        case "<":
            compared = column < value
        case "<=":
            compared = column <= value
        case ">":
            compared = column > value
        case ">=":
            compared = column >= value
        case "!=":
            compared = column != value
        case _:
            compared = column == value
    return compared  # type: ignore[no-any-return]


def _text(column: Any, condition: Condition) -> ColumnElement[bool]:
    match condition.operator:
        case "~":
            return func.lower(column).contains(condition.text.lower(), autoescape=True)
        case "!~":
            return not_(func.lower(column).contains(condition.text.lower(), autoescape=True))
        case "!=":
            return column != condition.text  # type: ignore[no-any-return]
        case _:
            return column == condition.text  # type: ignore[no-any-return]
