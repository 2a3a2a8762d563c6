"""What a worker serves at one moment, as one immutable value that is swapped in by one attribute store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tilth.plane.addresses import Target, targets_of
from tilth.plane.serving import Place, ServedDeployment
from tilth.wire.plane import PlaneState, PlaneToken


@dataclass(frozen=True, slots=True)
class ServingState:
    """targets: by request target as sent. tokens: by sha256 of the credential. known: a state was ever read. guarded: whether unknown
    addresses are told only to who has a token."""

    sequence: int
    known: bool
    places: tuple[Place, ...]
    targets: Mapping[bytes, Target]
    served: Mapping[str, ServedDeployment]
    tokens: Mapping[str, PlaneToken]
    guarded: bool = True

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
        targets=dict(targets_of(places)),
        served={place.wanted.id: place.served for place in places if place.served is not None},
        tokens={token.sha256: token for token in wanted.tokens},
    )
