"""Curves of many runs in one answer, small enough to draw at once."""

from __future__ import annotations

from litestar.params import FromQuery

from tilth.backends.sql import Tx
from tilth.core.errors import Invalid
from tilth.domains.tracking import queries
from tilth.guard import AccessTo, Permission, get
from tilth.wire.tracking import MetricValue, RunCurve, RunCurves

MAX_RUNS = 500
MAX_POINTS = 2000
LEAST_POINTS = 24
MAX_ANSWER_POINTS = 24_000
"""Of all curves together: what a chart of a few hundred thousand pixels can show, in a few hundred kilobytes."""


class InvalidCurves(Invalid):
    """More runs or points than one answer holds."""


@get("/api/v1/p/{project:str}/runs/curves", permission=Permission.RUN_READ)
async def show_curves(
    access: AccessTo[None],
    runs: FromQuery[str],
    key: FromQuery[str],
    most: FromQuery[int] = 200,
    moments: FromQuery[bool] = True,
    from_step: FromQuery[int | None] = None,
    to_step: FromQuery[int | None] = None,
) -> RunCurves:
    """runs: ids with commas between. Of many runs each curve gets fewer points than `most`; the answer says how many.

    from_step, to_step: a part of the curves, drawn finer; both ends belong to it. moments: whether each point brings its own, half of
    the bytes. Values have six digits: curves are for looking at.
    """
    ids = [run_id.strip() for run_id in runs.split(",") if run_id.strip()]
    if len(ids) > MAX_RUNS or not LEAST_POINTS <= most <= MAX_POINTS:
        raise InvalidCurves(
            f"ask for at most {MAX_RUNS} runs ({len(ids):,} were named) and {LEAST_POINTS} to {MAX_POINTS:,} points of each"
        )
    steps = (None if from_step is None else from_step - 1, to_step)
    fitting = max(LEAST_POINTS, min(most, MAX_ANSWER_POINTS // max(1, len(ids))))
    return await access.read(lambda tx: _curves(tx, access.project.id, ids, key, fitting, steps, moments))


def _curves(
    tx: Tx, project_id: str, ids: list[str], key: str, most: int, steps: tuple[int | None, int | None], with_moments: bool
) -> RunCurves:
    found = queries.run_infos(tx, project_id, ids)
    curves = []
    for run in found:
        part = queries.metric_histories(tx, project_id, run.id, [key], most=most, after_step=steps[0], until_step=steps[1])
        history = part.get(key)
        if history is not None:
            moments = [moment for _, moment, _ in history.points] if with_moments else []
            values = [_rounded(value) for _, _, value in history.points]
            curves.append(
                RunCurve(run.id, run.name, run.status, [step for step, _, _ in history.points], moments, values, history.total)
            )
    return RunCurves(key, curves, most, len(ids) - len(curves), any(run.status == "running" for run in found))


def _rounded(value: MetricValue) -> MetricValue:
    return float(f"{value:.6g}") if isinstance(value, float) else value


routes = [show_curves]
