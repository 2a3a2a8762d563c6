"""`tilth import-model` and `tilth model trust`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click
import msgspec

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands.model_group import model
from tilth.cli.references import names_files, parse_version
from tilth.core.errors import NotFound
from tilth.sdk import connection
from tilth.sdk.importing import import_model as bring_in
from tilth.sdk.importing.types import Format

SHOWN = ("model", "version", "format", "verdict", "findings", "unservable", "url")


class NotImported(NotFound):
    """A version whose files were never here."""


@click.command(
    epilog="""\b
Examples:
  tilth import-model churn.onnx
  tilth import-model booster.ubj --name churn --example rows.csv
  tilth import-model pipeline.joblib --example rows.csv --trust --reason 'our own, trained in 2024'
  tilth import-model ./mlflow-model-folder --name churn
"""
)
@click.argument("path", type=click.Path())
@click.option("--name", help="Name of the registered model (default: that of the file).")
@click.option("--example", type=click.Path(dir_okay=False), help="Rows that it takes: .csv, .parquet, .json, .npy, .npz.")
@click.option(
    "--flavour", type=click.Choice(get_args(Format)), metavar="FORMAT", help="What it is, where the file does not tell."
)
@click.option(
    "--categories", type=click.Path(dir_okay=False), help='JSON file of text columns and their values: {"origin": ["JFK"]}.'
)
@click.option("--trust", is_flag=True, help="Run what came with it, in a process of its own. Takes a maintainer.")
@click.option("--reason", default="", help="Why it is trusted; kept in the audit trail.")
@click.option("--description", default="", help="Words about this version.")
@shared()
def import_model(
    caller: Caller,
    path: str,
    name: str | None,
    example: str | None,
    flavour: str | None,
    categories: str | None,
    trust: bool,
    reason: str,
    description: str,
) -> None:
    """Register the model in PATH, a file, folder or archive that was made elsewhere, with a look at what is in it.

    ONNX, boosters and Keras are asked their example at once. What may run code (pickle, joblib, PyTorch, SavedModel) is kept and not
    run, unless --trust says so.
    """
    target = caller.target()
    connection.init(target.project, url=target.url, token=target.token, home=target.home)
    made = bring_in(
        path,
        name,
        example=example,
        flavour=flavour,
        categories=_vocabularies(categories),
        trust=trust,
        reason=reason,
        description=description,
    )
    record = {key: value for key, value in asdict(made).items() if key in SHOWN}
    if caller.as_json:
        caller.show_record({key: record[key] for key in SHOWN})
        return
    record["findings"] = "; ".join(made.findings)
    caller.show_record({key: record[key] for key in SHOWN if record[key]})


def _vocabularies(path: str | None) -> dict[str, list[str]] | None:
    if path is None:
        return None
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=dict[str, list[str]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} does not hold lists of texts by column: {error}") from error


@model.command(
    "trust",
    epilog="\b\nExamples:\n  tilth model trust churn/1 --reason 'trained by us before we had Tilth'\n"
    "  tilth model trust m-0190c2… --reason 'trained by us before we had Tilth'\n",
)
@click.argument("reference")
@click.option("--reason", required=True, help="Why its code may run; kept in the audit trail.")
@shared()
def trust_model(caller: Caller, reference: str, reason: str) -> None:
    """Say that what came with an imported model may run, in a process of its own.

    REFERENCE is a version (`churn/1`, `churn@champion`), or the id of a logged model.
    """
    with Api(caller.target()) as api:
        logged_model_id = _logged_model(api, reference)
        view = api.call("POST", api.in_project("logged-models", logged_model_id, "trust"), {"reason": reason})
    left = f", and cannot be served yet: {view['unservable']}" if view["unservable"] else ""
    caller.done(f"{reference} is trusted now{left}", view)


def _logged_model(api: Api, reference: str) -> str:
    """Raises InvalidReference, NotFound."""
    if names_files(reference):
        return reference
    name, number = parse_version(api, reference)
    found: str | None = api.get(api.in_project("models", name, "versions", str(number)))["version"]["logged_model_id"]
    if found is None:
        raise NotImported(f"{reference} was not imported from elsewhere: there is nothing to trust")
    return found
