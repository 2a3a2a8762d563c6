"""`tilth predictions ...`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilth.cli.caller import Caller, moment, shared
from tilth.cli.client import API, Api
from tilth.core.errors import Invalid
from tilth.sdk.moments import moment_of

if TYPE_CHECKING:
    from tilth.sdk.connection import Connection

NEVER = 1 << 53
MOST_ROWS = 1000
FORMATS = (".parquet", ".csv", ".jsonl")
ROW_FIELDS = ("prediction_id", "row", "at", "model", "version", "latency_ms", "request_id", "label")


class UnknownRedaction(Invalid):
    """A field and what happens to it, written in another way than `field=hash`, `field=drop` or `field=keep`."""


@click.group(
    epilog="""\b
Examples:
  tilth predictions list flight-delay --since 1h
  tilth predictions show flight-delay 01a1fdd916ea7012ab3507f16591d54d
"""
)
def predictions() -> None:
    """Kept predictions: what a deployment was asked and what it answered."""


@predictions.command(
    "list",
    epilog="\b\nExamples:\n  tilth predictions list flight-delay\n  tilth predictions list flight-delay --since 24h --version 3 --json\n",
)
@click.argument("deployment")
@click.option("--since", default="0", help="A day or moment in ISO 8601 (UTC), or a span before now such as 24h, 7d.")
@click.option("--until", default="", help="Likewise; up to now if left out.")
@click.option("--version", type=click.IntRange(1), help="Only answers of this version.")
@click.option("--shadow", is_flag=True, help="Answers of versions in the shadow instead.")
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), default=20, show_default=True, help="Most rows to show.")
@shared()
def list_predictions(
    caller: Caller, deployment: str, since: str, until: str, version: int | None, shadow: bool, limit: int
) -> None:
    """List the newest rows that DEPLOYMENT answered, with inputs and outputs."""
    with Api(caller.target()) as api:
        found = api.get(
            api.in_project("deployments", deployment, "predictions"),
            since=moment_of(since),
            until=moment_of(until) if until else NEVER,
            version=version,
            shadow=str(shadow).lower(),
            limit=limit,
        )["predictions"]
    caller.show_rows(
        found if caller.as_json else map(_flat, found),
        _columns_of(found),
        f"no predictions of {deployment} are kept in that time; fresh ones come within seconds (`tilth predictions flush {deployment}`)",
    )


@predictions.command("show", epilog="\b\nExample:\n  tilth predictions show flight-delay 01a1fdd916ea7012ab3507f16591d54d\n")
@click.argument("deployment")
@click.argument("prediction_id")
@shared()
def show_prediction(caller: Caller, deployment: str, prediction_id: str) -> None:
    """Show one prediction: inputs as they were sent, outputs, version, latency, and what versions in the shadow said."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", deployment, "predictions", prediction_id))
    if caller.as_json:
        caller.show_record(found)
        return
    for row in (*found["rows"], *found["shadows"]):
        title = f"{row['prediction_id']}.{row['row']}"
        click.echo(click.style(f"{title} (version {row['version']}, in the shadow)" if row["shadow"] else title, bold=True))
        caller.show_record({**_facts(row), **{f"in {key}": value for key, value in row["inputs"].items()}})
        caller.show_record({f"out {key}": value for key, value in row["outputs"].items()})
        click.echo()


@predictions.command(
    "export",
    epilog="""\b
Examples:
  tilth predictions export flight-delay --since 7d --out week.parquet
  tilth predictions export flight-delay --labels --out all.csv
  tilth predictions export flight-delay --out ./flight-delay-files
""",
)
@click.argument("deployment")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .parquet, .csv or .jsonl file, or a folder.")
@click.option("--since", default="0", help="A day or moment in ISO 8601 (UTC), or a span before now such as 24h, 7d.")
@click.option("--until", default="", help="Likewise; up to now if left out.")
@click.option("--labels", is_flag=True, help="With the labels that are known; not into a folder.")
@click.option("--shadow", is_flag=True, help="Answers of versions in the shadow instead.")
@shared()
def export_predictions(caller: Caller, deployment: str, out: Path, since: str, until: str, labels: bool, shadow: bool) -> None:
    """Write predictions of DEPLOYMENT into a file, or its Parquet files as they are into a folder (flat memory, any amount)."""
    from tilth.sdk.connection import init

    target = init(caller.project, url=caller.url, token=caller.token, home=caller.home, mode="online")
    first, last = moment_of(since), moment_of(until) if until else NEVER
    if out.suffix in FORMATS:
        rows = _write(deployment, out, since=first, until=last, labels=labels, shadow=shadow)
        caller.done(f"wrote {rows:,} predictions to {out}", {"rows": rows, "path": str(out)})
        return
    if labels:
        raise click.UsageError("--labels needs a file: --out something.parquet, .csv or .jsonl")
    files = _fetch(target, deployment, out, first, last, shadow=shadow)
    caller.done(f"wrote {files:,} files to {out}", {"files": files, "path": str(out)})


@predictions.command("flush", epilog="\b\nExample:\n  tilth predictions flush flight-delay\n")
@click.argument("deployment")
@click.option("--timeout-s", type=click.FloatRange(0, 30), default=20, show_default=True, help="How long to wait.")
@shared()
def flush(caller: Caller, deployment: str, timeout_s: float) -> None:
    """Wait until every prediction that was answered before now can be read."""
    with Api(caller.target()) as api:
        found = api.call(
            "POST", api.in_project("deployments", deployment, "predictions", "flush"), params={"timeout_s": timeout_s}
        )
    caller.done(f"every prediction answered before {moment(found['until'])} can be read", found)


@predictions.command("retry", epilog="\b\nExample:\n  tilth predictions retry\n")
@shared(project=False)
def retry(caller: Caller) -> None:
    """Try again to ship segments of the prediction log that were set aside, as `tilth doctor` tells. For admins."""
    with Api(caller.target()) as api:
        found = api.call("POST", f"{API}/predictions/refused/retry")
    caller.done(f"segments that are tried again: {found['segments']:,}", found)


@predictions.command(
    "policy",
    epilog="""\b
Examples:
  tilth predictions policy flight-delay
  tilth predictions policy flight-delay --keep-days 30 --redact passenger=hash --redact phone=drop
  tilth predictions policy flight-delay --sample-percent 10
""",
)
@click.argument("deployment")
@click.option("--keep-days", type=click.IntRange(1, 3660), help="Files whose last prediction is older are deleted.")
@click.option(
    "--redact", "redact", multiple=True, help="FIELD=hash, FIELD=drop or FIELD=keep, before a prediction is kept; repeat it."
)
@click.option("--sample-percent", type=click.FloatRange(0.01, 100), help="Share of the predictions that are kept.")
@click.option("--note", default="", help="Why; shown with the new generation.")
@shared()
def policy(
    caller: Caller, deployment: str, keep_days: int | None, redact: tuple[str, ...], sample_percent: float | None, note: str
) -> None:
    """Show or change what of the predictions of DEPLOYMENT is kept, from now on."""
    with Api(caller.target()) as api:
        settings: dict[str, Any] = api.get(api.in_project("deployments", deployment))["deployment"]["settings"]
        if keep_days is not None or redact or sample_percent is not None:
            body: dict[str, Any] = {"keep_days": keep_days, "note": note}
            body["redact"] = _redactions(settings["redact"], redact) if redact else None
            body["sample"] = round(sample_percent * 100) if sample_percent is not None else None
            settings = api.call("PUT", api.in_project("deployments", deployment, "predictions", "policy"), body)
    caller.show_record(
        {
            "keep_days": settings["keep_predictions_days"],
            "redact": settings["redact"],
            "sample_percent": settings["log_sample"] / 100,
        }
    )


def _redactions(before: dict[str, str], given: Iterable[str]) -> dict[str, str]:
    made = dict(before)
    for text in given:
        field, _, what = text.rpartition("=")
        if not field or what not in ("hash", "drop", "keep"):
            raise UnknownRedaction(f"--redact {text[:80]!r} is not understood; write FIELD=hash, FIELD=drop or FIELD=keep")
        made.pop(field, None)
        if what != "keep":
            made[field] = what
    return made


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    inputs = {f"in_{name}": value for name, value in row["inputs"].items()}
    return {**row, **inputs, **{f"out_{name}": value for name, value in row["outputs"].items()}}


def _columns_of(rows: list[dict[str, Any]]) -> list[str]:
    """Id, moment and version first, then labels, outputs and inputs, as far as any row has them."""
    names = dict.fromkeys(f"out_{name}" for row in rows for name in row["outputs"])
    names |= dict.fromkeys(f"in_{name}" for row in rows for name in row["inputs"])
    labelled = ["label"] if any(row["label"] is not None for row in rows) else []
    return ["prediction_id", "row", "at", "version", *labelled, *names]


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ROW_FIELDS if name not in ("prediction_id", "row")}


def _write(deployment: str, out: Path, *, since: int, until: int, labels: bool, shadow: bool) -> int:
    """Rows written. What stood in the file stays until the new one is whole."""
    import polars as pl

    from tilth.sdk.predictions import predictions as read

    frame = read(deployment, since=since, until=until, labels=labels, shadow=shadow)
    partial = out.with_name(f"{out.name}.partial")
    match out.suffix:
        case ".parquet":
            frame.write_parquet(partial)
        case ".jsonl":
            frame.write_ndjson(partial)
        case _:
            nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
            if nested:
                raise Invalid(f"column {nested[0]!r} holds lists, which CSV cannot; write .parquet or .jsonl")
            frame.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).write_csv(partial)
    partial.replace(out)
    return len(frame)


def _fetch(target: Connection, deployment: str, folder: Path, since: int, until: int, *, shadow: bool) -> int:
    """Files written. One that is there already with its size is left, so that what broke off is simply repeated."""
    from tilth.sdk.predictions import base_of, files_of

    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for file in files_of(target, deployment, since, until, shadow=shadow):
        path = folder / f"{file.day}-{file.id}.parquet"
        if not path.exists() or path.stat().st_size != file.bytes:
            partial = path.with_suffix(".partial")
            with partial.open("wb") as out:
                target.http.download(f"{base_of(target, deployment)}/files/{file.id}", out.write)
            partial.replace(path)
        count += 1
    return count
