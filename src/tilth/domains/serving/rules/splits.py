"""Shares of the requests over versions of one model. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tilth.domains.serving.types import WHOLE, Generation, InvalidSplit, Route

MAX_VERSIONS = 10
PARTS_OF_PERCENT = WHOLE // 100


def weights(percents: Mapping[int, float]) -> dict[int, int]:
    """Parts of 10,000 for each version, in the order given.

    percents: more than 0, at most two decimals, adding up to 100; 1 to 10 versions. Raises InvalidSplit.
    """
    if not 1 <= len(percents) <= MAX_VERSIONS:
        raise InvalidSplit(f"a split has 1 to {MAX_VERSIONS} versions, not {len(percents)}")
    found = {}
    for version, percent in percents.items():
        parts = round(percent * PARTS_OF_PERCENT) if 0 < percent <= 100 else 0
        if not parts or abs(parts - percent * PARTS_OF_PERCENT) > 1e-6:
            raise InvalidSplit(f"version {version} shall have {percent:g} %: give more than 0, at most 100, with two decimals")
        found[version] = parts
    if sum(found.values()) != WHOLE:
        raise InvalidSplit(f"the shares add up to {sum(found.values()) / PARTS_OF_PERCENT:g} %; they must make 100 %")
    return found


def in_lasting_order(wanted: Iterable[int], present: Sequence[Route]) -> list[int]:
    """New versions first, then those that are served already in the order in which they stand.

    A caller's place among the requests is fixed. What stands first and grows keeps every caller that it had.
    """
    listed = list(wanted)
    standing = [route.version for route in present if route.version in listed]
    return [version for version in listed if version not in standing] + standing


def main_version(routes: Sequence[Route]) -> int:
    """The version with the largest share; of equal ones the last, which stood there before the others."""
    return max(reversed(routes), key=lambda route: route.weight).version


def before_this(history: Sequence[Generation], present: Sequence[Route]) -> Generation | None:
    """What a rollback goes back to: the newest generation that shared out the requests in another way.

    Steps of rollouts and arms of A/B tests do not count: nobody chose to stay on them. history: newest first.
    """
    for generation in history:
        passing = generation.cause in ("rollout", "ab") and len(generation.routes) > 1
        if not passing and _shares(generation.routes) != _shares(present):
            return generation
    return None


def _shares(routes: Iterable[Route]) -> set[tuple[str, int, int]]:
    return {(route.model_id, route.version, route.weight) for route in routes if route.weight}
