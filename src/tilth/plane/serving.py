"""What a worker serves at one moment: immutable, built aside, swapped in by one attribute store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tilth.flavours.port import ArrayPredictor, Predictor
from tilth.plane.arrays import encoder_of
from tilth.plane.inputs import Inputs, Results, count_of
from tilth.plane.lane import Lane
from tilth.plane.latency import Tally
from tilth.plane.outputs import outputs_of
from tilth.plane.problems import UnsuitableSignature
from tilth.plane.routing import RouteTable
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PlaneDeployment, PlaneState, PlaneToken, PlaneVersion

Verb = Literal["invocations", "ready"]


class LoadedVersion:
    """A verified, warmed model version, ready to predict.

    inline: whether it predicts on the event loop, as what is fast does; else it does so in its lane, as large requests always do.
    """

    __slots__ = (
        "__weakref__",
        "_run",
        "encoder",
        "engine",
        "engine_header",
        "inline",
        "key",
        "lane",
        "model",
        "outputs",
        "signature",
        "version",
    )

    def __init__(
        self,
        sealed: PlaneVersion,
        document: ModelDocument,
        predictor: Predictor | ArrayPredictor,
        lane: Lane[Any] | None = None,
    ) -> None:
        self.key = sealed.key
        self.model = sealed.model
        self.version = str(sealed.version)
        self.engine = predictor.engine
        self.engine_header = predictor.engine.encode()
        self.lane = lane or Lane()
        self.inline = True
        self.signature = document.signature
        self.encoder = encoder_of(document.signature)
        self.outputs = outputs_of(document.signature)
        named = isinstance(predictor, ArrayPredictor)
        if named != document.signature.named:
            wanted = ("one table of numbers", "arrays by name")[document.signature.named]
            raise UnsuitableSignature(f"the signature says that the model takes {wanted}, and it does not: log it again")
        self._run: Callable[[Any], Any] = predictor.predict_arrays if isinstance(predictor, ArrayPredictor) else predictor.predict

    def predict(self, inputs: Inputs) -> Results:
        """A result per row. Raises whatever the model raises, and ValueError if it gives what its signature does not say."""
        count = count_of(inputs)
        if not count:
            return self.outputs.empty()
        return self.outputs.checked(self._run(inputs), count)

    def listed(self, outputs: Results) -> Any:
        """The results as they stand in JSON."""
        return self.outputs.listed(outputs)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ServedDeployment:
    """One deployment at one generation, all its versions loaded."""

    spec: PlaneDeployment
    routes: RouteTable[LoadedVersion]
    versions: tuple[LoadedVersion, ...]
    tally: Tally


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at an address: the wanted deployment and, once it is there, what serves for it (maybe an older generation)."""

    wanted: PlaneDeployment
    served: ServedDeployment | None
    failure: str

    @property
    def current(self) -> bool:
        return self.served is not None and self.served.spec.generation == self.wanted.generation


@dataclass(frozen=True, slots=True)
class ServingState:
    """targets: request target as sent -> (place, verb). tokens: by sha256 of the credential. known: a state was ever read."""

    sequence: int
    known: bool
    places: tuple[Place, ...]
    targets: Mapping[bytes, tuple[Place, Verb]]
    served: Mapping[str, ServedDeployment]
    tokens: Mapping[str, PlaneToken]

    @property
    def settled(self) -> bool:
        """Whether each deployment is served, or was refused and so will not be."""
        return self.known and all(place.served is not None or place.failure for place in self.places)


EMPTY = ServingState(0, False, (), {}, {}, {})


def serving_state(wanted: PlaneState, served: Mapping[str, ServedDeployment], failures: Mapping[str, str]) -> ServingState:
    """served, failures: by deployment id; entries of deployments that are not wanted are left out."""
    places = tuple(Place(d, served.get(d.id), failures.get(d.id, "")) for d in wanted.deployments)
    return ServingState(
        sequence=wanted.sequence,
        known=True,
        places=places,
        targets=dict(_targets(places)),
        served={place.wanted.id: place.served for place in places if place.served is not None},
        tokens={token.sha256: token for token in wanted.tokens},
    )


def _targets(places: Iterable[Place]) -> Iterable[tuple[bytes, tuple[Place, Verb]]]:
    for place in places:
        root = f"/p/{place.wanted.project}/deployments/{place.wanted.name}/".encode()
        yield root + b"invocations", (place, "invocations")
        yield root + b"ready", (place, "ready")
