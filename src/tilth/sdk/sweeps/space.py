"""Spaces of parameters, as they are written in Python, TOML and JSON alike.

    7, "adam", true                              always this value
    [16, 32, 64]                                 one of these
    {"uniform": [0.0, 0.5]}                      a number between, evenly
    {"loguniform": [1e-4, 1e-1]}                 a number between, evenly in its logarithm; both above 0
    {"int": [3, 12]}, {"int": [32, 256, 32]}     a whole number, both ends included; with a step
    {"uniform": [0.0, 0.5], "points": 6}         for a grid: that many values, evenly apart, both ends included

Pure: the same (space, seed, number of the trial) always gives the same values.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tilth.core.names import InvalidName, check_key
from tilth.sdk.sweeps.errors import InvalidSweep

Value = str | int | float | bool
MAX_CHOICES = 1000
MAX_GRID = 10_000
_FORMS = "a value, a list of values, {'uniform': [low, high]}, {'loguniform': [low, high]} or {'int': [low, high]}"


@dataclass(frozen=True, slots=True)
class Choice:
    values: tuple[Value, ...]

    def draw(self, source: random.Random) -> Value:
        return source.choice(self.values)

    def grid(self, name: str) -> tuple[Value, ...]:
        return self.values


@dataclass(frozen=True, slots=True)
class Uniform:
    """Of a number, or with log of its logarithm. points: on a grid."""

    low: float
    high: float
    log: bool
    points: int | None

    def draw(self, source: random.Random) -> Value:
        if self.log:
            return min(self.high, max(self.low, math.exp(source.uniform(math.log(self.low), math.log(self.high)))))
        return source.uniform(self.low, self.high)

    def grid(self, name: str) -> tuple[Value, ...]:
        if self.points is None:
            raise InvalidSweep(
                f"a grid needs to know how many values of {name!r} to try: add 'points', such as "
                f"{{'uniform': [{self.low:g}, {self.high:g}], 'points': 5}}, give a list, or use the sampler `random`"
            )
        if self.points == 1:
            return (self.low,)
        ends = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        inner = [ends[0] + (ends[1] - ends[0]) * at / (self.points - 1) for at in range(self.points)]
        values = [math.exp(value) for value in inner] if self.log else inner
        return (self.low, *values[1:-1], self.high)


@dataclass(frozen=True, slots=True)
class Integers:
    low: int
    high: int
    step: int

    def draw(self, source: random.Random) -> Value:
        return source.randrange(self.low, self.high + 1, self.step)

    def grid(self, name: str) -> tuple[Value, ...]:
        values = range(self.low, self.high + 1, self.step)
        if len(values) > MAX_GRID:
            raise InvalidSweep(f"{name!r} alone has {len(values):,} values; give a step, or use the sampler `random`")
        return tuple(values)


Dimension = Choice | Uniform | Integers
Space = dict[str, Dimension]


def parse_space(written: Mapping[str, Any]) -> Space:
    """Raises InvalidSweep."""
    if not written:
        raise InvalidSweep("the space is empty: name at least one parameter, such as {'depth': {'int': [3, 12]}}")
    space: Space = {}
    for name, form in written.items():
        try:
            check_key(name, "param")
        except InvalidName as error:
            raise InvalidSweep(str(error)) from error
        space[name] = _dimension(name, form)
    return space


def draw(space: Space, seed: int, number: int) -> dict[str, Value]:
    """Values of the trial `number`: each parameter has a source of its own, so that adding one leaves the others as they were."""
    return {name: dimension.draw(random.Random(f"{seed}/{number}/{name}")) for name, dimension in space.items()}


def grid(space: Space) -> list[dict[str, Value]]:
    """Every combination, the last parameter changing fastest. Raises InvalidSweep."""
    axes = [dimension.grid(name) for name, dimension in space.items()]
    size = math.prod(len(axis) for axis in axes)
    if size > MAX_GRID:
        raise InvalidSweep(
            f"this grid has {size:,} combinations, more than {MAX_GRID:,}: name fewer values, or use the sampler `random`"
        )
    return [dict(zip(space, values, strict=True)) for values in product(*axes)]


def _dimension(name: str, form: Any) -> Dimension:
    match form:
        case bool() | int() | float() | str():
            return Choice((_value(name, form),))
        case list() | tuple() if 0 < len(form) <= MAX_CHOICES:
            return Choice(tuple(_value(name, value) for value in form))
        case {"uniform": [low, high], **rest} if set(rest) <= {"points"}:
            return _uniform(name, low, high, False, rest.get("points"))
        case {"loguniform": [low, high], **rest} if set(rest) <= {"points"}:
            return _uniform(name, low, high, True, rest.get("points"))
        case {"int": [low, high], **rest} if not rest:
            return _integers(name, low, high, 1)
        case {"int": [low, high, step], **rest} if not rest:
            return _integers(name, low, high, step)
    raise InvalidSweep(f"parameter {name!r} is {str(form)[:80]!r}; give {_FORMS}")


def _value(name: str, value: Any) -> Value:
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise InvalidSweep(f"parameter {name!r} has the value {str(value)[:80]!r}; values are texts, finite numbers and booleans")


def _uniform(name: str, low: Any, high: Any, log: bool, points: Any) -> Uniform:
    if (
        not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high))
        or low >= high
    ):
        raise InvalidSweep(f"parameter {name!r} lies between {low!r} and {high!r}; give two finite numbers, the lower first")
    if log and low <= 0:
        raise InvalidSweep(f"parameter {name!r} begins at {low!r}; a logarithm needs numbers above 0")
    if points is not None and (not isinstance(points, int) or isinstance(points, bool) or not 1 <= points <= MAX_GRID):
        raise InvalidSweep(f"parameter {name!r} has 'points' {points!r}; give a whole number from 1 to {MAX_GRID:,}")
    return Uniform(float(low), float(high), log, points)


def _integers(name: str, low: Any, high: Any, step: Any) -> Integers:
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in (low, high, step)) or low > high or step < 1:
        raise InvalidSweep(
            f"parameter {name!r} counts from {low!r} to {high!r} by {step!r}; give whole numbers, the lower first, the step from 1"
        )
    return Integers(low, high, step)
