"""`runs/search` of MLflow's protocol."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.domains.tracking.api.mlflow.shown import shown_run
from tilth.domains.tracking.api.mlflow.words import mlflow_words
from tilth.domains.tracking.queries.experiment_numbers import ids_of_numbers
from tilth.domains.tracking.queries.whole import whole_runs
from tilth.domains.tracking.rules import mlflow_values as values
from tilth.domains.tracking.rules.filters import NEWEST_FIRST
from tilth.domains.tracking.rules.mlflow_filters import parse_mlflow_filter, parse_mlflow_orders
from tilth.domains.tracking.rules.mlflow_tags import condition_on_fact, order_by_fact
from tilth.guard import Access, Permission, mlflow_route
from tilth.wire.mlflow import SEE_DOCS, invalid, invalid_value
from tilth.wire.mlflow_tracking import Runs, SearchRuns

DEFAULT_RESULTS = 1000
MAX_EXPERIMENTS = 10_000


@mlflow_route("POST", "/runs/search", permission=Permission.RUN_READ)
async def search_runs(access: Access[None], wanted: SearchRuns) -> Runs:
    most = _most(wanted.max_results)
    lifecycle = values.view(wanted.run_view_type)
    numbers = sorted({values.experiment_number(number) for number in wanted.experiment_ids or ()})[:MAX_EXPERIMENTS]
    with mlflow_words():
        terms = [condition_on_fact(term) for term in parse_mlflow_filter(wanted.filter or "")]
        orders = [order_by_fact(order) for order in parse_mlflow_orders(wanted.order_by or ())] or [NEWEST_FIRST]
    project = access.project.id

    def page(tx: Tx) -> Runs:
        experiments = list(ids_of_numbers(tx, project, numbers).values())
        if not experiments:
            return Runs()
        found = queries.runs_page(
            tx,
            project,
            terms=terms,
            experiment_ids=experiments,
            order=orders,
            limit=most,
            after=wanted.page_token or "",
            lifecycle=lifecycle,
            total=False,
        )
        whole = whole_runs(tx, project, [run.id for run in found.runs])
        return Runs([shown_run(run) for run in whole], found.next_token or None)

    return await access.read(page)


def _most(given: int | None) -> int:
    if given is not None and given > values.MAX_SEARCH_RESULTS:
        hint = f" Hint: Value was of type '{type(given).__name__}'."
        raise invalid(invalid_value("max_results", given, hint) + SEE_DOCS)
    return values.check_max_results(DEFAULT_RESULTS if given is None else given)


routes = [search_runs]
