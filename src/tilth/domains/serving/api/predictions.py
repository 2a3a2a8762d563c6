"""Kept predictions over HTTP: as rows for looking, as files for analysis; and what of them is kept."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from litestar import Request, Response
from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Row, Tx
from tilth.core.clock import Millis, monotonic
from tilth.core.hashing import FileEntry
from tilth.core.ids import Digest
from tilth.domains.serving import actions, queries
from tilth.domains.serving.actions.predictions import note_retry
from tilth.domains.serving.queries import predictions as files
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import (
    BadPredictionQuestion,
    FlushTooSlow,
    PredictionFile,
    UnknownPrediction,
    UnknownPredictionFile,
)
from tilth.guard import Access, AccessTo, Permission, get, post, put
from tilth.guard.files import UNCOMPRESSED, download
from tilth.wire.prediction_tables import (
    Flushed,
    LabelledRows,
    PredictionDetail,
    PredictionFilePage,
    PredictionFileView,
    PredictionPage,
    PredictionPolicy,
)
from tilth.wire.serving import DeploymentSettings
from tilth.wire.shipping import RetriedSegments

ONE = "/api/v1/p/{project:str}/deployments/{name:str}/predictions"
READER, DESK = "tilth_prediction_reader", "tilth_shipping_desk"
"""Where the app's state holds the reader of files and the view of the shipper (jobs)."""
NEVER = 1 << 53
MAX_WAIT_S = 30.0
LOOK_EVERY_S = 0.2
_TOKEN = re.compile(r"(\d{1,16})-([0-9a-f]{32})", re.ASCII)
_ROW_TOKEN = re.compile(r"(\d{1,16})-([0-9a-f]{32})-(\d{1,10})", re.ASCII)

Asked = Request[Any, Any, Any]


@get(ONE, permission=Permission.PREDICTION_READ)
async def list_predictions(
    request: Asked,
    access: AccessTo[None],
    name: FromPath[str],
    since: FromQuery[int] = 0,
    until: FromQuery[int] = NEVER,
    version: FromQuery[int | None] = None,
    shadow: FromQuery[bool] = False,
    limit: FromQuery[int] = 100,
    page_token: FromQuery[str] = "",
) -> PredictionPage:
    """Rows of [since, until) in ms, newest first, at most 1,000 a page. Great amounts are read as files."""
    found = await _deployment(access, name)
    versions = None if version is None else [version]
    page: PredictionPage = await request.app.state[READER].page(
        found, *bounds(since, until), versions=versions, shadow=shadow, limit=limit, token=page_token
    )
    return page


@get(ONE + "/files", permission=Permission.PREDICTION_READ)
async def list_files(
    access: AccessTo[None],
    name: FromPath[str],
    since: FromQuery[int] = 0,
    until: FromQuery[int] = NEVER,
    shadow: FromQuery[bool] = False,
    limit: FromQuery[int] = 1000,
    page_token: FromQuery[str] = "",
) -> PredictionFilePage:
    """Files that have rows of [since, until) in ms, newest first, at most 1,000 a page."""
    first, last = bounds(since, until)
    before = _before(page_token)
    limit = max(1, min(limit, files.MAX_FILES))

    def read(tx: Tx) -> list[PredictionFile]:
        found = queries.deployment_by_name(tx, access.project.id, name)
        return files.files_between(
            tx, access.project.id, found.id, since=first, until=last, shadow=shadow, before=before, limit=limit
        )

    page = await access.read(read)
    token = f"{page[-1].last}-{page[-1].id}" if len(page) == limit else ""
    return PredictionFilePage([_file_view(file) for file in page], token)


@get(ONE + "/labels", permission=Permission.PREDICTION_READ)
async def list_labels(
    access: AccessTo[None],
    name: FromPath[str],
    since: FromQuery[int] = 0,
    until: FromQuery[int] = NEVER,
    page_token: FromQuery[str] = "",
) -> LabelledRows:
    """Which predictions of [since, until) in ms have which label, oldest first, at most 10,000 a page: to be joined with the files."""
    first, last = bounds(since, until)
    after = _after(page_token)

    def read(tx: Tx) -> list[Row]:
        found = queries.deployment_by_name(tx, access.project.id, name)
        return files.labelled_rows(tx, access.project.id, found.id, since=first, until=last, after=after)

    page = await access.read(read)
    token = f"{page[-1].at}-{page[-1].prediction_id}-{page[-1].row}" if len(page) == files.MAX_LABELS else ""
    return LabelledRows(
        [row.prediction_id for row in page],
        [row.row for row in page],
        [row.label for row in page],
        [row.label_at for row in page],
        token,
    )


@get(ONE + "/files/{file_id:str}", permission=Permission.PREDICTION_READ, opt=UNCOMPRESSED)
async def read_file(request: Asked, access: AccessTo[None], name: FromPath[str], file_id: FromPath[str]) -> Response[Any]:
    """The Parquet file. Knows Range, If-None-Match and ETag."""

    def read(tx: Tx) -> PredictionFile | None:
        found = queries.deployment_by_name(tx, access.project.id, name)
        return files.file_by_id(tx, access.project.id, found.id, file_id)

    file = await access.read(read)
    if file is None:
        raise UnknownPredictionFile(file_id)
    return await download(request, FileEntry(f"{name}-{file.day}-{file.id}.parquet", Digest(file.digest), file.size))


@get(ONE + "/{prediction_id:str}", permission=Permission.PREDICTION_READ)
async def read_prediction(
    request: Asked, access: AccessTo[None], name: FromPath[str], prediction_id: FromPath[str]
) -> PredictionDetail:
    """One prediction by its id or that of one of its rows: inputs as seen, outputs, version, latency, what shadows said."""
    found = await _deployment(access, name)
    detail: PredictionDetail | None = await request.app.state[READER].one(found, prediction_id)
    if detail is None:
        raise UnknownPrediction(prediction_id, name)
    return detail


@post(ONE + "/flush", permission=Permission.PREDICTION_READ, status_code=200)
async def flush(request: Asked, access: AccessTo[None], name: FromPath[str], timeout_s: FromQuery[float] = 20.0) -> Flushed:
    """Answers once every prediction that was answered before this call is in the files. Raises FlushTooSlow after `timeout_s` (<= 30)."""
    await _deployment(access, name)
    if not 0 <= timeout_s <= MAX_WAIT_S:
        raise BadPredictionQuestion(f"timeout_s is {timeout_s}; give 0 to {MAX_WAIT_S:.0f} seconds")
    desk = request.app.state[DESK]
    moment: Millis = await asyncio.to_thread(desk.ask_for_flush)
    deadline = monotonic() + timeout_s
    while waiting := await asyncio.to_thread(desk.waiting, moment):
        if monotonic() >= deadline:
            status = await asyncio.to_thread(desk.status)
            raise FlushTooSlow(
                waiting, f": {status.error}" if status and status.error else "" if status else ": no shipper runs here"
            )
        await asyncio.sleep(LOOK_EVERY_S)
    return Flushed(moment)


@post("/api/v1/predictions/refused/retry", permission=Permission.SYSTEM_MANAGE, status_code=200)
async def retry_refused(request: Asked, access: AccessTo[None]) -> RetriedSegments:
    """Segments of predictions that were set aside, because they could not be shipped, are tried again within seconds."""
    count = await asyncio.to_thread(request.app.state[DESK].take_up_refused)
    await access.write(lambda tx: note_retry(tx, access.actor, count))
    return RetriedSegments(count)


@put(ONE + "/policy", permission=Permission.DEPLOYMENT_CHANGE)
async def set_policy(access: AccessTo[None], name: FromPath[str], data: JSONBody[PredictionPolicy]) -> DeploymentSettings:
    """What is kept of predictions from now on; files that stand already stay as they are, but for how long they are kept."""
    made = await access.write(lambda tx: actions.keep_predictions(tx, access.actor, access.project.id, name, data))
    return made.settings


async def _deployment(access: Access[None], name: str) -> Deployment:
    return await access.read(lambda tx: queries.deployment_by_name(tx, access.project.id, name))


def bounds(since: int, until: int) -> tuple[Millis, Millis]:
    if not 0 <= since < until <= NEVER:
        raise BadPredictionQuestion(f"since ({since}) must be before until ({until}); both are milliseconds since 1970-01-01 UTC")
    return Millis(since), Millis(until)


def _before(token: str) -> tuple[int, str] | None:
    match = _TOKEN.fullmatch(token)
    if token and match is None:
        raise BadPredictionQuestion("page_token is none that this list gave; leave it out to begin anew")
    return (int(match[1]), match[2]) if match else None


def _after(token: str) -> tuple[int, str, int] | None:
    match = _ROW_TOKEN.fullmatch(token)
    if token and match is None:
        raise BadPredictionQuestion("page_token is none that this list gave; leave it out to begin anew")
    return (int(match[1]), match[2], int(match[3])) if match else None


def _file_view(file: PredictionFile) -> PredictionFileView:
    return PredictionFileView(
        id=file.id,
        day=file.day,
        rows=file.rows,
        bytes=file.size,
        digest=file.digest,
        first=file.first,
        last=file.last,
        versions=list(file.versions),
        columns=file.columns,
        shadow=file.shadow,
    )


routes = [list_predictions, list_files, list_labels, read_file, read_prediction, flush, retry_refused, set_policy]
