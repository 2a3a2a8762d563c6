"""`tilth exec`: runs any program inside a tracked run."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.program_code import noting_packages
from tilth.cli.programs import begin_run, check_program, end_run, run_environment, run_program


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

    Its token writes this run, runs below it and models; it ends with COMMAND, after a week at most. The exit code is that of COMMAND.
    """
    check_program(command)
    with Api(caller.target()) as api:
        run_id = begin_run(api, command, experiment=experiment, name=name)
        with run_environment(api, run_id) as environment, noting_packages(api, run_id, command):
            click.echo(f"run {run_id}  {api.target.url}/p/{api.target.project}/runs/{run_id}", err=True)
            code, error = run_program(api, run_id, command, environment)
            end_run(api, run_id, code, error)
    raise click.exceptions.Exit(code)
