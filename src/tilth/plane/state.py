"""What a worker serves at one moment, as one immutable value that is swapped in by one attribute store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tilth.plane.addresses import Found, Target, of_deployment, of_projects
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
    made: Mapping[str, tuple[Place, tuple[Found, ...]]] = field(default_factory=dict)
    """By deployment id, for the next state to take over what did not change."""

    @property
    def settled(self) -> bool:
        """Whether each deployment is served, or was refused and so will not be."""
        return self.known and all(place.served is not None or place.failure for place in self.places)


EMPTY = ServingState(0, False, (), {}, {}, {})


def serving_state(
    wanted: PlaneState, served: Mapping[str, ServedDeployment], failures: Mapping[str, str], before: ServingState = EMPTY
) -> ServingState:
    """served, failures: by deployment id; entries of deployments that are not wanted are left out. before: the state so far.

    The event loop waits for it: of a thousand deployments only those that changed get their addresses anew.
    """
    made = {
        deployment.id: _made(Place(deployment, served.get(deployment.id), failures.get(deployment.id, "")), before)
        for deployment in wanted.deployments
    }
    places = tuple(place for place, _ in made.values())
    targets: dict[bytes, Target] = {}
    for _, found in made.values():
        targets.update(found)
    targets.update(of_projects(places))
    return ServingState(
        sequence=wanted.sequence,
        known=True,
        places=places,
        targets=targets,
        served={place.wanted.id: place.served for place in places if place.served is not None},
        tokens={token.sha256: token for token in wanted.tokens},
        made=made,
    )


def _made(place: Place, before: ServingState) -> tuple[Place, tuple[Found, ...]]:
    known = before.made.get(place.wanted.id)
    if known is not None and known[0].served is place.served and known[0] == place:
        return known
    return place, tuple(of_deployment(place))
