"""`tilth export`: a project as open files."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.moving.departure import Departure
from tilth.cli.moving.export import export_project


@click.command(
    "export",
    epilog="\b\nExamples:\n  tilth export --out ./flights-2026\n  tilth export --project pricing --out /backup/pricing\n",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write; made if it is not there."
)
@shared()
def export(caller: Caller, out: Path) -> int:
    """Write a project as Parquet tables, artifacts and MLflow model folders.

    An export that was stopped goes on where it was. `tilth import tilth FOLDER` brings it back, here or elsewhere. Exit
    code 1 if something is not in it.
    """
    columns = (TextColumn("exporting"), BarColumn(), TextColumn("{task.completed} runs"), TimeElapsedColumn())
    with (
        Api(caller.target(), timeout_s=300.0) as api,
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("", total=None)
        tally = export_project(Departure(api), out, api.target.project, lambda done: bar.update(task, advance=done))
    tally.show(caller, dry_run=False)
    return 0 if tally.complete else 1
