"""`tilth import ...`: runs and models of another system, or of an exported project."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.moving.arrival import Arrival
from tilth.cli.moving.careful import Careful
from tilth.cli.moving.landing import land
from tilth.cli.moving.mlflow_files import MlflowFiles
from tilth.cli.moving.mlflow_rest import MlflowRest
from tilth.cli.moving.mlflow_sqlite import MlflowSqlite
from tilth.cli.moving.progress import shown_progress
from tilth.cli.moving.source import Source, Unreadable
from tilth.cli.moving.tilth_folder import TilthFolder
from tilth.cli.moving.wandb_folder import WandbFolder


@click.group(
    "import",
    epilog="\b\nExamples:\n  tilth import mlflow ./mlruns\n  tilth import mlflow http://mlflow.example.org:5000 --dry-run\n",
)
def move_in() -> None:
    """Bring in runs and models from elsewhere; safe to repeat, and to stop at any moment."""


@move_in.command(
    "mlflow",
    epilog="\b\nExamples:\n  tilth import mlflow ./mlruns\n  tilth import mlflow sqlite:///mlflow.db --experiment flights\n"
    "  tilth import mlflow http://127.0.0.1:5000 --dry-run\n",
)
@click.argument("source")
@click.option("--experiment", "experiments", multiple=True, help="Only this experiment, and no registered models; repeat it.")
@click.option(
    "--artifacts",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that holds the artifacts of a database whose addresses do not lead there; repeat it.",
)
@click.option("--dry-run", is_flag=True, help="Count what would come, and bring nothing.")
@shared()
def import_mlflow(caller: Caller, source: str, experiments: tuple[str, ...], roots: tuple[Path, ...], dry_run: bool) -> int:
    """Bring in everything of an MLflow server (http), database (sqlite) or mlruns folder.

    Exit code 1 if something did not come; the table and the list say what.
    """
    return bring(caller, mlflow_source(source, roots), experiments, dry_run=dry_run)


@move_in.command("tilth", epilog="\b\nExample:\n  tilth import tilth ./flights-2026 --project flights\n")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--experiment", "experiments", multiple=True, help="Only this experiment, and no registered models; repeat it.")
@click.option("--dry-run", is_flag=True, help="Count what would come, and bring nothing.")
@shared()
def import_tilth(caller: Caller, folder: Path, experiments: tuple[str, ...], dry_run: bool) -> int:
    """Bring in what `tilth export` wrote. Ids are kept unless another project has them."""
    return bring(caller, TilthFolder(folder), experiments, dry_run=dry_run)


@move_in.command(
    "wandb",
    epilog="\b\nExamples:\n  tilth import wandb ./wandb\n  tilth import wandb ./exported --project-name churn --dry-run\n",
)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--project-name", default="", help="W&B project of runs that name none; it becomes their experiment.")
@click.option("--experiment", "experiments", multiple=True, help="Only runs of this W&B project; repeat it.")
@click.option("--dry-run", is_flag=True, help="Count what would come, and bring nothing.")
@shared()
def import_wandb(caller: Caller, folder: Path, project_name: str, experiments: tuple[str, ...], dry_run: bool) -> int:
    """Bring in runs of Weights & Biases from folders: its client's own, or exports made by its API."""
    return bring(caller, WandbFolder(folder, project_name), experiments, dry_run=dry_run)


def bring(caller: Caller, given: Source, experiments: tuple[str, ...], *, dry_run: bool) -> int:
    """Imports, counts on both sides, shows the table. Returns the exit code."""
    source = Careful(given)
    try:
        with Api(caller.target(), timeout_s=300.0) as api, shown_progress(source, experiments) as progress:
            tally = land(source, Arrival(api), experiments, progress, dry_run=dry_run)
    finally:
        source.close()
    tally.show(caller, dry_run=dry_run)
    return 0 if dry_run or tally.complete else 1


def mlflow_source(text: str, roots: tuple[Path, ...]) -> Source:
    """Raises Unreadable."""
    if text.startswith(("http://", "https://")):
        return MlflowRest(text, os.environ)
    if text.startswith("sqlite:"):
        return _database(Path(text.removeprefix("sqlite:///")), roots)
    if "://" in text and not text.startswith("file:"):
        raise Unreadable(
            f"{text[:200]} cannot be read; name an http(s) address, sqlite:///FILE or a folder, or start `mlflow server` on it"
        )
    path = Path(text.removeprefix("file://"))
    return _folder(path) if path.is_dir() else _database(path, roots)


def _folder(path: Path) -> Source:
    nested = path / "mlruns"
    return MlflowFiles(nested if nested.is_dir() and not (path / "0").is_dir() else path)


def _database(path: Path, roots: tuple[Path, ...]) -> Source:
    return MlflowSqlite(path, roots)
