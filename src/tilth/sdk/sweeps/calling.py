"""`tilth.sweep`: trials that are calls of a function."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec

from tilth.core.errors import TilthError
from tilth.sdk import current
from tilth.sdk.sweeps.board import Board, Standing, TrialResult
from tilth.sdk.sweeps.errors import InvalidSweep, NoObjective, OtherSweep, TrialStopped
from tilth.sdk.sweeps.progress import shown_progress
from tilth.sdk.sweeps.running import Loop, run_to_the_end
from tilth.sdk.sweeps.samplers import GridSampler, sampler_of
from tilth.sdk.sweeps.space import Value, parse_space
from tilth.sdk.sweeps.trial import Trial
from tilth.wire.sweeps import PARAMS_TAG, STOPPED_TAG, TRIAL_TAG, EarlyStopping, Goal, SamplerName, SweepSpec

Train = Callable[[Trial], float | None]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """id: of the sweep's run. url: its page. trials: over ones by number. best: None where every trial failed."""

    id: str
    url: str
    trials: list[TrialResult]
    best: TrialResult | None

    def records(self) -> list[dict[str, Any]]:
        """One flat dict for each trial: number, run_id, value, stopped and its params. `polars.DataFrame(result.records())` is a table."""
        return [
            {"number": trial.number, "run_id": trial.run_id, "value": trial.value, "stopped": trial.stopped, **trial.params}
            for trial in self.trials
        ]


def sweep(
    train: Train,
    space: Mapping[str, Any] | None = None,
    *,
    metric: str = "value",
    goal: Goal = "maximize",
    trials: int | None = None,
    sampler: SamplerName = "random",
    parallel: int = 1,
    seed: int = 0,
    early_stopping: EarlyStopping | Mapping[str, Any] | bool = False,
    max_minutes: float | None = None,
    max_failures: int = 5,
    name: str | None = None,
    experiment: str | None = None,
    resume: str | None = None,
    progress: bool = True,
) -> SweepResult:
    """Calls `train(trial)` for many values of the parameters in `space`, each call in a run of its own, and tells which was best.

    train: returns the value of `metric`, or logs it (`trial.report(value, step)`, `trial.run.log(...)`). An exception fails the trial; the
    sweep goes on, until max_failures in a row. space: {"depth": {"int": [3, 12]}, "rate": {"loguniform": [1e-3, 1]}, "kind": ["a", "b"]}.
    trials: left out, 20, or the whole grid. parallel: threads that train at once. early_stopping: True is the median rule.
    max_minutes: no trial begins after that.
    progress: tell on stderr how far it is. resume: id of a sweep that was stopped or killed; what is over is not run again.

    Raises InvalidSweep, MissingOptuna, SweepTaken, NoSweep, OtherSweep, TooManyFailures, and what `tilth.run` raises.
    """
    if resume is not None:
        board = _resumed(resume, space, metric)
    else:
        spec = checked_spec(
            {
                "metric": metric,
                "space": dict(space or {}),
                "goal": goal,
                "sampler": sampler,
                "parallel": parallel,
                "seed": seed,
                "early_stopping": _stopping(early_stopping),
                "max_minutes": max_minutes,
                "max_failures": max_failures,
                **({} if trials is None else {"trials": trials}),
            }
        )
        board = Board.begin(spec, name=name, experiment=experiment)
    standing = board.standing() if resume is not None else Standing()
    with shown_progress(board) if progress else nullcontext(_silent) as on_done:
        loop = Loop(board, sampler_of(board.spec), standing, _calling(train, board), on_done)
        run_to_the_end(board, loop)
    return result_of(board, loop)


def result_of(board: Board, loop: Loop) -> SweepResult:
    ordered = sorted(loop.done, key=lambda result: result.number)
    return SweepResult(board.parent.id, board.url, ordered, loop.best)


def checked_spec(written: Mapping[str, Any]) -> SweepSpec:
    """A spec whose space, sampler and bounds are understood; a grid without `trials` gets as many as it has. Raises InvalidSweep."""
    unknown = sorted(set(written) - set(SweepSpec.__struct_fields__))
    if unknown:
        raise InvalidSweep(f"a sweep has no setting {unknown[0]!r}; it has: {', '.join(SweepSpec.__struct_fields__)}")
    try:
        spec = msgspec.convert({key: value for key, value in written.items() if value is not None}, SweepSpec)
    except msgspec.ValidationError as error:
        raise InvalidSweep(f"sweep: {error}") from error
    parse_space(spec.space)
    if not spec.metric:
        raise InvalidSweep("the sweep has no metric: name the one that trials log, such as `val/auc`")
    chosen = sampler_of(spec)
    if isinstance(chosen, GridSampler) and "trials" not in written:
        return msgspec.structs.replace(spec, trials=len(chosen))
    return spec


def _resumed(run_id: str, space: Mapping[str, Any] | None, metric: str) -> Board:
    board = Board.resume(run_id)
    if space is not None and msgspec.json.decode(msgspec.json.encode(dict(space))) != board.spec.space:
        board.close("stopped")
        raise OtherSweep(run_id, "space")
    if metric not in ("value", board.spec.metric):
        board.close("stopped")
        raise OtherSweep(run_id, f"metric ({board.spec.metric})")
    return board


def _stopping(wanted: EarlyStopping | Mapping[str, Any] | bool) -> Any:
    if isinstance(wanted, bool):
        return EarlyStopping() if wanted else None
    return wanted if isinstance(wanted, EarlyStopping) else dict(wanted)


def _silent(result: TrialResult, loop: Loop) -> None:
    """Nobody wants to know."""


def _calling(train: Train, board: Board) -> Any:
    def execute(number: int, params: dict[str, Value], judge: Callable[[int, int, float], bool]) -> TrialResult | None:
        run = current.run(
            f"trial {number}",
            experiment=board.parent.experiment,
            parent=board.parent.id,
            params=params,
            tags={TRIAL_TAG: number, PARAMS_TAG: msgspec.json.encode(params).decode()},
        )
        trial = Trial(number, params, run, board.spec.metric, judge)
        stopped = False
        try:
            with run:
                try:
                    value = train(trial)
                    if value is not None:
                        run.log({board.spec.metric: value})
                except TrialStopped:
                    stopped = True
                    if board.stop_wanted.is_set():
                        run.finish("killed")
                        return None
                    run.tag({STOPPED_TAG: "yes"})
        except Exception as error:  # noqa: BLE001 - whatever a training raises fails its trial, not the sweep
            sys.stderr.write(f"tilth: trial {number} failed: {traceback.format_exception_only(error)[-1]}")
            return TrialResult(number, run.id, params, None, error=f"{type(error).__name__}: {error}")
        return finished_trial(board, number, run.id, params, stopped)

    return execute


def finished_trial(board: Board, number: int, run_id: str, params: dict[str, Value], stopped: bool) -> TrialResult:
    """What a trial whose run has ended came to."""
    try:
        value, logged = board.objective(run_id)
        if value is None:
            raise NoObjective(board.spec.metric, logged)
    except TilthError as error:
        return TrialResult(number, run_id, params, None, error=str(error))
    if math.isnan(value):
        return TrialResult(number, run_id, params, None, stopped, error=f"{board.spec.metric} is NaN")
    return TrialResult(number, run_id, params, value, stopped)
