"""Which values a trial gets. Samplers are asked and told under the lock of the sweep."""

from __future__ import annotations

from typing import Any, Protocol

from tilth.sdk.sweeps.errors import MissingOptuna
from tilth.sdk.sweeps.space import Choice, Integers, Space, Uniform, Value, draw, grid, parse_space
from tilth.wire.sweeps import SweepSpec


class Sampler(Protocol):
    """Numbers of trials count from 1."""

    def ask(self, number: int) -> dict[str, Value] | None:
        """Values of the trial, None where there are no more."""
        ...

    def tell(self, number: int, params: dict[str, Value], value: float | None) -> None:
        """What came of it; value None: it failed. A trial that was never asked for (of an earlier process) may be told, too."""
        ...


def sampler_of(spec: SweepSpec) -> Sampler:
    """Raises InvalidSweep, MissingOptuna."""
    space = parse_space(spec.space)
    match spec.sampler:
        case "grid":
            return GridSampler(space)
        case "random":
            return RandomSampler(space, spec.seed)
        case "optuna":
            return OptunaSampler(space, spec)


class GridSampler:
    """Every combination once."""

    def __init__(self, space: Space) -> None:
        self._combinations = grid(space)

    def __len__(self) -> int:
        return len(self._combinations)

    def ask(self, number: int) -> dict[str, Value] | None:
        return self._combinations[number - 1] if number <= len(self._combinations) else None

    def tell(self, number: int, params: dict[str, Value], value: float | None) -> None:
        pass


class RandomSampler:
    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed

    def ask(self, number: int) -> dict[str, Value] | None:
        return draw(self._space, self._seed, number)

    def tell(self, number: int, params: dict[str, Value], value: float | None) -> None:
        pass


class OptunaSampler:
    """Optuna's tree-structured Parzen estimator. Its study lives in memory and is built anew from the trials of the sweep."""

    def __init__(self, space: Space, spec: SweepSpec) -> None:
        try:
            import optuna
        except ImportError as error:
            raise MissingOptuna from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._distributions: dict[str, Any] = {name: self._distribution(dimension) for name, dimension in space.items()}
        # With several trials under way at once, those that are not told yet count as bad, so that they are not drawn twice.
        sampler = optuna.samplers.TPESampler(seed=spec.seed, constant_liar=spec.parallel > 1)
        self._study = optuna.create_study(direction=spec.goal, sampler=sampler)
        self._asked: dict[int, Any] = {}

    def ask(self, number: int) -> dict[str, Value] | None:
        trial = self._asked[number] = self._study.ask(self._distributions)
        return dict(trial.params)

    def tell(self, number: int, params: dict[str, Value], value: float | None) -> None:
        state = self._optuna.trial.TrialState.COMPLETE if value is not None else self._optuna.trial.TrialState.FAIL
        asked = self._asked.pop(number, None)
        if asked is not None:
            self._study.tell(asked, value, state=None if value is not None else state)
            return
        known = {name: value_ for name, value_ in params.items() if name in self._distributions}
        distributions = {name: self._distributions[name] for name in known}
        self._study.add_trial(
            self._optuna.trial.create_trial(state=state, value=value, params=known, distributions=distributions)
        )

    def _distribution(self, dimension: Choice | Uniform | Integers) -> Any:
        kinds = self._optuna.distributions
        match dimension:
            case Choice(values):
                return kinds.CategoricalDistribution(values)
            case Uniform(low, high, log, _):
                return kinds.FloatDistribution(low, high, log=log)
            case Integers(low, high, step):
                # Optuna wants the upper end on the grid of the step.
                return kinds.IntDistribution(low, high - (high - low) % step, step=step)
