"""Trials of a sweep that are programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import IO, Any

import click
import msgspec

from tilth.cli.client import Api
from tilth.cli.programs import begin_run, end_run, exit_of, kept_alive, run_environment
from tilth.core.errors import TilthError
from tilth.sdk.output import CUT, MAX_BYTES
from tilth.sdk.sweeps.board import Board, TrialResult
from tilth.sdk.sweeps.calling import finished_trial
from tilth.sdk.sweeps.space import Value
from tilth.wire.sweeps import PARAMS_TAG, PARAMS_VARIABLE, STOPPED_TAG, TRIAL_TAG

LOOK_EVERY_S = 1.0
GRACE_S = 10.0
SHOWN_LINES = 8

Judge = Callable[[int, int, float], bool]


class ProgramTrials:
    """Starts the sweep's command once for each trial, in a run of its own."""

    def __init__(self, api: Api, board: Board) -> None:
        self._api = api
        self._board = board

    def __call__(self, number: int, params: dict[str, Value], judge: Judge) -> TrialResult | None:
        command = filled(self._board.spec.command, params)
        run_id = begin_run(
            self._api,
            command,
            experiment=self._board.parent.experiment,
            name=f"trial {number}",
            parent=self._board.parent.id,
            params={name: text_of(value) for name, value in params.items()},
            tags={TRIAL_TAG: str(number), PARAMS_TAG: msgspec.json.encode(params).decode()},
        )
        with run_environment(self._api, run_id) as environment, tempfile.TemporaryFile() as output:
            environment[PARAMS_VARIABLE] = json.dumps(params)
            stopped, code, error = self._run(number, run_id, command, environment, output, judge)
            self._keep_output(run_id, output)
            if stopped and self._board.stop_wanted.is_set():
                end_run(self._api, run_id, 128 + 2, "the sweep was stopped")
                return None
            if stopped:
                self._board.mark(run_id, {STOPPED_TAG: "yes"})
            end_run(self._api, run_id, 0 if stopped else code, error)
            if code and not stopped:
                click.echo(f"trial {number} failed ({error}); the end of what it wrote:\n{_last_lines(output)}", err=True)
                return TrialResult(number, run_id, params, None, error=error)
        return finished_trial(self._board, number, run_id, params, stopped)

    def _run(
        self, number: int, run_id: str, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes], judge: Judge
    ) -> tuple[bool, int, str]:
        """(whether it was told to stop, exit code, error text)."""
        try:
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            return False, 127, f"{command[0]}: {error.strerror}"
        with ExitStack() as undo:
            undo.callback(end_run, self._api, run_id, 128 + 2, "the sweep was interrupted")
            undo.callback(_ended, child)
            with kept_alive(self._api, run_id):
                outcome = self._watched(child, number, run_id, judge)
            undo.pop_all()
        return outcome

    def _watched(self, child: subprocess.Popen[bytes], number: int, run_id: str, judge: Judge) -> tuple[bool, int, str]:
        seen = -1
        while True:
            with suppress(subprocess.TimeoutExpired):
                return False, *exit_of(child.wait(LOOK_EVERY_S))
            stop, seen = self._worth_stopping(number, run_id, seen, judge)
            if stop or self._board.stop_wanted.is_set():
                return True, *exit_of(_ended(child))

    def _worth_stopping(self, number: int, run_id: str, seen: int, judge: Judge) -> tuple[bool, int]:
        """(whether the trial shall stop, the last step that was looked at)."""
        if self._board.spec.early_stopping is None:
            return False, seen
        path, metric = self._api.in_project("runs", run_id, "metrics"), self._board.spec.metric
        try:
            curves = self._api.get(path, key=metric, after_step=seen)
        except TilthError:
            return False, seen  # The server is away for a moment.
        for step, _, value in curves[0]["points"] if curves else ():
            seen = max(seen, step)
            if judge(number, step, float(value)):
                return True, seen
        return False, seen

    def _keep_output(self, run_id: str, output: IO[bytes]) -> None:
        """The first 20 MB of what the program printed, unless its own SDK has kept it already."""
        output.seek(0)
        text = output.read(MAX_BYTES)
        if output.read(1):
            text += CUT
        try:
            known = self._api.call("GET", self._api.in_project("runs", run_id, "artifacts"), params={"path": "logs"})["files"]
            if text and not any(file["path"] == "logs/output.log" for file in known):
                self._api.upload(self._api.in_project("runs", run_id, "artifacts", "logs", "output.log"), text)
        except TilthError as error:
            click.echo(f"warning: what run {run_id} printed could not be kept: {error}", err=True)


def filled(command: Sequence[str], params: Mapping[str, Value]) -> list[str]:
    """The command with `{name}` replaced by values; params that it does not name so follow as `--name value`."""
    named = [name for name in params if any(f"{{{name}}}" in word for word in command)]
    # In one pass: a value may itself look like a place for another one.
    places = re.compile("|".join(re.escape(f"{{{name}}}") for name in named) or "(?!)")
    words = [places.sub(lambda place: text_of(params[place.group()[1:-1]]), word) for word in command]
    rest = [word for name, value in params.items() if name not in named for word in (f"--{name}", text_of(value))]
    return [*words, *rest]


def text_of(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ended(child: subprocess.Popen[Any]) -> int:
    """SIGTERM, and SIGKILL for a program that does not mind it."""
    child.terminate()
    try:
        return child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _last_lines(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4000))
    return "\n".join(f"  {line}" for line in output.read().decode(errors="replace").splitlines()[-SHOWN_LINES:])
