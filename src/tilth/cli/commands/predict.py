"""`tilth predict`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.rows import request_of_file, request_of_json
from tilth.core.errors import NotFound


class NoServeAddress(NotFound):
    """Nothing says where predictions are answered."""


@click.command(
    epilog="""\b
Examples:
  tilth predict flight-delay --json-rows '[{"origin": "JFK", "distance": 187}]'
  tilth predict flight-delay --in rows.csv --text-column flight
  cat rows.json | tilth predict flight-delay
"""
)
@click.argument("deployment")
@click.option("--json-rows", help="Rows as JSON: a list of objects, or a whole request body.")
@click.option(
    "--in", "path", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Rows from a .json or .csv file."
)
@click.option("--text-column", "text_columns", multiple=True, help="CSV column whose values stay text; repeat it.")
@click.option("--serve-url", help="Address of the model server (default: TILTH_SERVE_URL, or the home's server.json).")
@shared()
def predict(
    caller: Caller,
    deployment: str,
    json_rows: str | None,
    path: Path | None,
    text_columns: tuple[str, ...],
    serve_url: str | None,
) -> None:
    """Send rows to DEPLOYMENT and print one prediction per line. Without --json-rows and --in, rows are read as JSON from stdin."""
    if json_rows is not None and path is not None:
        raise click.UsageError("give either --json-rows or --in, not both")
    target = caller.target()
    address = serve_url or target.serve_url
    if not address:
        raise NoServeAddress(
            "TILTH_URL says where the pages are, not where predictions are answered; add --serve-url or set TILTH_SERVE_URL"
        )
    if path is not None:
        body = request_of_file(path, text_columns)
    elif json_rows is not None:
        body = request_of_json(json_rows, "--json-rows")
    else:
        body = request_of_json(sys.stdin.buffer.read(), "stdin")
    with Api(replace(target, url=address.rstrip("/"))) as api:
        where = f"/p/{quote(target.project, safe='')}/deployments/{quote(deployment, safe='')}/invocations"
        answer = api.call("POST", where, body)
    if caller.as_json:
        caller.show_record(answer)
        return
    for prediction in answer["predictions"]:
        click.echo(prediction if isinstance(prediction, str) else msgspec.json.encode(prediction).decode())
    click.echo(
        f"{answer.get('model', deployment)} version {answer.get('version', '?')}, prediction {answer.get('prediction_id', '?')}",
        err=True,
    )
