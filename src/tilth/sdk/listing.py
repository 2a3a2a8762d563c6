"""Looking at runs from a program or a notebook."""

from __future__ import annotations

from tilth.sdk.connection import connection
from tilth.wire.tracking import RunPage, RunRow


def runs(filter: str = "", *, experiment: str | None = None, order_by: str = "", limit: int = 100) -> list[RunRow]:
    """Runs of the project that meet the filter, newest first unless `order_by` says else: `runs("auc>0.7", order_by="auc desc")`.

    limit: any number; pages are fetched as needed. Raises what the server refuses, such as a filter that does not parse.
    """
    target = connection()
    found: list[RunRow] = []
    token = ""
    while len(found) < limit:
        query = {"filter": filter, "order_by": order_by, "limit": min(1000, limit - len(found)), "page_token": token}
        if experiment is not None:
            query["experiment"] = experiment
        page = target.http.call("GET", f"{target.api}/runs", RunPage, query=query)
        found += page.runs
        token = page.next_page_token
        if not token:
            break
    return found
