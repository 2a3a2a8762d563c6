"""Where a version's files come from, read off the address that it is registered with. Pure.

Addresses of this installation (`models:/`, `runs:/`, `mlflow-artifacts:/`) must name what the caller says they belong to; any other
remote address stays as it is: its files lie elsewhere. The wording of refusals is MLflow's, whose clients look for it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus, urlsplit

from tilth.core.names import MAX_PATH_CHARS
from tilth.domains.models.types import InvalidSource

MAX_SOURCE_CHARS = 2_000
PROMPT_SOURCES = frozenset(("prompt-template", "dummy-source"))
"""What MLflow's clients send where a prompt, which has no files, is registered."""

_PROXY_ROUTE = ("api", "2.0", "mlflow-artifacts", "artifacts")


@dataclass(frozen=True, slots=True)
class LoggedModelSource:
    """`models:/<id>`, or the address of its files."""

    logged_model_id: str


@dataclass(frozen=True, slots=True)
class VersionSource:
    """`models:/<name>/<version>`, `models:/<name>@<alias>`, `models:/<name>/<stage>` or `.../latest` (all None)."""

    model: str
    version: int | None = None
    alias: str | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class RunSource:
    """Artifacts of a run below `path` ("" is the root)."""

    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """Files that Tilth does not hold."""


Source = LoggedModelSource | VersionSource | RunSource | RemoteSource


def read_source(uri: str, *, run_id: str = "", logged_model_id: str = "") -> Source:
    """What the address names. run_id, logged_model_id: what the caller says it belongs to ("" if nothing). Raises InvalidSource."""
    if len(uri) > MAX_SOURCE_CHARS or "\0" in uri:
        raise InvalidSource(
            f"Invalid model version source: '{uri[:80]}'. It has more than {MAX_SOURCE_CHARS} characters or a NUL."
        )
    parts = _split(uri)
    said = "model_id" if logged_model_id else "run_id"
    if parts.scheme in ("", "file"):
        raise InvalidSource(
            f"Invalid model version source: '{uri}'. To use a local path as a model version source, the {said} request parameter has "
            "to be specified and the local path has to be contained within the artifact directory of the run specified by the "
            f"{said}."
        )
    _refuse_relative(uri)
    if parts.scheme == "models":
        return _of_model(uri, logged_model_id)
    if parts.scheme == "runs":
        return _of_run(uri, run_id, logged_model_id)
    if _is_artifact_address(uri):
        return _of_artifacts(uri, run_id, logged_model_id)
    return RemoteSource()


def files_elsewhere(source: str) -> str:
    """Why a version without files of its own cannot be served or loaded from here."""
    return f"its files lie elsewhere, at {source[:200]}: log the model to Tilth and register that version to serve it"


def _of_model(uri: str, logged_model_id: str) -> Source:
    parts = _split(uri)
    if parts.netloc:
        raise InvalidSource(
            f"Invalid model version source: '{uri}'. Registered model sources must use the active model registry."
        )
    names = parts.path.lstrip("/").split("/")
    if not parts.path.startswith("/") or len(names) > 2 or any(not name.strip() for name in names):
        raise _not_contained(uri, "model_id")
    if len(names) == 2:
        return _version(names[0], names[1])
    name, at, alias = names[0].rpartition("@")
    if at:
        if not alias.strip():
            raise _not_contained(uri, "model_id")
        return VersionSource(name, alias=alias)
    if names[0] != logged_model_id:
        raise _not_contained(uri, "model_id")
    return LoggedModelSource(names[0])


def _version(model: str, suffix: str) -> VersionSource:
    if suffix.isdecimal() and len(suffix) < 10:
        return VersionSource(model, version=int(suffix))
    return VersionSource(model) if suffix.lower() == "latest" else VersionSource(model, stage=suffix)


def _of_run(uri: str, run_id: str, logged_model_id: str) -> Source:
    parts = _split(uri)
    source_run, _, path = parts.path.lstrip("/").partition("/")
    if logged_model_id:
        raise _not_contained(uri, "model_id")
    if parts.netloc or not source_run or source_run != run_id:
        raise _not_contained(uri, "run_id")
    return RunSource(source_run, path.strip("/"))


def _of_artifacts(uri: str, run_id: str, logged_model_id: str) -> Source:
    """`<experiment>/<run>/artifacts/<path>` or `<experiment>/models/<logged model>/artifacts`, after the proxy's own address."""
    names = [name for name in _decoded(_split(uri).path).split("/") if name]
    for start in range(len(names) - len(_PROXY_ROUTE) + 1):
        if tuple(names[start : start + len(_PROXY_ROUTE)]) == _PROXY_ROUTE:
            names = names[start + len(_PROXY_ROUTE) :]
            break
    if logged_model_id:
        if len(names) < 4 or names[1:4] != ["models", logged_model_id, "artifacts"]:
            raise _not_contained(uri, "model_id")
        return LoggedModelSource(logged_model_id)
    if not run_id or len(names) < 3 or names[1:3] != [run_id, "artifacts"]:
        raise _not_contained(uri, "run_id")
    return RunSource(run_id, "/".join(names[3:]))


def _is_artifact_address(uri: str) -> bool:
    parts = _split(uri)
    if parts.scheme == "mlflow-artifacts":
        return True
    return parts.scheme in ("http", "https") and f"/{'/'.join(_PROXY_ROUTE)}" in re.sub(r"/+", "/", _decoded(parts.path))


def _refuse_relative(uri: str) -> None:
    plain = uri
    while (again := unquote_plus(plain)) != plain:
        plain = again
    path = re.sub(r"/+", "/", _split(plain).path.rstrip("/"))
    if "\0" in plain or ".." in plain.split("/") or (path and posixpath.normpath(path) != path):
        raise InvalidSource(
            f"Invalid model version source: '{uri}'. If supplying a source as an http, https, local file path, ftp, objectstore, or "
            "mlflow-artifacts uri, an absolute path must be provided without relative path references present. "
            "Please provide an absolute path."
        )


def _split(uri: str) -> _Parts:
    try:
        found = urlsplit(uri)
    except ValueError as error:
        raise InvalidSource(f"Invalid model version source: '{uri[:200]}'. It is no address: {error}.") from error
    return _Parts(found.scheme.lower(), found.netloc, found.path)


@dataclass(frozen=True, slots=True)
class _Parts:
    scheme: str
    netloc: str
    path: str


def _decoded(path: str) -> str:
    while (again := unquote(path)) != path:
        path = again
    return path[: 4 * MAX_PATH_CHARS]


def _not_contained(uri: str, parameter: str) -> InvalidSource:
    return InvalidSource(
        f"Invalid model version source: '{uri}'. The {parameter} request parameter must identify the resource that contains the source."
    )
