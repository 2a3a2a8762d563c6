"""`tilth run compare` and `tilth run watch`."""

from __future__ import annotations

import time
from typing import Any

import click
import msgspec

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.core.clock import monotonic
from tilth.core.errors import NotFound
from tilth.sdk.differences import MAX_RUNS, Comparison, NothingToCompare, compared, package_versions
from tilth.wire.tracking import RunDetail

ENDED = frozenset(("finished", "failed", "killed", "lost"))


@click.command(
    "compare", epilog="\b\nExamples:\n  tilth run compare RUN_ID RUN_ID\n  tilth run compare RUN_ID RUN_ID --all --json\n"
)
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@shared()
def compare_runs(caller: Caller, run_ids: tuple[str, ...], everything: bool) -> None:
    """Show what is different between runs: params, metrics, tags, data, code, environment, packages."""
    if not 2 <= len(run_ids) <= MAX_RUNS:
        raise NothingToCompare(len(run_ids))
    with Api(caller.target()) as api:
        found = [msgspec.convert(api.get(api.in_project("runs", run_id)), RunDetail) for run_id in run_ids]
        comparison = compared(found, [_packages(api, one.run.id) for one in found])
    if caller.as_json:
        caller.show_record(comparison.to_dict(everything=everything))
    else:
        click.echo(_text(comparison, everything))


def _text(comparison: Comparison, everything: bool) -> str:
    if not everything:
        return str(comparison)
    rows = comparison.rows(everything=True)
    return "\n".join(
        f"{row['section']}.{row['key']}: {' | '.join(str(row[run_id]) for run_id in comparison.run_ids)}" for row in rows
    )


def _packages(api: Api, run_id: str) -> dict[str, str]:
    try:
        return package_versions(api.text(api.in_project("runs", run_id, "artifacts", "environment", "packages.txt")))
    except NotFound:
        return {}


@click.command("watch", epilog="\b\nExample:\n  tilth run watch RUN_ID --metric loss --every-s 5\n")
@click.argument("run_id")
@click.option("--metric", "metrics", multiple=True, help="Only this metric; repeat it (default: all but system/).")
@click.option("--every-s", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, help="Seconds between looks.")
@click.option("--timeout-s", type=click.FloatRange(0.1), help="Stop looking after so long (default: never).")
@shared()
def watch_run(caller: Caller, run_id: str, metrics: tuple[str, ...], every_s: float, timeout_s: float | None) -> None:
    """Print a line whenever a metric of the run moves, until it ends. The exit code is 0 if it finished well."""
    seen: dict[str, Any] = {}
    deadline = None if timeout_s is None else monotonic() + timeout_s
    with Api(caller.target()) as api:
        while True:
            found = api.get(api.in_project("runs", run_id))
            wanted = [m for m in found["metrics"] if (m["key"] in metrics if metrics else not m["key"].startswith("system/"))]
            moved = [m for m in wanted if seen.get(m["key"]) != m["count"]]
            seen |= {m["key"]: m["count"] for m in wanted}
            if moved:
                _line(caller, max(m["step"] for m in moved), moved)
            status = found["run"]["status"]
            if status in ENDED:
                caller.done(f"{found['run']['name']} {status}", {"status": status})
                raise click.exceptions.Exit(0 if status == "finished" else 1)
            if deadline is not None and monotonic() >= deadline:
                caller.done(f"{found['run']['name']} {status}", {"status": status})
                return
            time.sleep(every_s)


def _line(caller: Caller, step: int, moved: list[dict[str, Any]]) -> None:
    if caller.as_json:
        click.echo(msgspec.json.encode({"step": step, "metrics": {m["key"]: m["value"] for m in moved}}).decode())
    else:
        click.echo(f"step {step:>8}  " + "  ".join(f"{m['key']}={_number(m['value'])}" for m in moved))


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)
