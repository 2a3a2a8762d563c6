"""Versions of registered models as MLflow's clients ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request

from tilth.backends.sql import Tx
from tilth.core.errors import NotFound
from tilth.core.hashing import FileEntry
from tilth.core.names import InvalidName, check_artifact_path
from tilth.core.ports import Blobs
from tilth.domains.models import actions, queries
from tilth.domains.models.actions import Origin
from tilth.domains.models.actions.copies import run_files
from tilth.domains.models.api.mlflow.views import artifact_uri, version_answer
from tilth.domains.models.api.mlflow.words import (
    check_key,
    check_max_results,
    check_model_name,
    check_value,
    check_version,
    in_mlflow_words,
    pairs,
)
from tilth.domains.models.api.sealing import document_or_none, settle
from tilth.domains.models.queries import listing
from tilth.domains.models.queries.logged_search import model_of_run
from tilth.domains.models.rules.mlflow_filters import IS_PROMPT, versions_filter, versions_order
from tilth.domains.models.rules.sources import (
    PROMPT_SOURCES,
    LoggedModelSource,
    RunSource,
    VersionSource,
    read_source,
)
from tilth.domains.models.types import UnknownAlias, UnknownVersion
from tilth.domains.tracking.queries.experiment_numbers import numbers_of
from tilth.guard import Access, AccessTo, Permission, mlflow_route
from tilth.wire.mlflow import Nothing, invalid
from tilth.wire.mlflow_paging import offset_of, token_of
from tilth.wire.mlflow_registry import (
    CreateVersion,
    DownloadAddress,
    DownloadVersion,
    NamedVersion,
    OneVersion,
    SearchModels,
    StageVersion,
    UpdateVersion,
    Versions,
    VersionTag,
)

BASE = "/model-versions"
MAX_RESULTS = 200_000
DEFAULT_ORDER = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")
ACTIVE_STAGES = ("Staging", "Production")

Asked = Request[Any, Any, Any]
MadeOf = Callable[[Tx], Origin]
"""Asked in the transaction that makes the version: what it is made of."""


@mlflow_route("POST", BASE + "/create", permission=Permission.MODEL_WRITE)
async def create_version(access: AccessTo[None], request: Asked, wanted: CreateVersion) -> OneVersion:
    """What its source holds here is sealed by the version; a source elsewhere is remembered as it is."""
    project, name, tags = access.project.id, check_model_name(wanted.name), pairs(wanted.tags)
    made_of = await _origin(access, request.app.state["tilth_blobs"], wanted, is_prompt=_is_true(tags.get(IS_PROMPT)))

    def write(tx: Tx) -> OneVersion:
        made = actions.add_version(tx, access.actor, project, name, made_of(tx), description=wanted.description or "", tags=tags)
        return OneVersion(version_answer(listing.version_row(tx, project, name, made.version)))

    with in_mlflow_words(name):
        return await access.write(write)


async def _origin(access: Access[None], blobs: Blobs, wanted: CreateVersion, *, is_prompt: bool) -> MadeOf:
    run_id, model_id, link = wanted.run_id or "", wanted.model_id or "", wanted.run_link or ""
    if is_prompt:
        if wanted.source not in PROMPT_SOURCES:
            raise invalid(f"Invalid prompt source: '{wanted.source[:300]}'. Prompt sources must use an MLflow placeholder.")
        return _always(Origin(wanted.source, None, run_id or None, link))
    match read_source(wanted.source, run_id=run_id, logged_model_id=model_id):
        case LoggedModelSource(logged_model_id):
            return _always(await _of_logged_model(access, blobs, wanted, logged_model_id))
        case VersionSource() as source:
            return lambda tx: _of_version(tx, access, wanted, source)
        case RunSource(source_run, folder):
            return await _of_run(access, blobs, wanted, source_run, folder)
        case _:
            return _always(Origin(wanted.source, None, run_id or None, link))


def _always(origin: Origin) -> MadeOf:
    return lambda tx: origin


async def _of_logged_model(access: Access[None], blobs: Blobs, wanted: CreateVersion, logged_model_id: str) -> Origin:
    project = access.project.id
    try:
        model = await access.read(lambda tx: queries.logged_model_by_id(tx, project, logged_model_id))
    except NotFound:
        raise invalid(
            f"Invalid model version source: '{wanted.source}'. The model_id request parameter must identify the resource that "
            "contains the source."
        ) from None
    if model.status == "ready":
        await settle(access, blobs, logged_model_id)
    return Origin(wanted.source, logged_model_id, wanted.run_id or model.source_run_id, wanted.run_link or "")


def _of_version(tx: Tx, access: Access[None], wanted: CreateVersion, source: VersionSource) -> Origin:
    """Another version of the same files: it shares the seal."""
    project, name = access.project.id, source.model
    with in_mlflow_words(name, source.version if source.version is not None else source.alias):
        model = listing.model_row(tx, project, name)
        if _is_true(model.tags.get(IS_PROMPT)):
            raise invalid(
                f"Invalid model version source: '{wanted.source}'. Prompt versions cannot be used as model version sources."
            )
        number = source.version
        if source.alias is not None:
            if source.alias not in model.aliases:
                raise UnknownAlias(name, source.alias, list(model.aliases))
            number = model.aliases[source.alias]
        if number is None:
            standing = [row.version for row in model.latest if source.stage is None or row.stage == source.stage.capitalize()]
            if not standing:
                raise UnknownVersion(name, 0, None)
            number = max(standing)
        found = listing.version_row(tx, project, name, number)
    run_id = found.run_id if wanted.run_id is None else wanted.run_id
    answer = version_answer(found)
    if (run_id or "") != (found.run_id or "") or (wanted.model_id or "") not in ("", answer.model_id):
        raise invalid(
            f"Invalid model version source: '{wanted.source}'. The run_id and model_id request parameters must match the "
            "referenced model version."
        )
    return Origin(f"models:/{name}/{number}", found.logged_model_id, run_id or None, wanted.run_link or "")


async def _of_run(access: Access[None], blobs: Blobs, wanted: CreateVersion, run_id: str, folder: str) -> MadeOf:
    """Its artifacts become a sealed model without any byte moving; else the model that the run logged under that name is it."""
    project, link = access.project.id, wanted.run_link or ""
    if folder:
        try:
            check_artifact_path(folder)
        except InvalidName as bad:
            raise invalid(f"Invalid model version source: '{wanted.source}'. {bad}") from None

    def look(tx: Tx) -> tuple[list[FileEntry], str | None]:
        return run_files(tx, project, run_id, folder), model_of_run(tx, project, run_id, folder)

    files, logged_model_id = await access.read(look)
    if files:
        document = await document_or_none(blobs, files)

        def copied(tx: Tx) -> Origin:
            made = actions.copy_of_run(tx, access.actor, project, run_id, folder, wanted.source, files, document)
            return Origin(wanted.source, made, run_id, link)

        return copied
    if logged_model_id is not None:
        await settle(access, blobs, logged_model_id)
    return _always(Origin(wanted.source, logged_model_id, run_id, link))


def _is_true(tag: str | None) -> bool:
    return (tag or "").lower() == "true"


@mlflow_route("GET", BASE + "/get", permission=Permission.MODEL_READ)
async def get_version(access: AccessTo[None], wanted: NamedVersion) -> OneVersion:
    name, version = check_model_name(wanted.name), check_version(wanted.version)
    with in_mlflow_words(name, wanted.version):
        return await access.read(lambda tx: OneVersion(version_answer(listing.version_row(tx, access.project.id, name, version))))


@mlflow_route("PATCH", BASE + "/update", permission=Permission.MODEL_WRITE)
async def update_version(access: AccessTo[None], wanted: UpdateVersion) -> OneVersion:
    project, name, version = access.project.id, check_model_name(wanted.name), check_version(wanted.version)

    def write(tx: Tx) -> OneVersion:
        listing.version_row(tx, project, name, version)
        actions.change_version(tx, access.actor, project, name, version, description=wanted.description or "")
        return OneVersion(version_answer(listing.version_row(tx, project, name, version)))

    with in_mlflow_words(name, wanted.version):
        return await access.write(write)


@mlflow_route("DELETE", BASE + "/delete", permission=Permission.MODEL_DELETE)
async def delete_version(access: AccessTo[None], wanted: NamedVersion) -> Nothing:
    """Its aliases go with it; our own API can bring it back without them."""
    project, name, version = access.project.id, check_model_name(wanted.name), check_version(wanted.version)

    def write(tx: Tx) -> None:
        for alias in listing.version_row(tx, project, name, version).aliases:
            actions.remove_alias(tx, access.actor, project, name, alias)
        actions.delete_version(tx, access.actor, project, name, version)

    with in_mlflow_words(name, wanted.version):
        await access.write(write)
    return Nothing()


@mlflow_route("POST", BASE + "/transition-stage", permission=Permission.ALIAS_SET)
async def transition_stage(access: AccessTo[None], wanted: StageVersion) -> OneVersion:
    project, name, version = access.project.id, check_model_name(wanted.name), check_version(wanted.version)
    archive = bool(wanted.archive_existing_versions)
    if archive and wanted.stage.capitalize() not in ACTIVE_STAGES and wanted.stage.lower() in ("none", "archived"):
        raise invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{wanted.stage}' is not an Active stage. Valid stages are {list(ACTIVE_STAGES)}"
        )

    def write(tx: Tx) -> OneVersion:
        actions.move_to_stage(tx, access.actor, project, name, version, wanted.stage, archive_others=archive)
        return OneVersion(version_answer(listing.version_row(tx, project, name, version)))

    with in_mlflow_words(name, wanted.version):
        return await access.write(write)


@mlflow_route("GET", BASE + "/search", permission=Permission.MODEL_READ)
async def search_versions(access: AccessTo[None], wanted: SearchModels) -> Versions:
    most = check_max_results(wanted.max_results, MAX_RESULTS, MAX_RESULTS)
    offset = offset_of(wanted.page_token)
    with in_mlflow_words():
        asked = versions_filter(wanted.filter or "")
        order = versions_order(wanted.order_by or DEFAULT_ORDER)
    project = access.project.id
    found = await access.read(lambda tx: listing.find_versions(tx, project, asked, order, limit=most + 1, offset=offset))
    token = token_of(offset + most) if len(found) > most else None
    return Versions([version_answer(row) for row in found[:most]], token)


@mlflow_route("GET", BASE + "/get-download-uri", permission=Permission.MODEL_READ)
async def get_download_uri(access: AccessTo[None], wanted: DownloadVersion) -> DownloadAddress:
    """The sealed files where Tilth has them, else where they lie."""
    project, name, version = access.project.id, check_model_name(wanted.name), check_version(wanted.version)

    def read(tx: Tx) -> DownloadAddress:
        found = listing.version_row(tx, project, name, version)
        if found.logged_model_id is None:
            return DownloadAddress(found.source)
        model = queries.logged_model_by_id(tx, project, found.logged_model_id)
        number = numbers_of(tx, project, [model.experiment_id or ""]).get(model.experiment_id or "", 0)
        return DownloadAddress(artifact_uri(number, model.id))

    with in_mlflow_words(name, wanted.version):
        return await access.read(read)


@mlflow_route("POST", BASE + "/set-tag", permission=Permission.MODEL_WRITE)
async def set_version_tag(access: AccessTo[None], wanted: VersionTag) -> Nothing:
    name, version = check_model_name(wanted.name), check_version(wanted.version)
    tags = {check_key(wanted.key): check_value(wanted.value)}
    with in_mlflow_words(name, wanted.version):
        return await _tagged(access, name, version, dict(tags))


@mlflow_route("DELETE", BASE + "/delete-tag", permission=Permission.MODEL_WRITE)
async def delete_version_tag(access: AccessTo[None], wanted: VersionTag) -> Nothing:
    """A tag that is not there is deleted already."""
    name, version = check_model_name(wanted.name), check_version(wanted.version)
    tags: dict[str, str | None] = {check_key(wanted.key): None}
    with in_mlflow_words(name, wanted.version):
        return await _tagged(access, name, version, tags)


async def _tagged(access: Access[None], name: str, version: int, tags: dict[str, str | None]) -> Nothing:
    project = access.project.id

    def write(tx: Tx) -> None:
        listing.version_row(tx, project, name, version)
        actions.change_version(tx, access.actor, project, name, version, tags=tags)

    await access.write(write)
    return Nothing()


routes = [
    create_version,
    get_version,
    update_version,
    delete_version,
    transition_stage,
    search_versions,
    get_download_uri,
    set_version_tag,
    delete_version_tag,
]
