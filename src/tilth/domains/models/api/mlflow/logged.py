"""Logged models as MLflow's clients open, fill, finish and search them."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from tilth.backends.sql import Tx
from tilth.core.ids import new_id
from tilth.domains.models import actions
from tilth.domains.models.api.mlflow.views import logged_model_answers
from tilth.domains.models.api.mlflow.words import about_logged_model, check_logged_name, free_pairs, in_mlflow_words
from tilth.domains.models.api.sealing import settle
from tilth.domains.models.queries.logged_search import find_logged_models, logged_model_row
from tilth.domains.models.rules.mlflow_filters import logged_models_filter, logged_models_order
from tilth.domains.models.types import LoggedModelStatus, UnknownLoggedModel
from tilth.domains.tracking.api.mlflow.words import experiment_not_active, no_experiment
from tilth.domains.tracking.queries.experiment_numbers import ids_of_numbers
from tilth.domains.tracking.queries.model_metrics import DatasetScope
from tilth.domains.tracking.rules.mlflow_values import experiment_number
from tilth.domains.tracking.types import UnknownRun
from tilth.guard import AccessTo, Permission, json_answer, mlflow_route
from tilth.wire.mlflow import MlflowError, Nothing, invalid, invalid_value, missing
from tilth.wire.mlflow_paging import offset_of, token_of
from tilth.wire.mlflow_registry import (
    CreateLoggedModel,
    FinalizeLoggedModel,
    LoggedModelParams,
    LoggedModels,
    LoggedModelTags,
    OneLoggedModel,
    ReadLoggedModel,
    SearchLoggedModels,
)

BASE = "/logged-models"
ONE = BASE + "/{model_id:str}"
DEFAULT_RESULTS = 100
MAX_RESULTS = 1000
MAX_EXPERIMENTS = 10_000

_STATUS: dict[str, LoggedModelStatus] = {
    "LOGGED_MODEL_PENDING": "pending",
    "LOGGED_MODEL_READY": "ready",
    "LOGGED_MODEL_UPLOAD_FAILED": "failed",
    "1": "pending",
    "2": "ready",
    "3": "failed",
}

Asked = Request[Any, Any, Any]


@mlflow_route("POST", BASE, permission=Permission.MODEL_WRITE)
async def create_logged_model(access: AccessTo[None], wanted: CreateLoggedModel) -> OneLoggedModel:
    project = access.project.id
    name = check_logged_name(wanted.name) if wanted.name else f"model-{new_id()[-8:]}"
    number, params, tags = experiment_number(wanted.experiment_id), free_pairs(wanted.params), free_pairs(wanted.tags)

    def write(tx: Tx) -> OneLoggedModel:
        experiment_id = ids_of_numbers(tx, project, [number], deleted=False).get(number)
        if experiment_id is None:
            if ids_of_numbers(tx, project, [number]):
                raise experiment_not_active(wanted.experiment_id)
            raise no_experiment(wanted.experiment_id)
        try:
            made = actions.create_logged_model(
                tx,
                access.actor,
                project,
                name=name,
                source_run_id=wanted.source_run_id or None,
                experiment_id=experiment_id,
                model_type=wanted.model_type or "",
                params=params,
                tags=tags,
            )
        except UnknownRun:
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Run with id={wanted.source_run_id} not found") from None
        return _answer(tx, project, made.id)

    return await access.write(write)


@mlflow_route("GET", ONE, permission=Permission.MODEL_READ)
async def get_logged_model(access: AccessTo[None], request: Asked, wanted: ReadLoggedModel) -> OneLoggedModel:
    model_id, deleted = _model_id(request), (wanted.allow_deleted or "").lower() == "true"
    with about_logged_model(model_id):
        return await access.read(lambda tx: _answer(tx, access.project.id, model_id, deleted=deleted))


@mlflow_route("PATCH", ONE, permission=Permission.MODEL_WRITE)
async def finalize_logged_model(access: AccessTo[None], request: Asked, wanted: FinalizeLoggedModel) -> OneLoggedModel:
    """READY seals what has arrived; a folder that does not read as a model is kept and cannot be served."""
    project, model_id = access.project.id, _model_id(request)
    status = _STATUS.get(str(wanted.status))
    if status is None:
        raise invalid(invalid_value("status", wanted.status, f"Expected one of {list(_STATUS)[:3]}"))
    with in_mlflow_words(), about_logged_model(model_id):
        if status == "ready":
            await settle(access, request.app.state["tilth_blobs"], model_id)
        else:
            await access.write(lambda tx: actions.mark(tx, access.actor, project, model_id, status))
        return await access.read(lambda tx: _answer(tx, project, model_id))


@mlflow_route("DELETE", ONE, permission=Permission.MODEL_DELETE)
async def delete_logged_model(access: AccessTo[None], request: Asked) -> Nothing:
    """Lets go of its bytes for good; refused while a version points to it."""
    model_id = _model_id(request)
    with about_logged_model(model_id):
        await access.write(lambda tx: actions.delete_logged_model(tx, access.actor, access.project.id, model_id))
    return Nothing()


@mlflow_route("POST", ONE + "/params", permission=Permission.MODEL_WRITE)
async def log_params(access: AccessTo[None], request: Asked, wanted: LoggedModelParams) -> Nothing:
    model_id, params = _model_id(request), free_pairs(wanted.params)
    with about_logged_model(model_id):
        await access.write(lambda tx: actions.add_params(tx, access.project.id, model_id, params))
    return Nothing()


@mlflow_route("PATCH", ONE + "/tags", permission=Permission.MODEL_WRITE)
async def set_tags(access: AccessTo[None], request: Asked, wanted: LoggedModelTags) -> OneLoggedModel:
    project, model_id, tags = access.project.id, _model_id(request), free_pairs(wanted.tags)

    def write(tx: Tx) -> OneLoggedModel:
        actions.tag_logged_model(tx, access.actor, project, model_id, tags)
        return _answer(tx, project, model_id)

    with about_logged_model(model_id):
        return await access.write(write)


@mlflow_route("DELETE", ONE + "/tags/{key:path}", permission=Permission.MODEL_WRITE, raw=True)
async def delete_tag(access: AccessTo[None], request: Asked) -> ASGIResponse:
    """The key stands in the address as it is, with every `/` and `?` that it has; no body comes with it."""
    project, model_id, key = access.project.id, _model_id(request), _key_in_address(request)

    def write(tx: Tx) -> None:
        if not actions.untag_logged_model(tx, access.actor, project, model_id, key):
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"No tag with key {key!r} found for model with ID {model_id!r}.")

    with about_logged_model(model_id):
        await access.write(write)
    return json_answer(Nothing())


def _key_in_address(request: Asked) -> str:
    raw: bytes = request.scope["raw_path"]
    _, found, path = raw.partition(b"?")[0].partition(b"/tags/")
    if not found:
        raise invalid("write this address plainly, without percent-encoding before the key of the tag")
    key = unquote(path.decode("ascii", "replace"))
    query: bytes = request.scope.get("query_string", b"")
    return f"{key}?{unquote(query.decode('ascii', 'replace'))}" if query else key


@mlflow_route("POST", BASE + "/search", permission=Permission.MODEL_READ)
async def search_logged_models(access: AccessTo[None], wanted: SearchLoggedModels) -> LoggedModels:
    project, most = access.project.id, min(max(1, wanted.max_results or DEFAULT_RESULTS), MAX_RESULTS)
    if not wanted.experiment_ids:
        raise missing("experiment_ids")
    numbers = [_number(text) for text in wanted.experiment_ids[:MAX_EXPERIMENTS]]
    datasets = [DatasetScope(each.dataset_name or "", each.dataset_digest or "") for each in wanted.datasets or []]
    if not all(each.name for each in datasets):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    with in_mlflow_words():
        conditions = logged_models_filter(wanted.filter or "")
        order = [
            logged_models_order(
                each.field_name or "",
                each.ascending is not False,
                each.dataset_name or "",
                each.dataset_digest or "",
            )
            for each in wanted.order_by or []
        ]
    question = _digest(wanted)
    offset = offset_of(wanted.page_token, question)

    def read(tx: Tx) -> LoggedModels:
        experiments = list(ids_of_numbers(tx, project, numbers).values())
        rows = find_logged_models(tx, project, experiments, conditions, datasets, order, limit=most + 1, offset=offset)
        token = token_of(offset + most, question) if len(rows) > most else None
        return LoggedModels(logged_model_answers(tx, project, rows[:most]), token)

    return await access.read(read)


def _digest(wanted: SearchLoggedModels) -> str:
    asked = msgspec.json.encode([wanted.experiment_ids, wanted.filter, wanted.datasets, wanted.order_by])
    return hashlib.sha256(asked).hexdigest()[:16]


def _answer(tx: Tx, project_id: str, model_id: str, *, deleted: bool = False) -> OneLoggedModel:
    rows = [logged_model_row(tx, project_id, model_id, deleted=deleted)]
    return OneLoggedModel(logged_model_answers(tx, project_id, rows)[0])


def _model_id(request: Asked) -> str:
    model_id = str(request.path_params["model_id"])
    if "\0" in model_id:
        raise UnknownLoggedModel(model_id)
    return model_id


def _number(text: str) -> int:
    """An experiment's number. What no experiment can have is -1, which none has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


routes = [
    create_logged_model,
    get_logged_model,
    finalize_logged_model,
    delete_logged_model,
    log_params,
    set_tags,
    delete_tag,
    search_logged_models,
]
