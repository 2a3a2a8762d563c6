"""Runs of programs that may never have heard of Tilth: begun, credited, kept alive and ended from outside."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from tilth.cli.client import API, Api
from tilth.cli.environment import variables
from tilth.cli.program_code import keep, read_code
from tilth.core.errors import Conflict, Denied, Invalid, TilthError
from tilth.core.ids import new_id
from tilth.sdk import capture
from tilth.wire.tracking import RunCreate

HEARTBEAT_S = 10.0
NOT_FOUND = 127


class NoSuchProgram(Invalid):
    """The program cannot be started."""


def check_program(command: Sequence[str]) -> None:
    """Raises NoSuchProgram."""
    if shutil.which(command[0]) is None:
        raise NoSuchProgram(
            f"there is no program {command[0]!r} that this user may run; name it as a shell would (folder {Path.cwd()})"
        )


def begin_run(
    api: Api,
    command: Sequence[str],
    *,
    experiment: str | None = None,
    name: str | None = None,
    parent: str | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Id of a new run that knows the machine, and keeps what Git does not know of the code.

    folder: in which the program will work (None: this one).
    """
    place = folder or Path.cwd()
    made_by = capture.environment(place)
    made_by.working_folder = str(place)
    code = read_code(command, made_by, place)
    made_by.entry_point, made_by.argv = command[0], capture.masked(list(command[1:]))
    asked = RunCreate(
        id=new_id(),
        experiment=experiment,
        name=name,
        parent_run_id=parent,
        source=shlex.join(capture.masked(list(command)))[:500],
        params=dict(params or {}),
        tags=dict(tags or {}),
        environment=made_by,
    )
    run_id = str(api.call("POST", api.in_project("runs"), asked)["id"])
    keep(api, run_id, code)
    return run_id


@contextmanager
def run_environment(api: Api, run_id: str) -> Iterator[dict[str, str]]:
    """The environment of a program that shall write to the run, with a token that ends when the program does."""
    secret, token_id = _run_token(api, run_id)
    environment = {**os.environ, **variables(api.target, secret), "TILTH_RUN_ID": run_id, "MLFLOW_RUN_ID": run_id}
    environment.pop("TILTH_HOME", None)
    try:
        yield environment
    finally:
        if token_id:
            with suppress(TilthError):
                api.call("DELETE", f"{API}/tokens/{token_id}")


@contextmanager
def kept_alive(api: Api, run_id: str) -> Iterator[None]:
    """A program without our SDK sends no heartbeats of its own, and the run would be taken for lost."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_S):
            with suppress(TilthError):
                api.call("POST", api.in_project("runs", run_id, "heartbeat"), timeout_s=HEARTBEAT_S)

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join(timeout=HEARTBEAT_S)


def run_program(
    api: Api,
    run_id: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    output: int | None = None,
) -> tuple[int, str]:
    """(exit code as a shell gives it, error text). output: file descriptor instead of stdout.

    SIGINT and SIGTERM are left to the program, which decides what they mean. Raises NoSuchProgram.
    """
    try:
        child = subprocess.Popen(command, env=environment, cwd=folder, stdout=output)
    except OSError as error:
        end_run(api, run_id, NOT_FOUND, f"{command[0]}: {error.strerror}")
        raise NoSuchProgram(f"cannot start {command[0]!r}: {error.strerror} (folder {folder or Path.cwd()})") from error
    old = {signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))}
    # The terminal sends Ctrl-C to both of us.
    old[signal.SIGINT] = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        with kept_alive(api, run_id):
            code = child.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    return exit_of(code)


def exit_of(code: int) -> tuple[int, str]:
    """(exit code as a shell gives it, error text) for a return code of subprocess."""
    if code < 0:
        return 128 - code, f"ended by {signal.Signals(-code).name}"
    return code, f"exit code {code}" if code else ""


def end_run(api: Api, run_id: str, code: int, error: str) -> None:
    """The program may have ended its run itself, and then has said it better."""
    state: dict[str, Any] = {"status": "finished"} if code == 0 else {"status": "failed", "error": error}
    if code == 128 + signal.SIGINT:
        state["status"] = "killed"
    try:
        found = api.get(api.in_project("runs", run_id))["run"]
        if found["status"] in ("running", "scheduled", "lost"):
            api.call("PATCH", api.in_project("runs", run_id), state)
    except Conflict:
        return
    except TilthError as refusal:
        click.echo(f"warning: run {run_id} could not be marked {state['status']}: {refusal}", err=True)


def _run_token(api: Api, run_id: str) -> tuple[str | None, str | None]:
    """(secret, id) of a token for this run; (None, None) where the caller's own may not make tokens and is handed on."""
    wanted = {
        "name": f"run {run_id}",
        "scopes": ["read", "write"],
        "project": api.target.project,
        "expires_in_days": 7,
        "run_id": run_id,
    }
    try:
        made = api.call("POST", f"{API}/tokens", wanted)
    except Denied:
        return None, None
    return made["secret"], made["token"]["id"]
