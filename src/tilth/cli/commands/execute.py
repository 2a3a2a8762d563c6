"""`tilth exec`: runs any program inside a tracked run."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import API, Api
from tilth.cli.commands.status import variables
from tilth.core.errors import Conflict, Denied, Invalid, TilthError
from tilth.core.ids import new_id
from tilth.sdk import capture
from tilth.wire.tracking import RunCreate

HEARTBEAT_S = 10.0
NOT_FOUND = 127


class NoSuchProgram(Invalid):
    """The program cannot be started."""


@click.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  tilth exec -- python train.py --depth 6
  tilth exec --experiment flights --name baseline -- python train.py
""",
)
@click.option("--experiment", help="Experiment of the run (default: Default).")
@click.option("--name", help="Name of the run.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@shared()
def execute(caller: Caller, experiment: str | None, name: str | None, command: tuple[str, ...]) -> None:
    """Run COMMAND with TILTH_URL, TILTH_TOKEN, TILTH_RUN_ID (and MLFLOW_...) set, and mark the run by how it ends.

    Its token is good for this project only and ends after a week at most. The exit code is that of COMMAND.
    """
    if shutil.which(command[0]) is None:
        raise NoSuchProgram(
            f"there is no program {command[0]!r} that this user may run; name it as a shell would (folder {Path.cwd()})"
        )
    with Api(caller.target()) as api:
        run_id = _begin(api, command, experiment, name)
        secret, token_id = _run_token(api, run_id)
        environment = {**os.environ, **variables(api.target, secret), "TILTH_RUN_ID": run_id, "MLFLOW_RUN_ID": run_id}
        environment.pop("TILTH_HOME", None)
        click.echo(f"run {run_id}  {api.target.url}/p/{api.target.project}/runs/{run_id}", err=True)
        code, error = _run(api, run_id, command, environment)
        _finish(api, run_id, code, error)
        if token_id:
            with suppress(TilthError):
                api.call("DELETE", f"{API}/tokens/{token_id}")
    raise click.exceptions.Exit(code)


def _begin(api: Api, command: tuple[str, ...], experiment: str | None, name: str | None) -> str:
    """Id of a new run that knows the code and the machine, also where the program itself has never heard of Tilth."""
    made_by = capture.environment(Path.cwd())
    made_by.entry_point, made_by.argv = command[0], capture.masked(list(command[1:]))
    asked = RunCreate(
        id=new_id(), experiment=experiment, name=name, source=shlex.join(capture.masked(list(command)))[:500], environment=made_by
    )
    return str(api.call("POST", api.in_project("runs"), asked)["id"])


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


def _run(api: Api, run_id: str, command: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
    """(exit code as a shell gives it, error text). SIGINT and SIGTERM are left to the program, which decides what they mean."""
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as error:
        _finish(api, run_id, NOT_FOUND, f"{command[0]}: {error.strerror}")
        raise NoSuchProgram(f"cannot start {command[0]!r}: {error.strerror} (folder {Path.cwd()})") from error
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(api, run_id, done), daemon=True)
    beating.start()
    old = {signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))}
    # The terminal sends Ctrl-C to both of us.
    old[signal.SIGINT] = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        code = child.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        done.set()
        beating.join(timeout=HEARTBEAT_S)
    if code < 0:
        return 128 - code, f"ended by {signal.Signals(-code).name}"
    return code, f"exit code {code}" if code else ""


def _beat(api: Api, run_id: str, done: threading.Event) -> None:
    """A program without our SDK sends no heartbeats of its own, and the run would be taken for lost."""
    while not done.wait(HEARTBEAT_S):
        with suppress(TilthError):
            api.call("POST", api.in_project("runs", run_id, "heartbeat"), timeout_s=HEARTBEAT_S)


def _finish(api: Api, run_id: str, code: int, error: str) -> None:
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
