"""Registered models, their tags and aliases, as MLflow's clients ask for them."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.models import actions, queries
from tilth.domains.models.api.mlflow.views import model_answer, version_answer
from tilth.domains.models.api.mlflow.words import (
    check_alias,
    check_alias_free,
    check_key,
    check_max_results,
    check_model_name,
    check_value,
    check_version,
    in_mlflow_words,
    pairs,
)
from tilth.domains.models.queries import listing
from tilth.domains.models.rules.mlflow_filters import IS_PROMPT, registered_models_filter, registered_models_order
from tilth.domains.models.rules.naming import check_stage
from tilth.domains.models.types import STAGES, ModelExists
from tilth.guard import AccessTo, Permission, mlflow_route
from tilth.wire.mlflow import MlflowError, Nothing
from tilth.wire.mlflow_paging import offset_of, token_of
from tilth.wire.mlflow_registry import (
    CreateModel,
    LatestVersions,
    Models,
    ModelTag,
    NamedAlias,
    NamedModel,
    OneModel,
    OneVersion,
    RenameModel,
    SearchModels,
    SetAlias,
    UpdateModel,
    Versions,
)

BASE = "/registered-models"
DEFAULT_RESULTS = 100
MAX_RESULTS = 1000


@mlflow_route("POST", BASE + "/create", permission=Permission.MODEL_WRITE)
async def create_model(access: AccessTo[None], wanted: CreateModel) -> OneModel:
    project, name, tags = access.project.id, check_model_name(wanted.name), pairs(wanted.tags)

    def write(tx: Tx) -> OneModel:
        try:
            actions.create_model(tx, access.actor, project, name, description=wanted.description or "", tags=tags)
        except ModelExists:
            raise _exists(listing.model_row(tx, project, name).tags, tags, name) from None
        return OneModel(model_answer(listing.model_row(tx, project, name)))

    return await access.write(write)


def _exists(old: dict[str, str], new: dict[str, str], name: str) -> MlflowError:
    """MLflow keeps prompts among the models and tells them apart by a tag."""
    kinds = ["Prompt" if tags.get(IS_PROMPT, "false").lower() == "true" else "Registered Model" for tags in (old, new)]
    if kinds[0] == kinds[1]:
        return MlflowError("RESOURCE_ALREADY_EXISTS", f"{kinds[1]} (name={name}) already exists.")
    return MlflowError(
        "RESOURCE_ALREADY_EXISTS",
        f"Tried to create a {kinds[1].lower()} with name {name!r}, but the name is already taken by a {kinds[0].lower()}. "
        "MLflow does not allow creating a model and a prompt with the same name.",
    )


@mlflow_route("GET", BASE + "/get", permission=Permission.MODEL_READ)
async def get_model(access: AccessTo[None], wanted: NamedModel) -> OneModel:
    name = check_model_name(wanted.name)
    with in_mlflow_words(name):
        return await access.read(lambda tx: OneModel(model_answer(listing.model_row(tx, access.project.id, name))))


@mlflow_route("PATCH", BASE + "/update", permission=Permission.MODEL_WRITE)
async def update_model(access: AccessTo[None], wanted: UpdateModel) -> OneModel:
    project, name = access.project.id, check_model_name(wanted.name)

    def write(tx: Tx) -> OneModel:
        actions.change_model(tx, access.actor, project, name, description=wanted.description or "")
        return OneModel(model_answer(listing.model_row(tx, project, name)))

    with in_mlflow_words(name):
        return await access.write(write)


@mlflow_route("POST", BASE + "/rename", permission=Permission.MODEL_WRITE)
async def rename_model(access: AccessTo[None], wanted: RenameModel) -> OneModel:
    project, new_name = access.project.id, check_model_name(wanted.new_name, "new_name")
    may_loosen = access.principal.may(Permission.GATE_RELAX, project)

    def write(tx: Tx) -> OneModel:
        try:
            actions.change_model(tx, access.actor, project, wanted.name, new_name=new_name, may_loosen=may_loosen)
        except ModelExists:
            raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={new_name}) already exists.") from None
        return OneModel(model_answer(listing.model_row(tx, project, new_name)))

    with in_mlflow_words(wanted.name):
        return await access.write(write)


@mlflow_route("DELETE", BASE + "/delete", permission=Permission.MODEL_DELETE)
async def delete_model(access: AccessTo[None], wanted: NamedModel) -> Nothing:
    """Its name is free at once; our own API can bring it back."""
    name = check_model_name(wanted.name)
    may_loosen = access.principal.may(Permission.GATE_RELAX, access.project.id)
    with in_mlflow_words(name):
        await access.write(lambda tx: actions.delete_model(tx, access.actor, access.project.id, name, may_loosen=may_loosen))
    return Nothing()


@mlflow_route("GET", BASE + "/search", permission=Permission.MODEL_READ)
async def search_models(access: AccessTo[None], wanted: SearchModels) -> Models:
    most = check_max_results(wanted.max_results, DEFAULT_RESULTS, MAX_RESULTS)
    offset = offset_of(wanted.page_token)
    with in_mlflow_words():
        asked = registered_models_filter(wanted.filter or "")
        order = registered_models_order(wanted.order_by or [])
    project = access.project.id
    found = await access.read(lambda tx: listing.find_models(tx, project, asked, order, limit=most + 1, offset=offset))
    token = token_of(offset + most) if len(found) > most else None
    return Models([model_answer(row) for row in found[:most]], token)


@mlflow_route("GET POST", BASE + "/get-latest-versions", permission=Permission.MODEL_READ)
async def latest_versions(access: AccessTo[None], wanted: LatestVersions) -> Versions:
    name, stages = check_model_name(wanted.name), [check_stage(stage) for stage in wanted.stages or STAGES]
    with in_mlflow_words(name):
        model = await access.read(lambda tx: listing.model_row(tx, access.project.id, name))
    return Versions([version_answer(row) for row in model.latest if row.stage in stages])


@mlflow_route("POST", BASE + "/set-tag", permission=Permission.MODEL_WRITE)
async def set_model_tag(access: AccessTo[None], wanted: ModelTag) -> Nothing:
    name, tags = check_model_name(wanted.name), {check_key(wanted.key): check_value(wanted.value)}
    with in_mlflow_words(name):
        await access.write(lambda tx: actions.change_model(tx, access.actor, access.project.id, name, tags=dict(tags)))
    return Nothing()


@mlflow_route("DELETE", BASE + "/delete-tag", permission=Permission.MODEL_WRITE)
async def delete_model_tag(access: AccessTo[None], wanted: ModelTag) -> Nothing:
    """A tag that is not there is deleted already."""
    name, key = check_model_name(wanted.name), check_key(wanted.key)
    with in_mlflow_words(name):
        await access.write(lambda tx: actions.change_model(tx, access.actor, access.project.id, name, tags={key: None}))
    return Nothing()


@mlflow_route("POST", BASE + "/alias", permission=Permission.ALIAS_SET)
async def set_alias(access: AccessTo[None], wanted: SetAlias) -> Nothing:
    """Deployments that follow the alias move with it."""
    name, alias, version = check_model_name(wanted.name), check_alias_free(wanted.alias), check_version(wanted.version)
    with in_mlflow_words(name, wanted.version):
        await access.write(lambda tx: actions.set_alias(tx, access.actor, access.project.id, name, alias, version))
    return Nothing()


@mlflow_route("DELETE", BASE + "/alias", permission=Permission.ALIAS_SET)
async def delete_alias(access: AccessTo[None], wanted: NamedAlias) -> Nothing:
    """An alias that is not there is deleted already."""
    project, name, alias = access.project.id, check_model_name(wanted.name), check_alias(wanted.alias)

    def write(tx: Tx) -> None:
        if alias in queries.aliases_of(tx, queries.model_by_name(tx, project, name)):
            actions.remove_alias(tx, access.actor, project, name, alias)

    with in_mlflow_words(name):
        await access.write(write)
    return Nothing()


@mlflow_route("GET", BASE + "/alias", permission=Permission.MODEL_READ)
async def get_version_by_alias(access: AccessTo[None], wanted: NamedAlias) -> OneVersion:
    project, name, alias = access.project.id, check_model_name(wanted.name), check_alias(wanted.alias)

    def read(tx: Tx) -> OneVersion:
        model = listing.model_row(tx, project, name)
        if alias.lower() == "latest":
            number = max((row.version for row in model.latest), default=None)
            if number is None:
                raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Latest version not found for model {name}.")
        elif alias in model.aliases:
            number = model.aliases[alias]
        else:
            raise MlflowError("INVALID_PARAMETER_VALUE", f"Registered model alias {alias} not found.")
        return OneVersion(version_answer(listing.version_row(tx, project, name, number)))

    with in_mlflow_words(name):
        return await access.read(read)


routes = [
    create_model,
    get_model,
    update_model,
    rename_model,
    delete_model,
    search_models,
    latest_versions,
    set_model_tag,
    delete_model_tag,
    set_alias,
    delete_alias,
    get_version_by_alias,
]
