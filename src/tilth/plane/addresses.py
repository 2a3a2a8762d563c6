"""Every address that answers, for one moment: made when the state changes, so that a request costs one look-up. Pure.

Beneath `/p/<project>`: the protocols over all deployments of the project, a model being a deployment. Beneath
`/p/<project>/deployments/<name>`: the same for one deployment, with MLflow's `/invocations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tilth.plane import explaining, telling
from tilth.plane.answers import Answer
from tilth.plane.protocols import KSERVE_V1, MLFLOW, OPEN_INFERENCE
from tilth.plane.protocols.port import Codec
from tilth.plane.serving import Place

Tell = Callable[[bytes], Answer]


@dataclass(frozen=True, slots=True)
class Target:
    """What stands at an address.

    project_id: a token must be for it; empty where none is needed. codec: reads and writes predictions, and words refusals.
    place: whose predictions these are, None where `tell` answers instead (given the body of a POST). version: asked for by number;
    None lets the routes decide. readiness: a worker that is shutting down says that it is not ready. aside: `tell` takes too long for
    the event loop.
    """

    project_id: str
    method: str
    codec: Codec
    place: Place | None = None
    version: int | None = None
    tell: Tell | None = None
    readiness: bool = False
    aside: bool = False


Found = tuple[bytes, Target]


def of_deployment(place: Place) -> Iterator[Found]:
    """All that depends on one deployment alone: its own addresses, and the model that it is within its project."""
    project_id = place.wanted.project_id
    yield from _own(place, project_id)
    yield from _model(f"/p/{place.wanted.project}", place, project_id)


def of_projects(places: Sequence[Place]) -> Iterator[Found]:
    """What tells of all deployments of a project."""
    by_project: dict[str, list[Place]] = {}
    for place in places:
        by_project.setdefault(place.wanted.project, []).append(place)
    for project, members in by_project.items():
        yield from _whole_server(f"/p/{project}", members, members[0].wanted.project_id)


def protocols_of_one(root: str, place: Place, project_id: str) -> Iterator[Found]:
    """The inference protocols beneath a path, with this deployment as their only model."""
    yield from _whole_server(root, (place,), project_id)
    yield from _model(root, place, project_id)


def _model(root: str, place: Place, project_id: str) -> Iterator[Found]:
    yield from _v2_model(root, place, project_id)
    yield from _v1_model(root, place, project_id)


def invocations_at(path: str, place: Place, project_id: str) -> Found:
    return path.encode(), Target(project_id, "POST", MLFLOW, place)


def version_at(path: str, project_id: str) -> Found:
    return path.encode(), Target(project_id, "GET", MLFLOW, tell=telling.spoken_version)


def _own(place: Place, project_id: str) -> Iterator[Found]:
    root = f"/p/{place.wanted.project}/deployments/{place.wanted.name}"
    yield invocations_at(f"{root}/invocations", place, project_id)
    yield f"{root}/ready".encode(), Target(project_id, "GET", MLFLOW, tell=partial(telling.readiness, place))
    for name in ("ping", "health"):
        yield f"{root}/{name}".encode(), Target(project_id, "GET", MLFLOW, tell=partial(telling.ping, place), readiness=True)
    yield version_at(f"{root}/version", project_id)
    yield _explain(f"{root}/explain", place, project_id, MLFLOW)
    for version in _numbers(place):
        yield _explain(f"{root}/versions/{version}/explain", place, project_id, MLFLOW, version)
    yield from protocols_of_one(root, place, project_id)


def _whole_server(root: str, places: Sequence[Place], project_id: str) -> Iterator[Found]:
    def at(path: str, method: str, tell: Tell, codec: Codec = OPEN_INFERENCE, *, readiness: bool = False) -> Found:
        return f"{root}{path}".encode(), Target(project_id, method, codec, tell=tell, readiness=readiness)

    yield at("/v2", "GET", telling.server)
    yield at("/v2/", "GET", telling.server)
    yield at("/v2/health/live", "GET", telling.live)
    yield at("/v2/health/ready", "GET", partial(telling.all_ready, places), readiness=True)
    yield at("/v2/repository/index", "POST", partial(telling.index, places))
    yield at("/v1/models", "GET", partial(telling.v1_models, places), KSERVE_V1)


def _v2_model(root: str, place: Place, project_id: str) -> Iterator[Found]:
    name = place.wanted.name
    versions: Iterable[int | None] = (None, *_numbers(place))
    for version in versions:
        path = f"{root}/v2/models/{name}" + ("" if version is None else f"/versions/{version}")
        yield path.encode(), Target(project_id, "GET", OPEN_INFERENCE, tell=partial(telling.v2_model, place, version))
        ready = partial(telling.v2_model_ready, place, version)
        yield f"{path}/ready".encode(), Target(project_id, "GET", OPEN_INFERENCE, tell=ready, readiness=True)
        yield f"{path}/infer".encode(), Target(project_id, "POST", OPEN_INFERENCE, place, version)
    repository = f"{root}/v2/repository/models/{name}"
    yield f"{repository}/load".encode(), Target(project_id, "POST", OPEN_INFERENCE, tell=partial(telling.load, place))
    unload = partial(telling.unload, place)
    yield f"{repository}/unload".encode(), Target(project_id, "POST", OPEN_INFERENCE, tell=unload, aside=True)


def _v1_model(root: str, place: Place, project_id: str) -> Iterator[Found]:
    path = f"{root}/v1/models/{place.wanted.name}"
    yield path.encode(), Target(project_id, "GET", KSERVE_V1, tell=partial(telling.v1_model, place))
    yield f"{path}:predict".encode(), Target(project_id, "POST", KSERVE_V1, place)
    yield _explain(f"{path}:explain", place, project_id, KSERVE_V1)


def _explain(path: str, place: Place, project_id: str, codec: Codec, version: int | None = None) -> Found:
    return path.encode(), Target(project_id, "POST", codec, tell=partial(explaining.explain, place, version), aside=True)


def _numbers(place: Place) -> Iterable[int]:
    """Of what is wanted, and of what an older generation still serves."""
    serving = () if place.served is None else place.served.spec.versions
    return {version.version for version in (*place.wanted.versions, *serving)}
