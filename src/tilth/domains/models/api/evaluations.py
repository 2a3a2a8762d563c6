"""Our own API of evaluations, of versions and of logged models, and of the scores per row that stand behind them."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.core.hashing import FileEntry
from tilth.core.ids import Digest
from tilth.core.paging import page_start
from tilth.core.ports import Blobs
from tilth.domains.models import actions, queries
from tilth.domains.models.rules.evaluations import MAX_SCORE_BYTES
from tilth.domains.models.types import NoScores, ScoresSealed
from tilth.guard import AccessTo, Permission, get, post, put
from tilth.guard.files import UNCOMPRESSED, download
from tilth.wire.evaluations import EvaluationPage, EvaluationView, RecordedEvaluation, RecordEvaluation

PROJECT = "/api/v1/p/{project:str}"
MODEL = PROJECT + "/models/{name:str}"
OF_VERSION = MODEL + "/versions/{version:int}/evaluations"
OF_LOGGED_MODEL = PROJECT + "/logged-models/{logged_model_id:str}/evaluations"
ONE = PROJECT + "/evaluations/{evaluation_id:str}"


@post(OF_VERSION, permission=Permission.MODEL_WRITE)
async def evaluate_version(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[RecordEvaluation]
) -> RecordedEvaluation:
    """Records what was measured; the answer says what the gates think of it."""
    return await access.write(lambda tx: actions.evaluate_version(tx, access.actor, access.project.id, name, version, data))


@get(OF_VERSION, permission=Permission.MODEL_READ)
async def list_version_evaluations(
    access: AccessTo[None],
    name: FromPath[str],
    version: FromPath[int],
    limit: FromQuery[int] = 100,
    offset: FromQuery[int] = 0,
) -> EvaluationPage:
    """Newest first; those of the logged model that the version is are among them."""

    def read(tx: Tx) -> EvaluationPage:
        model = queries.model_by_name(tx, access.project.id, name)
        queries.version_of(tx, model, version)
        return queries.version_evaluations_page(tx, model, version, limit=limit, offset=page_start(offset))

    return await access.read(read)


@get(MODEL + "/evaluations", permission=Permission.MODEL_READ)
async def list_model_evaluations(
    access: AccessTo[None],
    name: FromPath[str],
    evaluation: FromQuery[str] = "",
    rows_digest: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
    offset: FromQuery[int] = 0,
) -> EvaluationPage:
    """Of all versions, newest first. evaluation: of that name; rows_digest: over those very rows."""

    def read(tx: Tx) -> EvaluationPage:
        model = queries.model_by_name(tx, access.project.id, name)
        return queries.model_evaluations_page(
            tx, model, name=evaluation, rows_digest=rows_digest, limit=limit, offset=page_start(offset)
        )

    return await access.read(read)


@post(OF_LOGGED_MODEL, permission=Permission.MODEL_WRITE)
async def evaluate_logged_model(
    access: AccessTo[None], logged_model_id: FromPath[str], data: JSONBody[RecordEvaluation]
) -> RecordedEvaluation:
    return await access.write(
        lambda tx: actions.evaluate_logged_model(tx, access.actor, access.project.id, logged_model_id, data)
    )


@get(OF_LOGGED_MODEL, permission=Permission.MODEL_READ)
async def list_logged_model_evaluations(
    access: AccessTo[None], logged_model_id: FromPath[str], limit: FromQuery[int] = 100, offset: FromQuery[int] = 0
) -> EvaluationPage:
    def read(tx: Tx) -> EvaluationPage:
        source = queries.logged_model_by_id(tx, access.project.id, logged_model_id)
        return queries.logged_model_evaluations_page(tx, access.project.id, source.id, limit=limit, offset=page_start(offset))

    return await access.read(read)


@get(ONE, permission=Permission.MODEL_READ)
async def read_evaluation(access: AccessTo[None], evaluation_id: FromPath[str]) -> EvaluationView:
    return await access.read(lambda tx: queries.evaluation_by_id(tx, access.project.id, evaluation_id))


@put(ONE + "/scores", permission=Permission.MODEL_WRITE, request_max_body_size=None, status_code=200)
async def put_scores(request: Request[Any, Any, Any], access: AccessTo[None], evaluation_id: FromPath[str]) -> EvaluationView:
    """The bytes whose digest the evaluation announced; at most 64 MB."""
    project_id = access.project.id
    known = await access.read(lambda tx: queries.evaluation_by_id(tx, project_id, evaluation_id))
    if known.scores_digest is None or known.scores_size is not None:
        raise ScoresSealed(evaluation_id)
    blobs: Blobs = request.app.state["tilth_blobs"]
    stored = await blobs.put(request.stream(), expect=Digest(known.scores_digest), max_bytes=MAX_SCORE_BYTES)
    return await access.write(lambda tx: actions.keep_scores(tx, project_id, evaluation_id, stored.digest, stored.size))


@get(ONE + "/scores", permission=Permission.MODEL_READ, opt=UNCOMPRESSED)
async def read_scores(request: Request[Any, Any, Any], access: AccessTo[None], evaluation_id: FromPath[str]) -> Response[Any]:
    """The bytes as an attachment; takes Range and If-None-Match."""
    found = await access.read(lambda tx: queries.evaluation_by_id(tx, access.project.id, evaluation_id))
    if found.scores_digest is None or found.scores_size is None:
        raise NoScores(evaluation_id)
    return await download(request, FileEntry("scores.f8", Digest(found.scores_digest), found.scores_size))


routes = [
    evaluate_version,
    list_version_evaluations,
    list_model_evaluations,
    evaluate_logged_model,
    list_logged_model_evaluations,
    read_evaluation,
    put_scores,
    read_scores,
]
