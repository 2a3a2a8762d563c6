"""Looking at runs from a program or a notebook: lists, curves, frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tilth.sdk.connection import Connection, connection
from tilth.sdk.frames import pandas_frame, polars_frame
from tilth.wire.tracking import MetricHistory, RunPage, RunRow

MAX_PAGE = 1000
MOST_POINTS = 2000


class RunList(list[RunRow]):
    """Runs as a list. `rows`, `polars` and `pandas` give one row for each run, with columns `metrics.auc`, `params.depth`, `tags.team`."""

    def rows(self) -> list[dict[str, Any]]:
        """Flat dicts; a column that a run lacks is left out of its row."""
        return [flat(row) for row in self]

    def polars(self) -> Any:
        """A polars DataFrame."""
        return polars_frame(self.rows())

    def pandas(self) -> Any:
        """A pandas DataFrame. Raises FramesMissing."""
        return pandas_frame(self.rows())


def runs(
    filter: str = "",
    *,
    experiment: str | None = None,
    order_by: str = "",
    columns: Sequence[str] | None = None,
    limit: int = 100,
) -> RunList:
    """Runs of the project that meet the filter, newest first unless `order_by` says else: `runs("auc>0.7", order_by="auc desc")`.

    columns: such as `["metrics.auc", "params.depth"]`; None: everything. limit: any number; pages are fetched as needed.
    Raises what the server refuses, such as a filter that does not parse.
    """
    target = connection()
    found = RunList()
    token = ""
    while len(found) < limit:
        query = {"filter": filter, "order_by": order_by, "limit": min(MAX_PAGE, limit - len(found)), "page_token": token}
        if experiment is not None:
            query["experiment"] = experiment
        if columns is not None:
            query["columns"] = ",".join(columns)
        page = target.http.call("GET", f"{target.api}/runs", RunPage, query=query)
        found += page.runs
        token = page.next_page_token
        if not token:
            break
    return found


def flat(row: RunRow) -> dict[str, Any]:
    """A run as one row of a table."""
    run = row.run
    return {
        "run_id": run.id,
        "name": run.name,
        "experiment": run.experiment,
        "status": run.status,
        "started": run.started,
        "ended": run.ended,
        "user": run.user_name,
        **{f"metrics.{key}": float(value) for key, value in row.metrics.items()},
        **{f"params.{key}": value for key, value in row.params.items()},
        **{f"tags.{key}": value for key, value in row.tags.items()},
    }


@dataclass(frozen=True, slots=True)
class History:
    """The curve of one metric. points: (step, moment in ms, value). total: how many were logged; of more than 2,000 the least and
    greatest of each stretch are here."""

    key: str
    points: list[tuple[int, int, float]]
    total: int

    def rows(self) -> list[dict[str, Any]]:
        return [{"step": step, "ts": ts, "value": value} for step, ts, value in self.points]

    def polars(self) -> Any:
        """A polars DataFrame of step, ts, value."""
        return polars_frame(self.rows())

    def pandas(self) -> Any:
        """A pandas DataFrame of step, ts, value. Raises FramesMissing."""
        return pandas_frame(self.rows())


def history(run_id: str, key: str, *, most: int = MOST_POINTS, through: Connection | None = None) -> History:
    """The curve of a metric of any run, thinned to at most `most` points (4 to 2,000). Raises what the server refuses."""
    target = through or connection()
    path = f"{target.api}/runs/{quote(run_id, safe='')}/metrics/{quote(key)}"
    found = target.http.call("GET", path, MetricHistory, query={"most": most})
    return History(found.key, [(step, ts, float(value)) for step, ts, value in found.points], found.total)
