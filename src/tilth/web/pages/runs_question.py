"""What the address of a list of runs asks for, read and checked; shared by the list, the comparison, the CSV and bulk changes."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.domains.tracking.queries import RunsPage
from tilth.domains.tracking.rules.filters import Condition, Order, parse_filter, parse_order
from tilth.domains.tracking.types import InvalidOrder, InvalidRunFilter
from tilth.web.pages.frame import PAGE_ROWS, Asked, read_offset

VIEWS = ("active", "archived", "deleted")


@dataclass(frozen=True, slots=True)
class Question:
    """What the reader asks for, checked. error: why the filter or the order was not understood; then nothing is filtered.

    offset, after: how many runs stand on the pages before, and the token of this page. view: active, archived or deleted runs.
    wrong_at: the character of the filter that stopped making sense, -1 for none.
    """

    text: str
    terms: tuple[Condition, ...]
    order_text: str
    order: Order
    experiment: str
    only_differences: bool
    offset: int
    after: str = ""
    view: str = "active"
    group: str = ""
    error: str = ""
    wrong_at: int = -1

    def address(self, **changes: str | int | None) -> dict[str, str | int | None]:
        own: dict[str, str | int | None] = {
            "q": self.text,
            "order": self.order_text,
            "experiment": self.experiment,
            "view": None if self.view == "active" else self.view,
            "group": self.group,
            "differences": 1 if self.only_differences else None,
        }
        return {**own, **changes}

    @property
    def filtered(self) -> bool:
        return bool(self.terms or self.experiment)


def read_question(request: Asked) -> Question:
    asked, error, wrong_at = request.query_params, "", -1
    text, order_text = asked.get("q", "").strip(), asked.get("order", "").strip()
    try:
        terms = parse_filter(text)
    except InvalidRunFilter as wrong:
        terms, error, wrong_at = (), str(wrong), wrong.position
    try:
        order = parse_order(order_text)
    except InvalidOrder as wrong:
        order, order_text, error = parse_order(""), "", str(wrong)
    view = asked.get("view", "")
    return Question(
        text=text,
        terms=terms,
        order_text=order_text,
        order=order,
        experiment=asked.get("experiment", ""),
        only_differences=asked.get("differences") == "1",
        offset=read_offset(request) if asked.get("after") else 0,
        after=asked.get("after", ""),
        view=view if view in VIEWS else "active",
        group=asked.get("group", "")[:300],
        error=error,
        wrong_at=wrong_at,
    )


def find_runs(tx: Tx, project_id: str, question: Question, *, limit: int = PAGE_ROWS, after: str = "") -> RunsPage:
    """The runs that the question asks for, in its order. after: next_token of the page before."""
    return queries.runs_page(
        tx,
        project_id,
        terms=question.terms,
        experiment_id=question.experiment or None,
        order=question.order,
        limit=limit,
        after=after,
        lifecycle="deleted" if question.view == "deleted" else "active",
        archived={"active": False, "archived": True}.get(question.view),
    )


def named_runs(request: Asked) -> list[str]:
    """The ids of `?runs=a,b` and of ticked boxes (`?run=a&run=b`): none if the runs are given by a filter."""
    if request.query_params.get("all"):
        return []
    texts = [*request.query_params.getall("runs", []), *request.query_params.getall("run", [])]
    return list(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))
