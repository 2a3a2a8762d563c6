"""`tilth reproduce`: makes a run again."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.reproducing import launch as launching
from tilth.cli.reproducing.outcome import COLUMNS
from tilth.cli.reproducing.plan import Plan, Wishes, plan_of
from tilth.cli.reproducing.steps import add_packages, bring_data, prepare_code, start_again

STDERR = 2
"""Where a program prints while stdout is kept for JSON."""


@click.command(
    epilog="""\b
Examples:
  tilth reproduce 01a1fbf04e657539bd4231b150e91155
  tilth reproduce 01a1fbf04e657539bd4231b150e91155 --into ./again --no-start
  tilth reproduce 01a1fbf04e657539bd4231b150e91155 --repository ~/src/flights --yes
""",
)
@click.argument("run_id")
@click.option(
    "--into", type=click.Path(path_type=Path), help="New or empty folder (default: ./reproduced- and the end of the id)."
)
@click.option("--repository", help="Clone or address that holds the commit (default: where it was, here, else the remote).")
@click.option("--no-start", is_flag=True, help="Prepare the folder, start nothing.")
@click.option("--no-environment", is_flag=True, help="Install no packages; use the Python that runs tilth.")
@click.option("--no-diff", is_flag=True, help="Leave out what was not committed.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. The run's code and packages are programs of whoever made it.")
@shared()
def reproduce(
    caller: Caller,
    run_id: str,
    into: Path | None,
    repository: str | None,
    no_start: bool,
    no_environment: bool,
    no_diff: bool,
    yes: bool,
) -> None:
    """Prepare a folder with a run's code, data and packages, and start it as a new run that is compared with the first.

    It says first what it will do, and asks. Called again on a folder that it prepared, it goes on there. The exit code is the program's.
    """
    with Api(caller.target()) as api:
        folder = Path(os.path.abspath(into.expanduser() if into is not None else f"reproduced-{run_id[-8:]}"))
        wishes = Wishes(folder, repository, start=not no_start, packages=not no_environment, diff=not no_diff)
        plan = plan_of(api, run_id, wishes, here=Path.cwd(), host=socket.gethostname())
        _say(plan.sentences())
        if plan.runs_code and not yes:
            click.confirm("This runs code of whoever made the run. Go on?", abort=True, err=True)
        launch = _with_secrets(plan)
        told = prepare_code(api, plan)
        _say(told)
        found = bring_data(api, plan)
        _say([f"data {one.name}: {one.state}, {one.words}" for one in found])
        of_packages = add_packages(plan, _say)
        _say(of_packages)
        result: dict[str, Any] = {
            "run": run_id,
            "folder": str(folder),
            "data": [{"name": one.name, "state": one.state, "detail": one.words} for one in found],
            "notes": [*plan.notes, *told, *of_packages],
        }
        if launch is None:
            _prepared(caller, plan, result)
            return
        if any(one.is_bad for one in found) and not yes:
            click.confirm("Not all of its data is here. Start it all the same?", abort=True, err=True)
        outcome = start_again(api, plan, launch, lambda words: _say([words]), STDERR if caller.as_json else None)
    if caller.as_json:
        caller.show_record({**result, **outcome.to_dict()})
    else:
        caller.show_rows(outcome.metrics, COLUMNS, "neither of the runs has metrics")
        click.echo(f"more: tilth run compare {run_id} {outcome.compared}", err=True)
    raise click.exceptions.Exit(outcome.code)


def _say(sentences: list[str]) -> None:
    for sentence in sentences:
        # A line break in a recorded word could pass for a line of ours.
        click.echo("".join(c if c.isprintable() else " " for c in sentence), err=True)


def _with_secrets(plan: Plan) -> launching.Launch | None:
    """Raises SecretMissing where nobody can be asked."""
    if plan.launch is None or not plan.launch.secrets:
        return plan.launch
    if not sys.stdin.isatty():
        raise launching.SecretMissing(plan.launch.secrets)
    return plan.launch.filled(lambda name: str(click.prompt(f"value of {name}", hide_input=True, err=True)))


def _prepared(caller: Caller, plan: Plan, result: dict[str, Any]) -> None:
    caller.done(f"prepared {plan.folder}", result)
    if plan.start_by_hand and plan.start_by_hand.isprintable():
        click.echo(f"start it: cd {shlex.quote(str(plan.workplace))} && {plan.start_by_hand}", err=True)
