"""Labels over HTTP: what came true of predictions, how much of them is known, and how good they were."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.clock import DAY, now
from tilth.core.errors import Invalid
from tilth.domains.serving import actions, queries
from tilth.domains.serving.queries import labels
from tilth.domains.serving.queries.outcomes import outcomes_by_version
from tilth.domains.serving.types.labels import Label
from tilth.guard import Access, AccessTo, Permission, get, post, put
from tilth.wire.labels import (
    Coverage,
    LabelKey,
    LabelsLogged,
    LabelVersion,
    LogLabels,
    Outcomes,
)

ONE = "/api/v1/p/{project:str}/deployments/{name:str}/labels"
LABELS_AT_ONCE = 2_000
"""Of one transaction: other writers wait that long."""
LATEST_MS = 1 << 53
MAX_DAYS = 3_660


class BadWindow(Invalid):
    """A span of time in which nothing can lie."""


@post(ONE, permission=Permission.LABEL_WRITE, status_code=200)
async def log_labels(access: AccessTo[None], name: FromPath[str], data: JSONBody[LogLabels]) -> LabelsLogged:
    """Keeps what came true. The same value again changes nothing; another one is a correction. At most 10,000 labels a call.

    A call with a row that is no label is refused as a whole.
    """
    project_id, rows = access.project.id, data.labels
    read = await access.read(lambda tx: actions.read_labels(tx, project_id, name, rows))
    parts = [read[start : start + LABELS_AT_ONCE] for start in range(0, len(read), LABELS_AT_ONCE)] or [[]]
    logged = [await _log_part(access, name, part) for part in parts]
    return LabelsLogged(
        received=len(rows),
        new=sum(each.new for each in logged),
        unchanged=sum(each.unchanged for each in logged),
        corrected=sum(each.corrected for each in logged),
        repeated=len(rows) - len(read),
        matched=sum(each.matched for each in logged),
        waiting=logged[-1].waiting,
    )


async def _log_part(access: Access[None], name: str, part: list[Label]) -> LabelsLogged:
    return await access.write(lambda tx: actions.log_labels(tx, access.actor, access.project.id, name, part))


@get(ONE + "/coverage", permission=Permission.DEPLOYMENT_READ)
async def read_coverage(access: AccessTo[None], name: FromPath[str], days: FromQuery[int] = 30) -> Coverage:
    """How many of the predictions of the last `days` have a label, by UTC day and version."""
    return await access.read(lambda tx: queries.label_coverage(tx, access.project.id, name, now() - _days(days) * DAY))


@get(ONE + "/outcomes", permission=Permission.DEPLOYMENT_READ)
async def read_outcomes(
    access: AccessTo[None],
    name: FromPath[str],
    since: FromQuery[int | None] = None,
    until: FromQuery[int | None] = None,
) -> Outcomes:
    """How good the labelled predictions of [since, until) in ms were, by version; by default of the last 30 days.

    Of more than 200,000 rows of a version the newest are measured.
    """
    end = now() + 1 if until is None else until
    start = max(0, end - 30 * DAY) if since is None else since
    if not 0 <= start < end <= LATEST_MS:
        raise BadWindow(f"since ({start}) must be before until ({end}); both are milliseconds since 1970-01-01 UTC")
    found = await access.read(lambda tx: outcomes_by_version(tx, access.project.id, name, start, end))
    return Outcomes(start, end, found)


@put(ONE + "/key", permission=Permission.DEPLOYMENT_CHANGE)
async def declare_key(access: AccessTo[None], name: FromPath[str], data: JSONBody[LabelKey]) -> LabelKey:
    """Which columns a label may name instead of a prediction: input columns, or route_key or request_id. Of predictions from now on."""
    made = await access.write(
        lambda tx: actions.declare_label_key(tx, access.actor, access.project.id, name, tuple(data.key), data.window_s)
    )
    return LabelKey(list(made.settings.label_key), made.settings.label_window_s)


@get(ONE + "/{prediction_id:str}", permission=Permission.PREDICTION_READ)
async def read_label(access: AccessTo[None], name: FromPath[str], prediction_id: FromPath[str]) -> list[LabelVersion]:
    """The label of `<id>.<row>`, or of row 0 of `<id>`, newest first: as it is, then each value that it replaced, with who and when."""
    id_, _, row = prediction_id.partition(".")
    number = int(row) if row.isascii() and row.isdigit() and len(row) < 10 else 0

    def read(tx: Tx) -> list[LabelVersion]:
        found = queries.deployment_by_name(tx, access.project.id, name)
        return labels.label_history(tx, access.project.id, found.id, id_, number)

    return await access.read(read)


def _days(days: int) -> int:
    if not 1 <= days <= MAX_DAYS:
        raise BadWindow(f"days is {days}; give 1 to {MAX_DAYS}")
    return days


routes = [log_labels, read_coverage, read_outcomes, declare_key, read_label]
