"""`tilth labels ...`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.label_files import rows_of_file
from tilth.wire.labels import MAX_LABELS, MOST_SCORES_A_DAY

COVERAGE_COLUMNS = ("day", "model", "version", "predictions", "labelled", "share")
OUTCOME_COLUMNS = ("version", "metric", "value", "low", "high", "rows")
COUNTS = ("received", "new", "unchanged", "corrected", "repeated", "matched")


@click.group(epilog="\b\nExamples:\n  tilth labels log flight-delay landed.csv\n  tilth labels coverage flight-delay\n")
def labels() -> None:
    """Labels: what came true of predictions."""


@labels.command(
    "log",
    epilog="\b\nExamples:\n  tilth labels log flight-delay landed.csv\n  tilth labels log flight-delay landed.parquet --label delayed\n",
)
@click.argument("deployment")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--label", default="label", show_default=True, help="Column that holds the label.")
@click.option("--prediction-id", default="prediction_id", show_default=True, help="Column that holds the prediction's id.")
@shared()
def log_labels(caller: Caller, deployment: str, path: Path, label: str, prediction_id: str) -> None:
    """Log the labels in FILE (.csv, .parquet, .jsonl) for predictions of DEPLOYMENT.

    Each row has `prediction_id`, or the declared key columns and `at`; and `label`. The same file again changes nothing.
    """
    total = dict.fromkeys(COUNTS, 0)
    waiting = 0
    with Api(caller.target()) as api:
        where = api.in_project("deployments", deployment, "labels")
        for part in _parts(rows_of_file(path, {label: "label", prediction_id: "prediction_id"})):
            answer = api.call("POST", where, {"labels": part}, timeout_s=120)
            total = {name: total[name] + answer[name] for name in COUNTS}
            waiting = answer["waiting"]
            if not caller.as_json and sys.stderr.isatty():
                click.echo(f"\r{total['received']:,} labels ", nl=False, err=True)
        unscored = api.get(f"{where}/coverage")["unscored"] if waiting else 0
    if not caller.as_json and sys.stderr.isatty():
        click.echo(err=True)
    said = f"{total['new']:,} new, {total['corrected']:,} corrected, {total['unchanged']:,} as before"
    met = f"rows of predictions labelled: {total['matched']:,}, labels that wait for theirs: {waiting:,}"
    caller.done(f"labels: {total['received']:,} received, {said}; {met}{_why(unscored)}", {**total, "waiting": waiting})


def _why(unscored: int) -> str:
    """What there is to know of labels that wait."""
    if not unscored:
        return ""
    return (
        f"\n{unscored:,} kept rows of the last days have no score, and labels of them wait in vain: before the first label (or a key, "
        f"`tilth labels key`) the first {MOST_SCORES_A_DAY:,} rows of a UTC day are scored, from then on all"
    )


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == MAX_LABELS:
            yield part
            part = []
    if part:
        yield part


@labels.command(
    "coverage",
    epilog="\b\nExamples:\n  tilth labels coverage flight-delay\n  tilth labels coverage flight-delay --days 90 --json\n",
)
@click.argument("deployment")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How far back.")
@shared()
def show_coverage(caller: Caller, deployment: str, days: int) -> None:
    """Show how many predictions of DEPLOYMENT have a label, by UTC day and version."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", deployment, "labels", "coverage"), days=days)
    if caller.as_json:
        caller.show_record(found)
        return
    rows = [{**row, "share": f"{row['labelled'] / row['predictions']:.1%}"} for row in found["days"]]
    caller.show_rows(rows, COVERAGE_COLUMNS, f"no predictions of {deployment} in the last {days} days")
    key = f"; a label may name {', '.join(found['key'])} instead of a prediction" if found["key"] else ""
    click.echo(
        f"labelled: {found['labelled']:,} of {found['predictions']:,} predictions; labels that wait for theirs: {found['waiting']:,}"
        f"{key}{_why(found['unscored'])}"
    )


@labels.command("outcomes", epilog="\b\nExample:\n  tilth labels outcomes flight-delay --days 7\n")
@click.argument("deployment")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How far back.")
@shared()
def show_outcomes(caller: Caller, deployment: str, days: int) -> None:
    """Show how good the labelled predictions of DEPLOYMENT were: each metric with its 95 % interval, by version."""
    with Api(caller.target()) as api:
        where = api.in_project("deployments", deployment, "labels", "outcomes")
        newest = api.get(where)
        found = api.get(where, since=max(0, newest["until"] - days * 86_400_000), until=newest["until"])
    if caller.as_json:
        caller.show_record(found)
        return
    rows = [
        {"version": each["version"], "metric": metric["name"], "rows": each["rows"], **metric}
        for each in found["versions"]
        for metric in each["metrics"]
    ]
    caller.show_rows(rows, OUTCOME_COLUMNS, f"no labelled predictions of {deployment} in the last {days} days")


@labels.command(
    "key",
    epilog="\b\nExamples:\n  tilth labels key churn customer_id --window-days 30\n  tilth labels key shop route_key\n"
    "  tilth labels key churn --none\n",
)
@click.argument("deployment")
@click.argument("columns", nargs=-1)
@click.option(
    "--window-days", type=click.FloatRange(0.0001, 366), default=30, show_default=True, help="How long a prediction waits."
)
@click.option("--none", "none", is_flag=True, help="Take the declaration back: labels name predictions only.")
@shared()
def declare_key(caller: Caller, deployment: str, columns: tuple[str, ...], window_days: float, none: bool) -> None:
    """Let labels of DEPLOYMENT name COLUMNS instead of a prediction: input columns, or `route_key` or `request_id`.

    A label is then of every prediction of that key in the window before it which no earlier label is of.
    """
    if bool(columns) == none:
        raise click.UsageError("name the columns, or take the declaration back with --none")
    with Api(caller.target()) as api:
        body = {"key": list(columns), "window_s": max(1, round(window_days * 86_400))}
        made = api.call("PUT", api.in_project("deployments", deployment, "labels", "key"), body)
    said = f"may name {', '.join(made['key'])}" if made["key"] else "name predictions only"
    caller.done(f"labels of {deployment} {said}, for predictions from now on", made)


@labels.command("show", epilog="\b\nExample:\n  tilth labels show flight-delay 019a2b3c4d5e7f60818283848586878f.0\n")
@click.argument("deployment")
@click.argument("prediction")
@shared()
def show_label(caller: Caller, deployment: str, prediction: str) -> None:
    """Show the label of PREDICTION (`<id>.<row>`), and what it was before each correction."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", deployment, "labels", prediction))
    caller.show_rows(found, ("label", "by", "logged", "replaced"), f"no label of {prediction}")
