"""`tilth export ...`: a project as open files, a deployment as manifests of other platforms."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands.export_manifests import export_kserve, export_kubernetes, export_sagemaker
from tilth.cli.moving import export as moving
from tilth.cli.moving.departure import Departure


class ExportTable(click.Group):
    """What is no command of the table is the folder of `tilth export project FOLDER`, whose name may then be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        whole = args and args[0] not in self.commands and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, [export_project.name or "", *args] if whole else args)


@click.command(
    "project",
    epilog="\b\nExamples:\n  tilth export project ./flights-2026\n  tilth export project /backup/pricing --project pricing\n",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@shared()
def export_project(caller: Caller, folder: Path) -> int:
    """Write a project as Parquet tables, artifacts and MLflow model folders; `tilth export FOLDER` is the same.

    FOLDER is made if it is not there. An export that was stopped goes on where it was. `tilth import tilth FOLDER` brings
    it back, here or elsewhere. Exit code 1 if something is not in it.
    """
    columns = (TextColumn("exporting"), BarColumn(), TextColumn("{task.completed} runs"), TimeElapsedColumn())
    with (
        Api(caller.target(), timeout_s=300.0) as api,
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("", total=None)
        tally = moving.export_project(Departure(api), folder, api.target.project, lambda done: bar.update(task, advance=done))
    tally.show(caller, dry_run=False)
    return 0 if tally.complete else 1


@click.group(
    "export",
    cls=ExportTable,
    epilog="""\b
Examples:
  tilth export ./flights-2026
  tilth export kubernetes flight-delay --image registry.example.org/flight-delay:3 --out ./k8s
A folder that is named like a command: tilth export ./kubernetes
""",
)
def export() -> None:
    """Write a project as open files (`tilth export FOLDER`), or a deployment as manifests of other platforms.

    `tilth image` makes the image that the manifests name.
    """


for command in (export_project, export_kubernetes, export_kserve, export_sagemaker):
    export.add_command(command)
