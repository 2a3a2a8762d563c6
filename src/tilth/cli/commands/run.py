"""`tilth run ...`."""

from __future__ import annotations

from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands.run_bulk import archive_runs, delete_runs, move_runs, restore_runs, tag_runs, unarchive_runs
from tilth.cli.commands.run_comment import comment, comments

COLUMNS = ("id", "name", "experiment", "status", "started", "ended", "user_name")


@click.group(epilog="\b\nExamples:\n  tilth run list\n  tilth run list --experiment flights --metric auc\n  tilth run show ID\n")
def run() -> None:
    """Runs: what was tried, with which settings, and what came of it."""


run.add_command(comment)
run.add_command(comments)


@run.command(
    "list", epilog="\b\nExamples:\n  tilth run list --experiment flights -n 10\n  tilth run list --metric auc --param max_iter\n"
)
@click.option("--experiment", help="Only runs of this experiment.")
@click.option("--filter", "filter_", help='Filter, such as "metrics.auc > 0.7".')
@click.option("--metric", "metrics", multiple=True, help="Add a column with this metric; repeat it.")
@click.option("--param", "params", multiple=True, help="Add a column with this param; repeat it.")
@click.option("--deleted", is_flag=True, help="The deleted ones instead.")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many, newest first."
)
@shared()
def list_runs(
    caller: Caller,
    experiment: str | None,
    filter_: str | None,
    metrics: tuple[str, ...],
    params: tuple[str, ...],
    deleted: bool,
    limit: int,
) -> None:
    """List runs, newest first."""
    columns = [f"metrics.{key}" for key in metrics] + [f"params.{key}" for key in params]
    asked = {"experiment": experiment, "filter": filter_, "deleted": "true" if deleted else None}
    if not caller.as_json or columns:
        asked["columns"] = ",".join(columns)
    with Api(caller.target()) as api:
        rows = [_flat(row) if not caller.as_json else row for row in api.rows(api.in_project("runs"), "runs", limit, **asked)]
    caller.show_rows(rows, (*COLUMNS, *metrics, *params), "no runs; `tilth exec -- python train.py` makes one")


@run.command("show", epilog="\b\nExample:\n  tilth run show RUN_ID --json\n")
@click.argument("run_id")
@shared()
def show_run(caller: Caller, run_id: str) -> None:
    """Show a run: its state, params, last metrics, tags and, of a failed one, the error."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("runs", run_id))
    if caller.as_json:
        caller.show_record(found)
        return
    caller.show_record(found["run"])
    _section("metrics", found["metrics"], ("key", "value", "step", "min", "max", "count"))
    _section("params", [{"key": key, "value": value} for key, value in found["params"].items()], ("key", "value"))
    _section("tags", [{"key": key, "value": value} for key, value in found["tags"].items()], ("key", "value"))
    if found["error"]:
        click.echo(f"\n{click.style('error', bold=True)}\n{found['error']}")


for command in (archive_runs, unarchive_runs, delete_runs, restore_runs, tag_runs, move_runs):
    run.add_command(command)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A run and the columns that were asked for, as one table row."""
    return {**row["params"], **row["metrics"], **row["run"]}


def _section(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if rows:
        click.echo(f"\n{click.style(title, bold=True)}")
        Caller(None, None, None, None, False).show_rows(rows, columns, "")
