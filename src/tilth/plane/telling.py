"""What the protocols tell about servers and models, without a prediction. Pure, but for `unload`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tilth.core.errors import Invalid, Unavailable
from tilth.core.version import VERSION
from tilth.plane.answers import Answer, ok
from tilth.plane.forms import InvalidBody
from tilth.plane.protocols.datatypes import DATATYPES
from tilth.plane.serving import LoadedVersion, Place, ServedDeployment
from tilth.wire.mlflow import SPOKEN_VERSION
from tilth.wire.signature import Column, Tensor

EXTENSIONS = ("binary_tensor_data", "model_repository")
_COLUMN_TYPES = {"double": "FP64", "long": "INT64", "boolean": "BOOL", "string": "BYTES"}


class NotServedYet(Unavailable):
    """The deployment exists but no generation of it serves here."""


class NotLoadedHere(Invalid):
    """What a deployment serves is decided by deploying, not by clients that load and unload models."""


def why_not(place: Place) -> str:
    name, generation = place.wanted.name, place.wanted.generation
    serving = f"; generation {place.served.spec.generation} serves on" if place.served else ""
    if place.failure:
        return f"generation {generation} of deployment {name!r} was refused: {place.failure}{serving}"
    return f"generation {generation} of deployment {name!r} is loading{serving}"


def served(place: Place) -> ServedDeployment:
    """Raises NotServedYet."""
    if place.served is None:
        raise NotServedYet(why_not(place))
    return place.served


def readiness(place: Place, body: bytes) -> Answer:
    """Whether the wanted generation serves, no older one."""
    if not place.current:
        raise NotServedYet(why_not(place))
    return ok({"status": "ok", "generation": place.wanted.generation})


def ping(place: Place, body: bytes) -> Answer:
    """As MLflow's scoring server and SageMaker's containers answer."""
    served(place)
    return Answer(200, b"\n", content_type=b"text/plain")


def spoken_version(body: bytes) -> Answer:
    """Of MLflow, as its scoring server answers."""
    return Answer(200, SPOKEN_VERSION.encode(), content_type=b"text/plain")


def live(body: bytes) -> Answer:
    return ok({"live": True})


def all_ready(places: Sequence[Place], body: bytes) -> Answer:
    for place in places:
        served(place)
    return ok({"ready": True})


def server(body: bytes) -> Answer:
    return ok({"name": "tilth", "version": VERSION, "extensions": EXTENSIONS})


def v2_model(place: Place, version: int | None, body: bytes) -> Answer:
    described = version_of(place, version)
    signature = described.signature
    return ok(
        {
            "name": place.wanted.name,
            "versions": [each.version for each in served(place).versions],
            "platform": described.platform,
            "inputs": [_metadata(given) for given in signature.tensors or signature.inputs],
            "outputs": [_metadata(given) for given in signature.output_tensors or signature.outputs],
        }
    )


def v2_model_ready(place: Place, version: int | None, body: bytes) -> Answer:
    version_of(place, version)
    return ok({"name": place.wanted.name, "ready": True})


def index(places: Sequence[Place], body: bytes) -> Answer:
    """All that is wanted here, or with `{"ready": true}` what serves."""
    only_ready = _index_wish(body)
    rows: list[dict[str, str]] = []
    for place in places:
        serving = () if place.served is None else place.served.versions
        rows += [_row(place, version.version, "READY", "") for version in serving]
        known = {version.key for version in serving}
        state = "UNAVAILABLE" if place.failure else "LOADING"
        if not only_ready:
            rows += [_row(place, str(v.version), state, why_not(place)) for v in place.wanted.versions if v.key not in known]
    return ok(rows)


def load(place: Place, body: bytes) -> Answer:
    """Nothing to do for what serves; anything else is loading already, or was refused."""
    if place.served is None:
        raise NotLoadedHere(f"{why_not(place)}; deploy another version, or wait for this one")
    return ok({})


def unload(place: Place, body: bytes) -> Answer:
    """Of a lazy deployment, whose next request loads it again. Takes a moment where it ends processes."""
    residents = [version.resident for version in place.served.versions] if place.served is not None else []
    if residents and all(residents):
        for resident in filter(None, residents):
            resident.unload()
        return ok({})
    raise NotLoadedHere(
        f"deployment {place.wanted.name!r} stays loaded for as long as it is deployed, since its setting load is not lazy; "
        f"`tilth deployment delete {place.wanted.name}` takes it down"
    )


def v1_models(places: Sequence[Place], body: bytes) -> Answer:
    return ok({"models": [place.wanted.name for place in places]})


def v1_model(place: Place, body: bytes) -> Answer:
    return ok({"name": place.wanted.name, "ready": place.served is not None})


def version_of(place: Place, number: int | None) -> LoadedVersion:
    """Without a number the one that answers most. Raises NotServedYet."""
    deployment = served(place)
    if number is None:
        weights = {route.version: route.weight for route in deployment.spec.routes}
        return max(deployment.versions, key=lambda version: weights.get(version.key, 0))
    for version in deployment.versions:
        if version.version == str(number):
            return version
    raise NotServedYet(f"version {number} of {deployment.spec.name!r} is not loaded: {why_not(place)}")


def _metadata(given: Column | Tensor) -> dict[str, Any]:
    if isinstance(given, Column):
        return {"name": given.name, "datatype": _COLUMN_TYPES[given.type], "shape": [-1]}
    return {"name": given.name, "datatype": "BYTES" if given.type == "bytes" else DATATYPES[given.type], "shape": given.shape}


def _index_wish(body: bytes) -> bool:
    if not body.strip():
        return False
    try:
        wish = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody(f'the body must be empty or a JSON object such as {{"ready": true}}: {error}') from error
    if not isinstance(wish, dict):
        raise InvalidBody('the body must be empty or a JSON object such as {"ready": true}')
    return wish.get("ready") is True


def _row(place: Place, version: str, state: str, reason: str) -> dict[str, str]:
    return {"name": place.wanted.name, "version": version, "state": state, "reason": reason}
