"""`tilth model evaluate`, `evaluations`, `diff`, `card`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from tilth.cli.caller import Caller, cell, show_table
from tilth.cli.caller import shared as options
from tilth.cli.client import Api
from tilth.cli.commands.model_group import model
from tilth.cli.references import parse_version
from tilth.core.errors import Invalid

EVALUATION_COLUMNS = ("name", "dataset", "rows", "metrics", "latency_p99_ms", "by", "created")
PARTS = ("metrics", "params", "data", "inputs", "outputs", "card", "environment", "files", "facts")
CARD_FILES = {"md": "card.md", "json": "card", "html": "card.html"}


class UnreadableData(Invalid):
    """The file holds no rows that can be evaluated on."""


@model.command(
    "evaluate",
    epilog="\b\nExamples:\n  tilth model evaluate flight-delay/3 april.parquet --target late --slice origin\n"
    "  tilth model evaluate flight-delay@candidate april.csv --target late --name april\n",
)
@click.argument("reference")
@click.argument("data", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--target", required=True, help="The column that holds the truth.")
@click.option("--slice", "slices", multiple=True, help="A column whose values are measured one by one; repeat it.")
@click.option("--metric", "metrics", multiple=True, help="Only this metric; repeat it (default: all that fit the model).")
@click.option("--name", default="validation", show_default=True, help="Which evaluation this is; gates are bound to the name.")
@options()
def evaluate(
    caller: Caller, reference: str, data: Path, target: str, slices: tuple[str, ...], metrics: tuple[str, ...], name: str
) -> None:
    """Measure the version REFERENCE on the rows of DATA (CSV or Parquet). The model runs here, on this machine."""
    # What the extra `sklearn` brings is needed here and nowhere else on the command line.
    sdk = importlib.import_module("tilth.sdk.evaluating")
    place = caller.target()
    importlib.import_module("tilth.sdk.connection").init(place.project, url=place.url, token=place.token, home=place.home)
    found = sdk.evaluate(
        reference,
        _rows(data),
        target,
        slices=list(slices),
        metrics=list(metrics) or None,
        name=name,
        dataset=data.name,
    )
    if caller.as_json:
        caller.show_record({"evaluation": found.record, "gates": found.gates})
    else:
        click.echo(str(found))


def _rows(path: Path) -> Any:
    try:
        pandas = importlib.import_module("pandas")
    except ModuleNotFoundError as error:
        raise UnreadableData("reading rows takes pandas; run: pip install 'path/to/the/clone[sklearn]'") from error
    try:
        return pandas.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else pandas.read_csv(path)
    except FileNotFoundError as error:
        raise UnreadableData(f"there is no file {path}") from error
    except (ValueError, ImportError, UnicodeDecodeError) as error:
        raise UnreadableData(f"{path} does not read as CSV or Parquet: {str(error)[:200]}") from error


@model.command("evaluations", epilog="\b\nExample:\n  tilth model evaluations flight-delay/3\n")
@click.argument("reference")
@click.option("--limit", "-n", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many.")
@options()
def evaluations(caller: Caller, reference: str, limit: int) -> None:
    """List the evaluations of the version REFERENCE, newest first."""
    with Api(caller.target()) as api:
        name, version = parse_version(api, reference)
        path = api.in_project("models", name, "versions", str(version), "evaluations")
        rows = list(api.rows(path, "evaluations", limit))
    if not caller.as_json:
        for row in rows:
            row["metrics"] = {key: measured["value"] for key, measured in row["metrics"].items()}
    caller.show_rows(rows, EVALUATION_COLUMNS, f"not evaluated yet: tilth model evaluate {reference} DATA --target COLUMN")


@model.command(
    "diff",
    epilog="\b\nExamples:\n  tilth model diff flight-delay/3 flight-delay/4\n  tilth model diff flight-delay@champion flight-delay/4\n",
)
@click.argument("first")
@click.argument("second")
@click.option("--all", "everything", is_flag=True, help="Show what is equal, too.")
@options()
def diff(caller: Caller, first: str, second: str, everything: bool) -> None:
    """Show what is different between the versions FIRST and SECOND of one model."""
    with Api(caller.target()) as api:
        (name, a), (other, b) = parse_version(api, first), parse_version(api, second)
        if name != other:
            raise click.UsageError(f"{first} and {second} are of two models; name two versions of one")
        found = api.get(api.in_project("models", name, "diff"), a=a, b=b)
    if caller.as_json:
        caller.show_record(found)
        return
    for each in found["evaluations"]:
        rows = "the same rows" if each["same_rows"] else "OTHER ROWS, so differences say nothing about the models"
        click.secho(f"evaluation {each['name']}: {rows}", bold=True)
        show_table(
            ("metric", f"v{a}", f"v{b}", "difference", "interval", "better"), [_measured(row, a, b) for row in each["metrics"]]
        )
    for part in PARTS:
        changed = [row for row in found[part] if everything or not row["same"]]
        if changed:
            click.secho(part, bold=True)
            show_table(("name", f"v{a}", f"v{b}"), [(row["name"], row["a"], row["b"]) for row in changed])


def _measured(row: dict[str, Any], a: int, b: int) -> tuple[Any, ...]:
    interval = f"{row['low']:+.4g} to {row['high']:+.4g}" if row["low"] is not None and row["high"] is not None else ""
    difference = f"{row['difference']:+.4g}" if row["difference"] is not None else ""
    values = [row[side]["value"] if row[side] else None for side in ("a", "b")]
    return (row["metric"], *values, difference, interval, {"a": f"v{a}", "b": f"v{b}"}.get(row["better"], ""))


@model.command(
    "card",
    epilog="\b\nExamples:\n  tilth model card flight-delay@champion\n  tilth model card flight-delay/3 --format html --out card.html\n",
)
@click.argument("reference")
@click.option("--format", "form", type=click.Choice(list(CARD_FILES)), default="md", show_default=True, help="Which form.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of the terminal.")
@options()
def card(caller: Caller, reference: str, form: str, out: Path | None) -> None:
    """Print the card of the version REFERENCE: Markdown with Hugging Face front matter, one HTML file, or JSON."""
    with Api(caller.target()) as api:
        name, version = parse_version(api, reference)
        path = api.in_project("models", name, "versions", str(version), CARD_FILES[form])
        if form == "html":
            project = quote(api.target.project, safe="")
            path = f"/p/{project}/models/{quote(name, safe='')}/versions/{version}/card.html"
        text = api.text(path)
    if out is None:
        click.echo(text)
        return
    out.write_text(text, encoding="utf-8")
    caller.done(f"wrote {cell('', str(out))}", {"file": str(out)})


__all__ = ["card", "diff", "evaluate", "evaluations"]
