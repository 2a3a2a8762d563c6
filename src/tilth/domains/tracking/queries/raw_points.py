"""Points of a metric as they were logged: page by page, or an even sample of them.

The caller has looked the run up in its project before: the points themselves name no project.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, func, select

from tilth.backends.sql import Hot, Row, Tx, hot
from tilth.domains.tracking.tables import metric_point

_COLUMNS = [metric_point.c[name] for name in ("step", "ts", "value", "model_id", "dataset_name", "dataset_digest")]
_PAGE: Hot = hot(
    select(*_COLUMNS)
    .where(metric_point.c.run_id == bindparam("run_id"), metric_point.c.key == bindparam("key"))
    .order_by(metric_point.c.ts, metric_point.c.step, metric_point.c.value)
    .limit(bindparam("most"))
    .offset(bindparam("start"))
)


def points_page(tx: Tx, run_id: str, key: str, *, limit: int, offset: int) -> list[Row]:
    """step, ts, value (None is NaN), model_id, dataset_name, dataset_digest; by moment, step and value."""
    return tx.all(_PAGE, run_id=run_id, key=key, most=limit, start=offset)


def sampled_points(tx: Tx, run_id: str, key: str, *, most: int, steps: tuple[int, int] | None) -> list[Row]:
    """The first point of each of `most` equal stretches of the curve, by step; the last of all is among them.

    steps: first and last step of interest. Columns as of `points_page`.
    """
    wanted: list[Any] = [metric_point.c.run_id == run_id, metric_point.c.key == key]
    if steps is not None:
        wanted.append(metric_point.c.step.between(*steps))
    order = [metric_point.c.step, metric_point.c.ts, metric_point.c.seq]
    stretch = func.ntile(most).over(order_by=order).label("stretch")
    stretched = select(*_COLUMNS, metric_point.c.seq, stretch).where(*wanted).subquery()
    within = [stretched.c.step, stretched.c.ts, stretched.c.seq]
    place = func.row_number().over(partition_by=stretched.c.stretch, order_by=within).label("place")
    placed = select(stretched, place).subquery()
    columns = [placed.c[column.name] for column in [*_COLUMNS, metric_point.c.seq]]
    first = select(*columns).where(placed.c.place == 1).order_by(placed.c.step, placed.c.ts, placed.c.seq)
    found = tx.all(first.limit(most))
    last = tx.one(select(*_COLUMNS, metric_point.c.seq).where(*wanted).order_by(*(column.desc() for column in order)).limit(1))
    if last is not None and tuple(last) != tuple(found[-1]):
        found = [*(found[:-1] if len(found) >= most else found), last]
    return found
