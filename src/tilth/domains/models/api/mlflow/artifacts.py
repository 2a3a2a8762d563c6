"""MLflow's artifact proxy: the files of runs and of logged models at one kind of address.

The path is read off the raw address, each segment decoded once, so that no second decoding can climb out of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Request, Response
from litestar.response.base import ASGIResponse

from tilth.backends.sql import Tx
from tilth.core.hashing import FileEntry
from tilth.core.ids import Digest
from tilth.core.names import InvalidName, check_artifact_path, path_of_segments
from tilth.domains.models import actions, queries
from tilth.domains.models.api.mlflow.views import artifact_uri
from tilth.domains.models.api.mlflow.words import about_logged_model, in_mlflow_words
from tilth.domains.models.rules.places import ModelPlace, Place, RunPlace, place_of
from tilth.domains.models.types import UnknownModelFile
from tilth.domains.tracking import actions as tracking
from tilth.domains.tracking import queries as tracked
from tilth.domains.tracking.queries.experiment_numbers import numbers_of
from tilth.domains.tracking.types import UnknownArtifact, UnknownRun
from tilth.guard import Access, AccessTo, Permission, check, json_answer, mlflow_route
from tilth.guard.files import UNCOMPRESSED, blobs_of, download, max_file_bytes, sent_type
from tilth.wire.mlflow import MlflowError, Nothing, invalid
from tilth.wire.mlflow_registry import FileAnswer, Files, ListDirectory, ListFolder

SERVICE = "mlflow-artifacts"
ONE = "/artifacts/{path:path}"
_BEFORE_PATH = b"/mlflow-artifacts/artifacts"

Asked = Request[Any, Any, Any]


@mlflow_route("PUT", ONE, service=SERVICE, permission=Permission.RUN_WRITE, raw=True, request_max_body_size=None)
async def upload(access: AccessTo[None], request: Asked) -> ASGIResponse:
    """The raw bytes of one file; a file of the same path is replaced, unless a version has sealed it."""
    where = place_in_address(request)
    check_file(where)
    await check_open(access, where)
    stored = await blobs_of(request).put(request.stream(), max_bytes=max_file_bytes(request))
    kind = sent_type(request, where.path)
    with about_place(where):
        await access.write(lambda tx: put_file(tx, access, where, stored.digest, stored.size, kind))
    return json_answer(Nothing())


@mlflow_route("GET", ONE, service=SERVICE, permission=Permission.RUN_READ, raw=True, opt=UNCOMPRESSED)
async def read_file(access: AccessTo[None], request: Asked) -> Response[Any]:
    """One file as an attachment; takes Range and If-None-Match."""
    return await download(request, *await readable(access, place_in_address(request)))


@mlflow_route("GET", "/artifacts", service=SERVICE, permission=Permission.RUN_READ)
async def list_files(access: AccessTo[None], wanted: ListFolder) -> Files:
    """What lies in a folder, each by its name alone. Above the runs nothing is told."""
    path = (wanted.path or "").strip("/")
    if not path:
        return Files()
    try:
        where = place_of(check_artifact_path(path))
    except InvalidName as bad:
        raise _invalid_path(bad) from None
    return Files(files=await access.read(lambda tx: _listed(tx, access.project.id, where, full=False)))


@mlflow_route("DELETE", ONE, service=SERVICE, permission=Permission.RUN_DELETE, raw=True)
async def delete_files(access: AccessTo[None], request: Asked) -> ASGIResponse:
    """A file, a folder, or with the address of a run's or a model's root all of its files. Never more than one run or model."""
    where, project = place_in_address(request, root=True), access.project.id
    if isinstance(where, ModelPlace):
        check(access.principal, Permission.MODEL_WRITE, access.project)

    def write(tx: Tx) -> int:
        if isinstance(where, ModelPlace):
            return actions.remove_files(tx, project, where.logged_model_id, where.path)
        inside = tracked.artifacts_of(tx, project, where.run_id, folder=where.path, recursive=True)
        paths = [entry.path for entry in inside if not entry.is_dir]
        if where.path and tracked.artifact_entry(tx, project, where.run_id, where.path) is not None:
            paths.append(where.path)
        for path in paths:
            tracking.delete_artifact(tx, access.actor, project, where.run_id, path)
        return len(paths)

    with about_place(where):
        if not await access.write(write) and where.path:
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{where.path}'")
    return json_answer(Nothing())


@mlflow_route("DELETE", "/artifacts", service=SERVICE, permission=Permission.RUN_DELETE, raw=True)
async def delete_everything(access: AccessTo[None], request: Asked) -> ASGIResponse:
    """Refused: the root of all artifacts is nobody's to delete."""
    raise invalid("Invalid path: name the artifacts of one run or logged model, such as <experiment>/<run>/artifacts/<path>")


@mlflow_route("GET", "/logged-models/{model_id:str}/artifacts/directories", permission=Permission.MODEL_READ)
async def list_model_directory(access: AccessTo[None], request: Asked, wanted: ListDirectory) -> Files:
    project, model_id = access.project.id, str(request.path_params["model_id"])
    folder = (wanted.artifact_directory_path or "").strip("/")
    try:
        where = ModelPlace(model_id, check_artifact_path(folder) if folder else "")
    except InvalidName as bad:
        raise _invalid_path(bad) from None

    def read(tx: Tx) -> Files:
        model = queries.logged_model_by_id(tx, project, model_id)
        number = numbers_of(tx, project, [model.experiment_id or ""]).get(model.experiment_id or "", 0)
        return Files(artifact_uri(number, model.id), _listed(tx, project, where, full=True))

    with about_logged_model(model_id):
        return await access.read(read)


def place_in_address(request: Asked, *, root: bool = False, before: bytes = _BEFORE_PATH) -> Place:
    """What the address names after `before`. root: it may end in a `/`, which MLflow's client sends for a whole run. Raises MlflowError."""
    raw: bytes = request.scope["raw_path"].split(b"?", 1)[0]
    _, found, path = raw.partition(before)
    segments = path.split(b"/")[1:]
    if root and segments[-1:] == [b""]:
        segments = segments[:-1]
    try:
        if not found:
            raise InvalidName("write this address plainly, without percent-encoding before the artifact path")
        return place_of(path_of_segments(segments))
    except InvalidName as bad:
        raise _invalid_path(bad) from None


def check_file(where: Place) -> None:
    if not where.path:
        raise invalid("Invalid path: name a file below `artifacts/`")


async def readable(access: Access[None], where: Place) -> tuple[FileEntry, str]:
    """The file and its media type, for whoever may read it. Raises MlflowError, Denied."""
    check_file(where)
    if isinstance(where, ModelPlace):
        check(access.principal, Permission.MODEL_READ, access.project)
    with about_place(where):
        return await access.read(lambda tx: _stored(tx, access.project.id, where))


async def check_open(access: Access[None], where: Place) -> None:
    """Asked before bytes are taken in, so that nobody sends gigabytes in vain; and again when the row is written."""
    project = access.project.id
    with about_place(where):
        if isinstance(where, RunPlace):
            await access.read(lambda tx: tracking.check_writable(tx, project, where.run_id, where.path))
        else:
            check(access.principal, Permission.MODEL_WRITE, access.project)
            await access.read(lambda tx: actions.changeable(tx, project, where.logged_model_id))


def put_file(tx: Tx, access: Access[None], where: Place, digest: Digest, size: int, kind: str) -> None:
    """Points the place to bytes that are stored already."""
    project = access.project.id
    if isinstance(where, RunPlace):
        tracking.add_artifact(tx, project, where.run_id, where.path, digest=digest, size=size, content_type=kind)
    else:
        actions.add_file(tx, project, where.logged_model_id, FileEntry(where.path, digest, size), reopen=True)


@contextmanager
def about_place(where: Place) -> Iterator[None]:
    """Tells what the actions refuse as MLflow tells it."""
    model_id = where.logged_model_id if isinstance(where, ModelPlace) else ""
    with in_mlflow_words(), about_logged_model(model_id):
        try:
            yield
        except UnknownRun as unknown:
            run_id = where.run_id if isinstance(where, RunPlace) else unknown
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found") from None
        except (UnknownArtifact, UnknownModelFile):
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{where.path}'") from None


def _stored(tx: Tx, project_id: str, where: Place) -> tuple[FileEntry, str]:
    if isinstance(where, RunPlace):
        found = tracked.artifact_entry(tx, project_id, where.run_id, where.path)
        if found is None:
            raise UnknownArtifact(where.path, where.run_id)
        return FileEntry(found.path, Digest(found.digest or ""), found.size or 0), found.content_type
    entry = queries.file_of(tx, project_id, where.logged_model_id, where.path)
    if entry is None:
        raise UnknownModelFile(where.logged_model_id, where.path)
    return entry, "application/octet-stream"


def _listed(tx: Tx, project_id: str, where: Place, *, full: bool) -> list[FileAnswer]:
    """full: each by its whole path below the root."""
    if isinstance(where, RunPlace):
        found = [
            FileAnswer(entry.path, entry.is_dir, None if entry.is_dir else entry.size)
            for entry in tracked.artifacts_of(tx, project_id, where.run_id, folder=where.path)
        ]
    else:
        found = _in_folder(queries.files_of(tx, project_id, where.logged_model_id), where.path)
    if not full:
        for each in found:
            each.path = (each.path or "").rpartition("/")[2]
    return sorted(found, key=lambda each: each.path or "")


def _in_folder(files: Iterable[FileEntry], folder: str) -> list[FileAnswer]:
    inside = f"{folder}/" if folder else ""
    found: dict[str, FileAnswer] = {}
    for entry in files:
        if entry.path.startswith(inside):
            name, deeper, _ = entry.path[len(inside) :].partition("/")
            path = inside + name
            found[path] = FileAnswer(path, True) if deeper else FileAnswer(path, False, entry.size)
    return list(found.values())


def _invalid_path(bad: InvalidName) -> MlflowError:
    return invalid(f"Invalid path: {bad}")


routes = [upload, read_file, list_files, delete_files, delete_everything, list_model_directory]
