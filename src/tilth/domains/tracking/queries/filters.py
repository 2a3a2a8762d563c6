"""Run filters as SQL: whether a run meets a condition, and how many runs an index says could.

A condition is checked by a primary key, run by run; a probe reads a stretch of an order index. Both read the same on SQLite and on
PostgreSQL: without regard to case means the letters A to Z, and a pattern knows no escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, and_, cast, literal, not_, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tilth.backends.sql import Id, Str, compared, contains, id_text, like
from tilth.domains.tracking.rules.batches import PREFIX_CHARS
from tilth.domains.tracking.rules.filters import ORDERED, Condition
from tilth.domains.tracking.tables import experiment, metric_last, param, run, run_input, tag

FEW_CONDITIONS = 6
"""So many are left to the planner of PostgreSQL."""

_PATTERNS = ("~", "!~", "^=", "like", "ilike")
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
    "artifact_uri": select("mlflow-artifacts:/" + cast(_of_run.c.number, Str) + "/" + id_text(run.c.id) + "/artifacts")
    .where(_of_run.c.id == run.c.experiment_id)
    .correlate(run)
    .scalar_subquery(),
    "started": run.c.started,
    "ended": run.c.ended,
    "duration": (run.c.ended - run.c.started) / 1000.0,
}


def attribute(key: str) -> Any:
    """The expression behind an attribute of `run`."""
    return _ATTRIBUTES[key]


def conditions_sql(conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    """Each as condition_sql has it, in a form whose plan is made quickly, however many there are."""
    apart = len(conditions) > FEW_CONDITIONS
    return [condition_sql(condition, apart=apart) for condition in conditions]


def condition_sql(condition: Condition, *, apart: bool = False) -> ColumnElement[bool]:
    """Whether a row of `run` meets the condition. A run that lacks the key never does, but for is_null.

    apart: PostgreSQL shall not make a join of it. It weighs the orders of joins, which for forty of them takes seconds.
    """
    match condition.entity:
        case "attribute":
            return _value(_ATTRIBUTES[condition.key], condition)
        case "metric":
            return _metric(condition, apart)
        case "param":
            return _param(condition, apart)
        case "tag":
            return _carried(tag, condition, _text(tag.c.value, condition), apart)
        case "dataset":
            return _exists(apart, run_input.c.run_id == run.c.id, _text(run_input.c[condition.key], condition))
        case "any" if condition.operator in ORDERED:
            return or_(_metric(condition, apart), _param(condition, apart))
        case "any":
            metrics = [_metric(condition, apart)] if condition.number is not None else []
            tags = _carried(tag, condition, _text(tag.c.value, condition), apart)
            return or_(*metrics, _param(condition, apart), tags)


def probes(condition: Condition, project_id: str, serials: Sequence[int] | None) -> list[Select[Any]] | None:
    """Selects of the ids of runs that could meet the condition, each a stretch of an index; a run may come twice.

    None if no index helps. serials: the experiments of the scope; None for the whole project, where only attributes have an index.
    """
    match condition.entity:
        case "attribute":
            return _attribute_probes(condition, project_id)
        case "metric" | "param" | "tag" | "dataset":
            kinds: tuple[str, ...] = (condition.entity,)
        case _ if condition.operator in ORDERED:
            kinds = ("metric", "param")
        case _:
            kinds = ("metric", "param", "tag") if condition.number is not None else ("param", "tag")
    if serials is None or condition.operator == "is_null":
        return None
    return [_stretch(kind, condition, serials) for kind in kinds]


def _attribute_probes(condition: Condition, project_id: str) -> list[Select[Any]] | None:
    mine = select(run.c.id.label("run_id")).where(run.c.project_id == project_id)
    if condition.key == "id" and condition.operator in ("=", "in"):
        return [mine.where(run.c.id.in_(condition.values or (condition.text,)))]
    if condition.key == "parent_run_id" and condition.operator == "=":
        return [mine.where(run.c.parent_run_id == condition.text)]
    if condition.key == "status" and condition.operator in ("=", "in"):
        return [mine.where(run.c.status.in_(condition.values if condition.operator == "in" else (condition.text,)))]
    return None


def _stretch(kind: str, condition: Condition, serials: Sequence[int]) -> Select[Any]:
    table: Any = {"metric": metric_last, "param": param, "tag": tag, "dataset": run_input}[kind]
    wanted: list[Any] = [table.c.experiment_serial.in_(serials)]
    if kind != "dataset":
        wanted.append(table.c.key == condition.key)
    match kind:
        case "metric":
            if condition.operator != "!=":
                wanted += [metric_last.c.value.is_not(None), _numbers(metric_last.c.value, condition)]
        case "param" if condition.number is not None:
            if condition.operator == "=" and not isfinite(condition.number):
                # Numbers of params are finite: this one can only be the text itself.
                wanted.append(param.c.prefix == condition.text[:PREFIX_CHARS])
            elif condition.operator != "!=":
                wanted.append(_numbers(param.c.number, condition))
        case "param" | "tag":
            wanted += _prefix_stretch(table.c.prefix, condition, PREFIX_CHARS)
        case _ if condition.key == "name":
            wanted += _prefix_stretch(table.c.name, condition, 10_000)
    return select(table.c.run_id.label("run_id")).where(*wanted)


def _prefix_stretch(column: Any, condition: Condition, chars: int) -> list[Any]:
    """The stretch of an index on the first characters of a text."""
    match condition.operator:
        case "=":
            return [column == condition.text[:chars]]
        case "in":
            return [column.in_([value[:chars] for value in condition.values])]
        case "like":
            begins = condition.text.partition("%")[0].partition("_")[0][:chars]
        case "^=":
            begins = condition.text[:chars]
        case _:
            return []
    after = after_prefix(begins)
    return ([column >= begins] if begins else []) + ([column < after] if after else [])


def after_prefix(prefix: str) -> str:
    """The least text above everything that begins with `prefix`, in the order of code points; "" if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last + 1 == 0xD800 else last + 1)
        prefix = prefix[:-1]
    return ""


def _exists(apart: bool, *met: ColumnElement[bool]) -> ColumnElement[bool]:
    found = select(literal(1)).where(*met)
    return (found.offset(0) if apart else found).exists()


def _carried(table: Any, condition: Condition, met: ColumnElement[bool], apart: bool) -> ColumnElement[bool]:
    mine = (table.c.run_id == run.c.id, table.c.key == condition.key)
    match condition.operator:
        case "is_null":
            return not_(_exists(apart, *mine))
        case "not_null":
            return _exists(apart, *mine)
        case _:
            return _exists(apart, *mine, met)


def _metric(condition: Condition, apart: bool) -> ColumnElement[bool]:
    value, met = metric_last.c.value, _numbers(metric_last.c.value, condition)
    # NULL is NaN: it differs from every number and compares with none.
    met = or_(value.is_(None), met) if condition.operator == "!=" else and_(value.is_not(None), met)
    return _carried(metric_last, condition, met, apart)


def _param(condition: Condition, apart: bool) -> ColumnElement[bool]:
    if condition.number is None:
        return _carried(param, condition, _text(param.c.value, condition), apart)
    numeric = _numbers(param.c.number, condition)
    if condition.operator == "=":
        # `depth=7` finds "7" and "7.0"; `version=1e3` also finds the text itself.
        return _carried(param, condition, or_(numeric, param.c.value == condition.text), apart)
    if condition.operator == "!=":
        return _carried(param, condition, or_(param.c.number.is_(None), numeric), apart)
    return _carried(param, condition, numeric, apart)


def _value(column: Any, condition: Condition) -> ColumnElement[bool]:
    met: ColumnElement[bool] = _text(column, condition) if condition.number is None else _numbers(column, condition)
    return met


def _numbers(column: Any, condition: Condition) -> Any:
    operator = condition.operator if condition.operator in (*ORDERED, "!=") else "="
    return compared(column, operator, literal(condition.number))


def _text(column: Any, condition: Condition) -> Any:
    text = condition.text
    if isinstance(column.type, Id) and condition.operator in _PATTERNS:
        column = id_text(column)
    match condition.operator:
        case "~":
            return contains(column, text)
        case "!~":
            return not_(contains(column, text))
        case "^=":
            return column.startswith(text, autoescape=True)
        case "like":
            return like(column, text)
        case "ilike":
            return like(column, text, any_case=True)
        case "in":
            return column.in_(condition.values)
        case "not_in":
            return column.not_in(condition.values)
        case "is_null":
            return column.is_(None)
        case "not_null":
            return column.is_not(None)
        case "!=":
            return column != text
        case _:
            return column == text


class _Opaque(FunctionElement[bool]):
    """A condition that SQLite cannot answer by an index. PostgreSQL sees it as it is: it estimates rows, and would be misled."""

    type = Boolean()
    name = "opaque"
    inherit_cache = True


@compiles(_Opaque)
def _as_it_is(element: _Opaque, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"


@compiles(_Opaque, "sqlite")
def _behind_a_sign(element: _Opaque, compiler: SQLCompiler, **kw: Any) -> str:
    return f"+({compiler.process(element.clauses, **kw)})"


def opaque(condition: Any) -> ColumnElement[bool]:
    """The same condition, kept out of SQLite's choice of an index: the planner of this package made that choice."""
    return _Opaque(condition)
