"""`tilth sweep ...`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
import msgspec

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.programs import check_program
from tilth.cli.sweep_trials import ProgramTrials
from tilth.core.errors import Invalid
from tilth.core.home import Target
from tilth.sdk import connection
from tilth.sdk.sweeps.board import Board, Standing, spec_of
from tilth.sdk.sweeps.calling import SweepResult, checked_spec, result_of
from tilth.sdk.sweeps.errors import InvalidSweep
from tilth.sdk.sweeps.progress import shown_progress
from tilth.sdk.sweeps.running import Loop, run_to_the_end
from tilth.sdk.sweeps.samplers import sampler_of
from tilth.wire.sweeps import SweepSpec
from tilth.wire.tracking import RunDetail

COLUMNS = ("id", "name", "experiment", "state", "sampler", "trials", "metric", "best", "started")
TRIAL_COLUMNS = ("trial", "status", "value", "params", "id")


class NotASweepOfPrograms(Invalid):
    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"sweep {run_id} calls a Python function; go on with it where it was begun: tilth.sweep(train, resume={run_id!r})"
        )


@click.group(
    epilog="""\b
Examples:
  tilth sweep run sweep.toml -- python train.py
  tilth sweep list
  tilth sweep show RUN
  tilth sweep stop RUN
  tilth sweep resume RUN
"""
)
def sweep() -> None:
    """Sweeps: one program with many values of its parameters, each in a run of its own."""


@sweep.command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  tilth sweep run sweep.toml -- python train.py
  tilth sweep run sweep.toml -- python train.py --depth={depth}

\b
sweep.toml:
  [sweep]
  metric = "val/auc"            # what trials log
  goal = "maximize"             # or minimize
  sampler = "random"            # or grid, optuna
  trials = 20
  parallel = 2
  [space]
  depth = { int = [3, 12] }
  rate = { loguniform = [0.001, 1.0] }
  loss = ["log", "brier"]
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@shared()
def run_sweep(caller: Caller, file: Path, command: tuple[str, ...]) -> int:
    """Run COMMAND (or `command` of the file) for many values of its parameters, given as `--name value` or in place of `{name}`.

    Each trial is a run; its values are in TILTH_PARAMS (JSON), too. Ctrl-C stops; `tilth sweep resume` goes on. Exit code 1 if no
    trial succeeded.
    """
    # Whatever follows the file is the program's, the `--` that stands before it not.
    name, experiment, spec = read_file(file, command[1:] if command[:1] == ("--",) else command)
    check_program(spec.command)
    target = caller.target()
    _connect(target)
    board = Board.begin(spec, name=name, experiment=experiment)
    return _finish(caller, target, board, Standing())


@sweep.command("resume", epilog="\b\nExample:\n  tilth sweep resume 0190c7a2b3d4e5f60718293a4b5c6d7e\n")
@click.argument("run_id")
@shared()
def resume_sweep(caller: Caller, run_id: str) -> int:
    """Go on with a sweep that was stopped, killed or failed: trials that are over are not run again."""
    target = caller.target()
    _connect(target)
    with Api(target) as api:
        spec = _spec(api, run_id)
    if not spec.command:
        raise NotASweepOfPrograms(run_id)
    check_program(spec.command)
    board = Board.resume(run_id)
    return _finish(caller, target, board, board.standing())


@sweep.command("list", epilog="\b\nExample:\n  tilth sweep list --json\n")
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, newest first.")
@shared()
def list_sweeps(caller: Caller, limit: int) -> None:
    """List the sweeps of the project."""
    with Api(caller.target()) as api:
        rows = [_sweep_row(row) for row in api.rows(api.in_project("sweeps"), "sweeps", limit)]
    caller.show_rows(rows, COLUMNS, "no sweeps; start one with `tilth sweep run sweep.toml -- python train.py`")


@sweep.command("show", epilog="\b\nExample:\n  tilth sweep show 0190c7a2b3d4e5f60718293a4b5c6d7e\n")
@click.argument("run_id")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many trials, best first."
)
@shared()
def show_sweep(caller: Caller, run_id: str, limit: int) -> None:
    """Show the trials of a sweep, the best first."""
    with Api(caller.target()) as api:
        rows = [{**row, "trial": row["number"]} for row in api.rows(api.in_project("sweeps", run_id, "trials"), "trials", limit)]
    caller.show_rows(rows, TRIAL_COLUMNS, "no trial has begun yet")


@sweep.command("stop", epilog="\b\nExample:\n  tilth sweep stop 0190c7a2b3d4e5f60718293a4b5c6d7e\n")
@click.argument("run_id")
@shared()
def stop_sweep(caller: Caller, run_id: str) -> None:
    """Ask whoever runs the sweep to stop it; that takes a few seconds. `tilth sweep resume` goes on."""
    with Api(caller.target()) as api:
        stopped = api.call("POST", api.in_project("sweeps", run_id, "stop"))
    caller.done(f"sweep {run_id} was asked to stop; go on with `tilth sweep resume {run_id}`", stopped)


def read_file(file: Path, command: tuple[str, ...]) -> tuple[str | None, str | None, SweepSpec]:
    """(name, experiment, spec). Raises InvalidSweep."""
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InvalidSweep(f"there is no file {file}; `tilth sweep run --help` shows what it looks like") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSweep(f"{file} is not valid TOML: {error}") from error
    settings, space = tables.pop("sweep", {}), tables.pop("space", {})
    if tables or not isinstance(settings, dict) or not isinstance(space, dict):
        raise InvalidSweep(f"{file} holds {', '.join(tables) or 'other things'}; it has the tables [sweep] and [space] only")
    name, experiment = settings.pop("name", None), settings.pop("experiment", None)
    if command:
        settings["command"] = list(command)
    spec = checked_spec({**settings, "space": space})
    if not spec.command:
        raise InvalidSweep(f"nothing to run: write the program after `--`, or `command` in [sweep] of {file}")
    return name, experiment, spec


def _connect(target: Target) -> None:
    connection.init(target.project, url=target.url, token=target.token, home=target.home)


def _finish(caller: Caller, target: Target, board: Board, standing: Standing) -> int:
    """The exit code."""
    with Api(target) as api, shown_progress(board) as on_done:
        loop = Loop(board, sampler_of(board.spec), standing, ProgramTrials(api, board), on_done)
        run_to_the_end(board, loop)
    found = result_of(board, loop)
    caller.done(_said(found, board.spec), {"id": found.id, "url": found.url, "trials": found.records()})
    return 0 if found.best else 1


def _said(found: SweepResult, spec: SweepSpec) -> str:
    if found.best is None:
        return f"no trial succeeded; see {found.url}"
    values = " ".join(f"{name}={value}" for name, value in found.best.params.items())
    return f"best {spec.metric} {found.best.value:.6g} of trial {found.best.number}: {values}\n{found.url}"


def _spec(api: Api, run_id: str) -> SweepSpec:
    return spec_of(msgspec.convert(api.get(api.in_project("runs", run_id)), RunDetail))


def _sweep_row(row: dict[str, Any]) -> dict[str, Any]:
    spec = row["spec"]
    done = row["finished"] + row["failed"]
    return {
        **row,
        "metric": spec["metric"],
        "sampler": spec.get("sampler", "random"),
        "trials": f"{done} of {spec.get('trials', SweepSpec('', {}).trials)}",
    }
