"""`tilth score`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, cast

import click

from tilth.cli.caller import Caller, shared
from tilth.sdk import connection
from tilth.sdk.batch.calling import BATCH_ROWS, Scoring
from tilth.sdk.batch.calling import score as score_files
from tilth.sdk.batch.progress import shown_progress
from tilth.wire.scoring import FileFormat, OnBadRow

FORMATS = click.Choice(["parquet", "csv", "jsonl"])


@click.command(
    epilog="""\b
Examples:
  tilth score flight-delay@champion --in april.parquet --out scores.parquet
  tilth score flight-delay/3 --in april.csv --out scores --columns flight,day --processes 4
  tilth score flight-delay@champion --in s3://lake/april --out s3://lake/scores/april --on-bad-row skip
"""
)
@click.argument("model")
@click.option("--in", "source", required=True, help="A .parquet, .csv or .jsonl file, a folder of them, or s3://bucket/prefix.")
@click.option("--out", "output", required=True, help="A file with such an ending, or a folder (or s3://...) of parts.")
@click.option("--columns", help="Input columns to keep, `id,day`; `-` keeps none (default: all).")
@click.option(
    "--on-bad-row",
    type=click.Choice(["fail", "skip", "null"]),
    default="fail",
    show_default=True,
    help="A row that the model cannot take: end, leave it out, or write it without prediction.",
)
@click.option("--processes", type=click.IntRange(1, 1024), help="How many score side by side (default: one per core).")
@click.option(
    "--batch-rows", type=click.IntRange(1, 10_000_000), default=BATCH_ROWS, show_default=True, help="Rows of one piece of work."
)
@click.option("--in-format", type=FORMATS, help="Format of the input, where names do not say it.")
@click.option("--format", "output_format", type=FORMATS, help="Format of the parts of a folder (default: parquet).")
@click.option("--resume/--fresh", default=None, help="Insist on going on with a killed call, or begin anew (default: go on).")
@click.option("--on", type=click.Choice(["processes", "ray"]), default="processes", show_default=True, help="Who scores.")
@click.option("--trust", is_flag=True, help="Run the code of a model that came from elsewhere.")
@shared()
def score(
    caller: Caller,
    model: str,
    source: str,
    output: str,
    columns: str | None,
    on_bad_row: str,
    processes: int | None,
    batch_rows: int,
    in_format: str | None,
    output_format: str | None,
    resume: bool | None,
    on: str,
    trust: bool,
) -> None:
    """Score every row of files with MODEL (`flight-delay@champion`, `flight-delay/3`), into files.

    A call that was killed goes on where it was when it is made again. The output is complete when its manifest says so.
    """
    target = caller.target()
    connection.init(target.project, url=target.url, token=target.token, home=target.home)
    with shown_progress() as progress:
        found = score_files(
            model,
            source,
            output,
            columns=_columns(columns),
            on_bad_row=cast(OnBadRow, on_bad_row),
            processes=processes,
            batch_rows=batch_rows,
            source_format=cast(FileFormat | None, in_format),
            output_format=cast(FileFormat | None, output_format),
            resume=resume,
            on=cast(Literal["processes", "ray"], on),
            trust=trust,
            progress=progress,
        )
    caller.done(_said(found), {**asdict(found), "rows_per_s": found.rows_per_s})


def _columns(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip() not in ("", "-")]


def _said(found: Scoring) -> str:
    refused = f", {found.refused:,} refused" if found.refused else ""
    rate = f", {found.rows_per_s:,.0f} rows/s, by {found.engine}" if found.rows_now else ": all was scored before"
    pace = f"{found.rows_now:,} rows in {found.seconds:.1f} s{rate}"
    return f"{found.version}: {found.rows:,} rows{refused} in {found.output}\n{pace}\n{found.url}"
