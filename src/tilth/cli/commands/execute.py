"""`tilth exec`: runs any program inside a tracked run."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.programs import NOT_FOUND, NoSuchProgram, begin_run, check_program, end_run, exit_of, kept_alive, run_environment


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
    check_program(command)
    with Api(caller.target()) as api:
        run_id = begin_run(api, command, experiment=experiment, name=name)
        with run_environment(api, run_id) as environment:
            click.echo(f"run {run_id}  {api.target.url}/p/{api.target.project}/runs/{run_id}", err=True)
            code, error = _run(api, run_id, command, environment)
            end_run(api, run_id, code, error)
    raise click.exceptions.Exit(code)


def _run(api: Api, run_id: str, command: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
    """(exit code as a shell gives it, error text). SIGINT and SIGTERM are left to the program, which decides what they mean."""
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as error:
        end_run(api, run_id, NOT_FOUND, f"{command[0]}: {error.strerror}")
        raise NoSuchProgram(f"cannot start {command[0]!r}: {error.strerror} (folder {Path.cwd()})") from error
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
