"""The model server as an application of Ray Serve: each replica is the same core. Ray is imported late: it is nobody's dependency."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tilth.core.errors import Invalid, TilthError
from tilth.plane.asgi import Application
from tilth.plane.hosted import folder_application, home_application
from tilth.plane.standalone import Standing

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class RayMissing(Invalid):
    """Ray Serve is not installed, or no place for it was found."""


class RayRefused(TilthError):
    """Ray Serve could not start the replicas."""


@dataclass(frozen=True, slots=True)
class Scale:
    """replicas: how many, each with so many cores. route: below which address of Ray's HTTP proxy. host, port: of that proxy."""

    replicas: int = 1
    cpus: float = 1.0
    route: str = "/"
    host: str = "127.0.0.1"
    port: int = 8000


def attach() -> bool:
    """Connects to the cluster that RAY_ADDRESS or this machine knows of; True where there was none and one was begun for this process.

    Raises RayMissing.
    """
    ray = _ray()
    if ray.is_initialized():
        return False
    options = {"log_to_driver": False, "logging_level": "error"}
    try:
        ray.init(address="auto", **options)
    except ConnectionError:
        ray.init(include_dashboard=False, **options)
        return True
    return False


def machines() -> int:
    return sum(bool(node["Alive"]) for node in _ray().nodes())


def serve_folder(standing: Standing, seal: str, scale: Scale) -> None:
    """Runs replicas that serve the model folder, which every machine of the cluster sees at that path; in place of an earlier application
    of that name. Returns once they answer. Raises RayRefused."""

    def build() -> Application:
        return folder_application(standing, seal)

    _run(standing.name, build, scale)


def serve_home(home: Path, scale: Scale, name: str = "tilth") -> None:
    """Runs replicas that follow what the control process of `home` publishes, as its own model servers do. Every machine of the cluster
    sees the home at that path. Raises RayRefused."""

    def build() -> Application:
        return home_application(home, f"ray-{uuid.uuid4().hex[:12]}")

    _run(name, build, scale)


def _run(name: str, build: Any, scale: Scale) -> None:
    serve = import_module("ray.serve")
    options = {"num_cpus": scale.cpus, "runtime_env": {"env_vars": dict.fromkeys(THREADS, "1")}}
    deployment = serve.deployment(
        name=name,
        num_replicas=scale.replicas,
        # Tick batching joins what waits: a replica takes far more at once than Ray's default of 5.
        max_ongoing_requests=1024,
        # A model that cannot be loaded cannot be loaded at the twentieth attempt either.
        max_constructor_retry_count=2,
        ray_actor_options=options,
    )
    application = deployment(serve.ingress(build)()).bind()
    try:
        serve.start(http_options={"host": scale.host, "port": scale.port})
        serve.run(application, name=name, route_prefix=scale.route)
    except (RuntimeError, import_module("ray.exceptions").RayError) as error:
        raise RayRefused(f"Ray Serve did not bring up {name!r}: {str(error)[:500]}") from error


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError as missing:
        raise RayMissing("Ray is not installed here: pip install 'ray[serve]'") from missing
