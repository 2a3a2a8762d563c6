"""Deployments from a program: put a model behind HTTP, and ask it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import Conflict, NotFound, Unavailable
from tilth.core.names import check_slug, slug_of
from tilth.sdk.connection import Connection, connection
from tilth.sdk.references import UnknownReference, parse_reference
from tilth.sdk.request_bodies import body_of
from tilth.wire.explanations import Explanations
from tilth.wire.serving import Deploy, DeploymentView

T = TypeVar("T")

WAIT_STEP_S = 10.0


class DeploymentFailed(Conflict):
    """The model servers refused the new version; what served before serves on."""


class DeploymentNotLive(Unavailable):
    """No model server took up the deployment in time."""


class NoServeAddress(NotFound):
    def __init__(self) -> None:
        super().__init__("nothing says where predictions are answered; set TILTH_SERVE_URL (`tilth status` shows it)")


def deploy(
    model: str,
    name: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    wait: bool = True,
    timeout_s: float = 120.0,
    note: str = "",
    cancel_rollout: bool = False,
) -> DeploymentView:
    """Serves `model` (`flight-delay@champion` follows the alias, `flight-delay/3` is pinned) as deployment `name`, by default its own.

    settings: those to change, such as {"process": True, "memory_mb": 2000}; the others stay as they are.
    wait: until every model server serves it. cancel_rollout: end one that is under way.
    Raises DeploymentFailed, DeploymentNotLive, and what the server refuses.
    """
    target = connection()
    reference = parse_reference(model)
    if reference.logged_model_id is not None:
        raise UnknownReference(model)
    called = check_slug(name or slug_of(reference.model), "deployment")
    path = f"{target.api}/deployments/{called}"
    body = Deploy(
        model=reference.model,
        version=reference.version,
        alias=reference.alias,
        settings=dict(settings or {}),
        note=note,
        cancel_rollout=cancel_rollout,
    )
    view = target.http.call("PUT", path, DeploymentView, body=body)
    return _until_live(target, path, view, timeout_s) if wait else view


def predict(deployment: str, rows: Any) -> Any:
    """Asks a deployment over HTTP. rows: a DataFrame of pandas or polars, an array, a list of dicts (by column) or of lists, or a dict of
    arrays by name. Returns a list of one prediction per row; of a model with several output tensors a list for each, by name.

    Raises NoServeAddress, InvalidRows, and what the model server refuses, such as a value outside a column's vocabulary.
    """
    return _asked(deployment, "invocations", rows, _Predictions).predictions


def explain(deployment: str, rows: Any, *, version: int | None = None) -> Explanations:
    """Asks a deployment what each input of each row added to its answer. rows: as for predict, at most 100.

    version: one that the deployment serves, by default the one that answers most. Raises NoServeAddress, InvalidRows, and what the model
    server refuses, such as a model that nothing explains.
    """
    verb = "explain" if version is None else f"versions/{version}/explain"
    return _asked(deployment, verb, rows, Explanations)


class _Predictions(msgspec.Struct):
    predictions: list[Any] | dict[str, Any]


def _asked(deployment: str, verb: str, rows: Any, answer: type[T]) -> T:
    target = connection()
    if not target.target.serve_url:
        raise NoServeAddress
    path = f"/p/{quote(target.project, safe='')}/deployments/{quote(deployment, safe='')}/{verb}"
    return target.serving.read(target.serving.send("POST", path, body_of(rows)), answer)


def _until_live(target: Connection, path: str, view: DeploymentView, timeout_s: float) -> DeploymentView:
    deadline = monotonic() + timeout_s
    while view.status.state != "live":
        if view.status.state == "failed":
            raise DeploymentFailed(f"deployment {view.name!r} could not serve version {view.version}: {view.status.error}")
        left = deadline - monotonic()
        if left <= 0:
            raise DeploymentNotLive(
                f"deployment {view.name!r} is {view.status.state} after {timeout_s:.0f} s; look at `tilth deployment show {view.name}`"
            )
        query = {"generation": view.generation, "timeout_s": min(WAIT_STEP_S, left)}
        view = target.http.call("GET", f"{path}/wait", DeploymentView, query=query)
    return view
