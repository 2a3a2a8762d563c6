"""Pages of runs that meet a filter, in an order: among ten runs or a million.

Statistics of a database do not know which metrics go with which params, so the plan is made here. Each term is probed: how many runs
could meet it, counted up to 10,000 in a stretch of an index. Few: these runs are looked at one by one and sorted. Many: runs are read
along the index of the order, and each is checked by primary key, until the page is full. An order by a metric has phases: runs that
have it, those where it is NaN, those that lack it. A page begins after the last run's place in the order, never at a count of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from sqlalchemy import Select, func, literal, select, union_all

from tilth.backends.sql import StatementTooSlow, Tx
from tilth.domains.tracking.queries.filters import conditions_sql, opaque, probes
from tilth.domains.tracking.queries.ordering import Phase, Sorting, comes_after, phases, sorting
from tilth.domains.tracking.queries.runs import MAX_RUNS_AT_ONCE, run_infos
from tilth.domains.tracking.rules.filters import NEWEST_FIRST, Condition, Order
from tilth.domains.tracking.rules.page_tokens import Value, fingerprint, page_token, place_of
from tilth.domains.tracking.tables import experiment, run
from tilth.domains.tracking.types import SearchTooSlow
from tilth.wire.tracking import RunInfo

Lifecycle = Literal["active", "deleted", "all"]

TOTAL_CAP = 10_000
FEW = 10_000
"""So many runs are looked at one by one."""
KNOWN_SCOPE = 100_000
"""Runs of a scope are counted up to here, which costs a few milliseconds. Reading along an index through all of them takes a second."""
LOOKED_AT_FOR_TOTAL = 10_000
MAX_EXPERIMENTS = 1000
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class RunsPage:
    """total: exact unless `capped`, then at least so many. next_token: "" on the last page."""

    runs: list[RunInfo]
    total: int
    capped: bool
    next_token: str = ""

    @property
    def total_text(self) -> str:
        return f"{self.total:,}+" if self.capped else f"{self.total:,}"


@dataclass(frozen=True, slots=True)
class _Question:
    """experiment_ids: None for the whole project. archived: None for both kinds."""

    project_id: str
    experiment_ids: tuple[str, ...] | None
    terms: tuple[Condition, ...]
    orders: tuple[Order, ...]
    lifecycle: Lifecycle
    archived: bool | None

    def alive(self) -> list[Any]:
        """What a run's own row must meet besides the terms, kept out of the choice of an index."""
        met: list[Any] = [opaque(run.c.project_id == self.project_id)]
        if self.lifecycle != "all":
            met.append(opaque(run.c.deleted_at.is_(None) if self.lifecycle == "active" else run.c.deleted_at.is_not(None)))
        if self.archived is not None:
            met.append(opaque(run.c.archived.is_not(None) if self.archived else run.c.archived.is_(None)))
        if self.experiment_ids is not None:
            met.append(opaque(run.c.experiment_id.in_(self.experiment_ids)))
        return met

    def met(self) -> list[Any]:
        return [*self.alive(), *map(opaque, conditions_sql(self.terms))]

    def scope(self) -> Any:
        """A condition that reads runs along an index by start."""
        if self.experiment_ids is not None and len(self.experiment_ids) == 1:
            return run.c.experiment_id == self.experiment_ids[0]
        return run.c.project_id == self.project_id


@dataclass(frozen=True, slots=True)
class _Hit:
    id: str
    place: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """few: selects of the ids of the runs that could meet the narrowest term, None if all terms are broad. scope: runs in all,
    counted up to KNOWN_SCOPE. serials: of the experiments; None if a project has too many to ask one by one.
    """

    few: Select[Any] | None
    few_count: int
    scope: int
    serials: tuple[int, ...] | None


def runs_page(
    tx: Tx,
    project_id: str,
    *,
    terms: Sequence[Condition] = (),
    experiment_ids: Sequence[str] | None = None,
    experiment_id: str | None = None,
    order: Order | Sequence[Order] = NEWEST_FIRST,
    limit: int = 100,
    after: str = "",
    offset: int = 0,
    lifecycle: Lifecycle = "active",
    archived: bool | None = False,
    total: bool = True,
) -> RunsPage:
    """Runs that meet every term. experiment_ids, experiment_id: one of them, or neither for the whole project. limit: at most 50,000.

    after: next_token of the page before. offset: runs to leave out. archived None: archived ones, too. Without `total` only what was
    seen is counted. Raises InvalidPage, SearchTooSlow.
    """
    scope = [experiment_id] if experiment_id is not None else experiment_ids
    ids = None if scope is None else tuple(dict.fromkeys(scope))
    orders = (order,) if isinstance(order, Order) else tuple(order)
    question = _Question(project_id, ids, tuple(terms), orders, lifecycle, archived)
    asked = fingerprint(question)
    length = len(sorting(question.orders).terms)
    place = place_of(asked, after, length) if after else None
    tx.hurry(PATIENCE_S)
    try:
        plan = _plan(tx, question, limit + offset)
        hits = _hits(tx, question, plan, place, limit + offset + 1)
        more = len(hits) > limit + offset
        shown = hits[offset : limit + offset]
        seen = offset + len(shown) + more
        count, capped = _total(tx, question, plan) if total else (seen, more)
    except StatementTooSlow as slow:
        raise SearchTooSlow(PATIENCE_S, "among very many runs, each term alone is met by many, and all of them by few") from slow
    infos: list[RunInfo] = []
    for start in range(0, len(shown), MAX_RUNS_AT_ONCE):
        infos += run_infos(tx, project_id, [hit.id for hit in shown[start : start + MAX_RUNS_AT_ONCE]])
    return RunsPage(
        infos, max(count, seen) if capped else count, capped, page_token(asked, shown[-1].place) if more and shown else ""
    )


def runs_meeting(
    tx: Tx,
    project_id: str,
    *,
    terms: Sequence[Condition],
    experiment_id: str | None = None,
    lifecycle: Lifecycle = "active",
    archived: bool | None = False,
) -> list[Any]:
    """Conditions on `run` for a statement that looks at every run that meets the terms, in no order."""
    ids = None if experiment_id is None else (experiment_id,)
    question = _Question(project_id, ids, tuple(terms), (), lifecycle, archived)
    few = _plan(tx, question, 0).few
    return [_scope_by_index(question) if few is None else run.c.id.in_(few), *question.met()]


def _plan(tx: Tx, question: _Question, wanted: int) -> _Plan:
    """Probes the terms, unless the index of the order answers the only one by itself."""
    scope = _counted(tx, _in_scope(question), KNOWN_SCOPE)
    serials = _serials(tx, question)
    if _answered_by_order(question):
        return _Plan(None, 0, scope, serials)
    best: tuple[int, Select[Any]] | None = None
    for term in question.terms:
        found = probes(term, question.project_id, serials)
        if found is None:
            continue
        both = found[0] if len(found) == 1 else select(union_all(*found).subquery().c.run_id)
        cap = best[0] if best else FEW
        count = _counted(tx, both, cap)
        if count <= cap and (best is None or count < best[0]):
            best = (count, both)
            if count <= wanted:
                break
    return _Plan(None, 0, scope, serials) if best is None else _Plan(best[1], best[0], scope, serials)


def _answered_by_order(question: _Question) -> bool:
    """One term, on the metric that comes first in the order: both are one stretch of one index."""
    if len(question.terms) != 1 or not question.orders:
        return not question.terms
    term, first = question.terms[0], question.orders[0]
    return term.entity == first.entity == "metric" and term.key == first.key and term.operator != "!="


def _hits(tx: Tx, question: _Question, plan: _Plan, place: tuple[Value, ...] | None, wanted: int) -> list[_Hit]:
    along = phases(question.orders)
    several = question.experiment_ids is not None and len(question.experiment_ids) != 1
    if plan.few is not None and (along is None or not _walking_is_cheaper(plan, wanted)):
        return _sorted(tx, question, plan.few, place, wanted)
    unwalkable = along is not None and along[0].source is not None and plan.serials is None
    if along is None or unwalkable or (several and plan.scope <= FEW):
        return _sorted(tx, question, None, place, wanted)
    begun = 0 if place is None else max(number for number, phase in enumerate(along) if phase.holds(place))
    hits: list[_Hit] = []
    for number in range(begun, len(along)):
        left = wanted - len(hits)
        if left <= 0 or (number > 0 and _answered_by_order(question) and question.terms):
            break
        hits += _walked(tx, question, plan, along[number], place if number == begun else None, left)
    return hits


def _walking_is_cheaper(plan: _Plan, wanted: int) -> bool:
    """Runs read until the page is full, if those that meet the term are spread evenly, against looking at each of those.

    Only where even the worst case, none of the newest meets it, stays bearable.
    """
    return plan.scope <= KNOWN_SCOPE and wanted * plan.scope < plan.few_count**2


def _sorted(tx: Tx, question: _Question, few: Select[Any] | None, place: tuple[Value, ...] | None, wanted: int) -> list[_Hit]:
    """Looks at every run of `few`, or of the whole scope, and sorts those that meet the terms."""
    order = sorting(question.orders)
    among: Any
    if few is not None:
        among = run.c.id.in_(few)
    elif question.experiment_ids is not None:
        among = run.c.experiment_id.in_(question.experiment_ids)
    else:
        among = run.c.project_id == question.project_id
    statement = _selected(run, order.terms, order).where(among, *question.met())
    return _fetched(tx, statement, order.terms, place, wanted, ())


def _walked(tx: Tx, question: _Question, plan: _Plan, phase: Phase, place: tuple[Value, ...] | None, wanted: int) -> list[_Hit]:
    """Reads runs along the index of a phase until enough meet the terms."""
    inner = None if place is None else place[len(phase.fixed) :]
    order = Sorting(phase.terms, phase.joins)
    if phase.source is None:
        statement = _selected(run, phase.terms, order).where(question.scope(), *phase.where, *question.met())
        return _fetched(tx, statement, phase.terms, inner, wanted, phase.fixed)
    source = phase.source
    base = _selected(source.join(run, run.c.id == source.c.run_id), phase.terms, order)
    base = base.where(source.c.key == question.orders[0].key, *phase.where, *question.met())
    if _answered_by_order(question) and question.terms:
        base = base.where(_same_stretch(question.terms[0], source))
    hits: list[_Hit] = []
    serials = plan.serials or ()
    for serial in serials:
        own = base.where(source.c.experiment_serial == serial)
        hits += _fetched(tx, own, phase.terms, inner, wanted, phase.fixed)
    if len(serials) > 1:
        hits = _merged(hits, phase)[:wanted]
    return hits


def _merged(hits: list[_Hit], phase: Phase) -> list[_Hit]:
    """Hits of several experiments in the order of the phase: sorted by one term after another, the last first."""
    start = len(phase.fixed)
    for number, term in reversed(list(enumerate(phase.terms, start))):
        present = [hit for hit in hits if hit.place[number] is not None]
        missing = [hit for hit in hits if hit.place[number] is None]
        present.sort(key=lambda hit: hit.place[number], reverse=term.descending)  # type: ignore[arg-type, return-value]
        hits = present + missing
    return hits


def _same_stretch(term: Condition, source: Any) -> Any:
    """The term as a condition on the index of the order."""
    number = literal(term.number)
    ways = {
        "<": source.c.value < number,
        "<=": source.c.value <= number,
        ">": source.c.value > number,
        ">=": source.c.value >= number,
    }
    return ways.get(term.operator, source.c.value == number)


def _selected(source: Any, terms: Sequence[Any], order: Sorting) -> Select[Any]:
    joined = reduce(lambda left, join: left.outerjoin(join[0], join[1]), order.joins, source)
    columns = [term.expression.label(f"term_{number}") for number, term in enumerate(terms)]
    return select(*columns).select_from(joined)


def _fetched(
    tx: Tx, statement: Select[Any], terms: Sequence[Any], place: Sequence[Value] | None, wanted: int, fixed: tuple[Value, ...]
) -> list[_Hit]:
    if place is not None:
        statement = statement.where(comes_after(terms, place))
    by = [part for term in terms for part in term.sql()]
    # The last term is always the id.
    return [_Hit(row[-1], (*fixed, *row)) for row in tx.all(statement.order_by(*by).limit(wanted))]


def _total(tx: Tx, question: _Question, plan: _Plan) -> tuple[int, bool]:
    """How many runs meet the terms, and whether there may be more. Looks at 10,000 runs at most."""
    matching = select(literal(1).label("one")).select_from(run)
    if plan.few is not None:
        return _capped(_counted(tx, matching.where(run.c.id.in_(plan.few), *question.met()), TOTAL_CAP))
    if not question.terms:
        return _capped(_counted(tx, matching.where(_scope_by_index(question), *question.alive()), TOTAL_CAP))
    if _answered_by_order(question):
        found = probes(question.terms[0], question.project_id, plan.serials)
        if found is not None and len(found) == 1:
            stretch = found[0].subquery()
            joined = stretch.join(run, run.c.id == stretch.c.run_id)
            return _capped(_counted(tx, select(literal(1).label("one")).select_from(joined).where(*question.alive()), TOTAL_CAP))
    newest = select(run).where(_scope_by_index(question)).order_by(run.c.started.desc()).limit(LOOKED_AT_FOR_TOTAL)
    chosen = select(newest.subquery().c.id)
    count = _counted(tx, matching.where(run.c.id.in_(chosen), *question.met()), TOTAL_CAP)
    return count, plan.scope > LOOKED_AT_FOR_TOTAL


def _capped(count: int) -> tuple[int, bool]:
    return min(count, TOTAL_CAP), count > TOTAL_CAP


def _scope_by_index(question: _Question) -> Any:
    if question.experiment_ids is not None:
        return run.c.experiment_id.in_(question.experiment_ids)
    return run.c.project_id == question.project_id


def _in_scope(question: _Question) -> Select[Any]:
    return select(run.c.id).where(_scope_by_index(question))


def _counted(tx: Tx, statement: Select[Any], cap: int) -> int:
    """Rows of a select, counted up to one more than `cap`."""
    return int(tx.scalar(select(func.count()).select_from(statement.limit(cap + 1).subquery())))


def _serials(tx: Tx, question: _Question) -> tuple[int, ...] | None:
    """Of the experiments of the scope; None if there are too many, none where no index by experiment is of use."""
    if not question.terms and all(order.entity == "attribute" for order in question.orders[:1]):
        return ()
    mine = select(experiment.c.serial).where(experiment.c.project_id == question.project_id)
    if question.experiment_ids is not None:
        mine = mine.where(experiment.c.id.in_(question.experiment_ids))
        return tuple(row.serial for row in tx.all(mine.order_by(experiment.c.serial).limit(len(question.experiment_ids) + 1)))
    found = tuple(row.serial for row in tx.all(mine.order_by(experiment.c.serial).limit(MAX_EXPERIMENTS + 1)))
    return found if len(found) <= MAX_EXPERIMENTS else None
