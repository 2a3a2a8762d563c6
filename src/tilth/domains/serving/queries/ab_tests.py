"""A/B tests: what is asked of them, the statements that write them, and the counting of their units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Select, and_, case, func, insert, literal, select, update
from sqlalchemy.sql.elements import ColumnElement

from tilth.backends.sql import Tx
from tilth.domains.models import queries as models
from tilth.domains.serving.queries.deployments import deployment_by_name
from tilth.domains.serving.rules.ab_verdicts import evidence_of
from tilth.domains.serving.rules.ab_views import ab_row, ab_view
from tilth.domains.serving.tables import ab_test, scored_prediction
from tilth.domains.serving.types.ab_tests import AbTest, Before, Design, Part, Sample, Span, UnknownAbTest
from tilth.wire.ab import AbEvidence, AbMetric, AbRow, AbView

MAX_TESTS = 200
STRETCHES = 40
"""The course of a test is drawn from so many points."""
CROSSED = -1
"""Stands for the arm of a unit that met more than one."""

_scored = scored_prediction.c


def ab_test_named(tx: Tx, project_id: str, deployment_id: str, deployment: str, number: int, *, lock: bool = False) -> AbTest:
    """lock: hold it against other writers until the transaction ends. Raises UnknownAbTest."""
    statement = _of(project_id, deployment_id).where(ab_test.c.number == number)
    row = tx.one(statement.with_for_update() if lock else statement)
    if row is None:
        raise UnknownAbTest(deployment, number)
    return _test(row)


def running_ab_test(tx: Tx, project_id: str, deployment_id: str) -> AbTest | None:
    row = tx.one(_of(project_id, deployment_id).where(ab_test.c.state == "running").limit(1))
    return _test(row) if row else None


def ab_tests_of(tx: Tx, project_id: str, deployment_id: str) -> list[AbTest]:
    """Newest first, at most 200."""
    rows = tx.all(_of(project_id, deployment_id).order_by(ab_test.c.number.desc()).limit(MAX_TESTS))
    return [_test(row) for row in rows]


def next_ab_number(tx: Tx, project_id: str, deployment_id: str) -> int:
    conditions = (ab_test.c.project_id == project_id, ab_test.c.deployment_id == deployment_id)
    return int(tx.scalar(select(func.coalesce(func.max(ab_test.c.number), 0)).where(*conditions))) + 1


def _of(project_id: str, deployment_id: str) -> Select[Any]:
    return select(*ab_test.c).where(ab_test.c.project_id == project_id, ab_test.c.deployment_id == deployment_id)


def _test(row: Any) -> AbTest:
    return AbTest(
        id=row.id,
        number=row.number,
        project_id=row.project_id,
        deployment_id=row.deployment_id,
        model_id=row.model_id,
        state=row.state,
        hypothesis=row.hypothesis,
        design=msgspec.convert(row.design, Design),
        before=None if row.before is None else msgspec.convert(row.before, Before),
        created=row.created,
        started=row.started,
        ended=row.ended,
        by=row.actor_name,
        winner=row.winner,
        note=row.note,
        evidence=None if row.evidence is None else msgspec.convert(row.evidence, AbEvidence),
    )


def insert_ab_test(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(ab_test).values(**row))


def update_ab_test(tx: Tx, project_id: str, id_: str, **changes: Any) -> None:
    tx.run(update(ab_test).where(ab_test.c.project_id == project_id, ab_test.c.id == id_).values(**changes))


def document(value: Design | Before | AbEvidence) -> Any:
    return msgspec.to_builtins(value)


def ab_test_detail(tx: Tx, project_id: str, name: str, number: int, now: int) -> AbView:
    """A test with what it shows. Raises UnknownDeployment, UnknownAbTest."""
    found = deployment_by_name(tx, project_id, name)
    test = ab_test_named(tx, project_id, found.id, name, number)
    model = models.model_by_id(tx, project_id, test.model_id).name
    return ab_view(test, name, model, ab_evidence(tx, project_id, test, now))


def ab_test_rows(tx: Tx, project_id: str, name: str) -> list[AbRow]:
    """Newest first, at most 200. Raises UnknownDeployment."""
    found = deployment_by_name(tx, project_id, name)
    return [ab_row(test) for test in ab_tests_of(tx, project_id, found.id)]


def ab_evidence(tx: Tx, project_id: str, test: AbTest, now: int) -> AbEvidence | None:
    """What a test shows: until now while it runs, until its end once it was stopped; as it was kept, once it is concluded."""
    if test.evidence is not None or test.started is None:
        return test.evidence
    until = max(test.ended or now, test.started + 1)
    value = _value_of(test.design.metric)
    scope = and_(
        _scored.project_id == project_id,
        _scored.deployment_id == test.deployment_id,
        _scored.at >= test.started,
        _scored.at < until,
        _scored.version.in_([arm.version for arm in test.design.arms]),
    )
    whole = tx.one(select(func.avg(value).label("mean"), func.max(_scored.at).label("last")).where(scope))
    mean, last = (whole.mean, whole.last) if whole is not None else (None, None)
    # The course is drawn over the time in which anybody was answered: a test that nobody asks any more keeps its shape.
    span = Span(test.started, (test.started if last is None else int(last)) + 1)
    parts, crossed = _parts(tx, test, scope, span, float(mean or 0.0))
    return evidence_of(test.design, parts, crossed, span, STRETCHES, until)


def _parts(tx: Tx, test: AbTest, scope: ColumnElement[bool], span: Span, centre: float) -> tuple[list[Part], int]:
    """Units by arm and stretch of the span, and how many met more than one arm. Counted in the database: it may be millions.

    centre: sums of squares are taken around it. Of great values that differ little they would keep no digits otherwise.
    """
    value = _value_of(test.design.metric)
    unit = (
        select(
            func.min(_scored.version).label("version"),
            func.max(_scored.version).label("other"),
            func.min(_scored.at).label("first"),
            func.count().label("rows"),
            func.avg(value).label("value"),
        )
        .where(scope)
        .group_by(_scored.unit)
        .subquery()
    )
    arm = case((unit.c.version == unit.c.other, unit.c.version), else_=CROSSED).label("arm")
    # The quotient of two integers is one in both databases.
    stretch = ((unit.c.first - literal(span.since)) * STRETCHES).op("/")(literal(span.until - span.since)).label("stretch")
    off = unit.c.value - centre
    rows = tx.all(
        select(
            arm,
            stretch,
            func.count().label("units"),
            func.sum(unit.c.rows).label("rows"),
            func.count(unit.c.value).label("labelled"),
            func.coalesce(func.sum(off), 0.0).label("total"),
            func.coalesce(func.sum(off * off), 0.0).label("squares"),
            func.sum(case((unit.c.value.in_([0.0, 1.0]), 1), else_=0)).label("binary"),
        )
        .group_by(arm, stretch)
        .order_by(arm, stretch)
        .limit((len(test.design.arms) + 1) * (STRETCHES + 1))
    )
    parts = [_part(row, centre) for row in rows if row.arm != CROSSED]
    return parts, sum(row.units for row in rows if row.arm == CROSSED)


def _part(row: Any, centre: float) -> Part:
    n, off = int(row.labelled), float(row.total)
    mean, deviations = (centre + off / n, float(row.squares) - off * off / n) if n else (0.0, 0.0)
    sample = Sample(n, mean, max(0.0, deviations), int(row.binary) == n)
    return Part(int(row.arm), int(row.stretch), int(row.units), int(row.rows), sample)


def _value_of(metric: AbMetric) -> ColumnElement[Any]:
    """What a labelled row counts as; NULL for one without a label, or without a score where that is needed."""
    error = _scored.score - _scored.label
    match metric:
        case "label":
            return _scored.label
        case "absolute_error":
            return func.abs(error)
        case "brier" | "squared_error":
            return error * error
        case "accuracy":
            return case(
                (_scored.label.is_(None) | _scored.score.is_(None), None),
                # A probability agrees with what it rounds to; an index of a class, with itself.
                (
                    and_(_scored.score > 0, _scored.score < 1),
                    case(((_scored.score > 0.5) == (_scored.label > 0.5), 1.0), else_=0.0),
                ),
                else_=case((_scored.score == _scored.label, 1.0), else_=0.0),
            )
