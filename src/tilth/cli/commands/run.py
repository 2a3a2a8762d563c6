"""`tilth run ...`."""

from __future__ import annotations

from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands.run_bulk import archive_runs, delete_runs, move_runs, restore_runs, tag_runs, unarchive_runs
from tilth.cli.commands.run_comment import comment, comments
from tilth.cli.commands.run_compare import compare_runs, watch_run
from tilth.cli.rows import csv_of

COLUMNS = ("id", "name", "experiment", "status", "started", "ended", "user_name")


@click.group(
    epilog="\b\nExamples:\n  tilth run list\n  tilth run list --experiment flights --metric auc\n  tilth run show RUN_ID\n"
)
def run() -> None:
    """Runs: what was tried, with which settings, and what came of it."""


run.add_command(compare_runs)
run.add_command(watch_run)
run.add_command(comment)
run.add_command(comments)


@run.command(
    "list",
    epilog="""\b
Examples:
  tilth run list --experiment flights -n 10
  tilth run list --metric auc --param max_iter --order-by 'auc desc'
  tilth run list --columns metrics.auc,params.depth,tags.team --csv > runs.csv
""",
)
@click.option("--experiment", help="Only runs of this experiment.")
@click.option("--filter", "filter_", help='Filter, such as "metrics.auc > 0.7".')
@click.option("--metric", "metrics", multiple=True, help="Add a column with this metric; repeat it.")
@click.option("--param", "params", multiple=True, help="Add a column with this param; repeat it.")
@click.option("--columns", "more", default="", help="More columns, such as metrics.auc,params.depth,tags.team.")
@click.option("--order-by", help='Order, such as "auc desc" (default: newest first).')
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV; without --columns, --metric or --param with every column.")
@click.option("--archived", is_flag=True, help="The archived ones instead.")
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
    more: str,
    order_by: str | None,
    as_csv: bool,
    archived: bool,
    deleted: bool,
    limit: int,
) -> None:
    """List runs, newest first."""
    named = [column.strip() for column in more.split(",") if column.strip()]
    columns = [f"metrics.{key}" for key in metrics] + [f"params.{key}" for key in params] + named
    asked = {"experiment": experiment, "filter": filter_, "order_by": order_by, "deleted": "true" if deleted else None}
    if archived:
        asked["archived"] = "only"
    if columns or not (caller.as_json or as_csv):
        asked["columns"] = ",".join(columns)
    with Api(caller.target()) as api:
        rows = list(api.rows(api.in_project("runs"), "runs", limit, **asked))
    if as_csv:
        click.echo(csv_of([_told(row) for row in rows], [*COLUMNS, *columns] if columns else None), nl=False)
        return
    shown = rows if caller.as_json else [_flat(row) for row in rows]
    chosen = experiment or filter_ or archived or deleted
    empty = "no run is like that; `tilth run list` shows all" if chosen else "no runs; `tilth exec -- python train.py` makes one"
    caller.show_rows(shown, (*COLUMNS, *metrics, *params, *named), empty)


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
    """A run and the columns that were asked for, as one table row; each by its bare name and by its full one."""
    return {**row["params"], **row["metrics"], **_told(row)}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A run with the columns `metrics.auc`, `params.depth`, `tags.team`."""
    logged = {f"{what}.{key}": value for what in ("metrics", "params", "tags") for key, value in row[what].items()}
    return {**row["run"], **logged}


def _section(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if rows:
        click.echo(f"\n{click.style(title, bold=True)}")
        Caller(None, None, None, None, False).show_rows(rows, columns, "")
