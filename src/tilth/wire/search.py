"""What searches among runs answer besides the runs themselves: groups, and the keys and values there are."""

from __future__ import annotations

from msgspec import Struct

from tilth.wire.tracking import MetricValue


class RunGroup(Struct, omit_defaults=True):
    """Runs that share a value; value None: those that lack the key. Figures of the chosen metric leave NaN out; None without any."""

    value: str | None
    runs: int
    mean: MetricValue | None = None
    min: MetricValue | None = None
    max: MetricValue | None = None


class RunGroups(Struct):
    """Largest first. complete: whether these are all groups."""

    by: str
    metric: str
    groups: list[RunGroup]
    complete: bool


class KnownKeys(Struct):
    """Keys, or values of one key, in order. complete: whether there are no more."""

    keys: list[str]
    complete: bool
