"""`tilth rollout ...`."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.live import Live

from tilth.cli.caller import Caller, cell, shared
from tilth.cli.client import Api
from tilth.cli.references import parse_reference
from tilth.cli.rollout_plan import guardrails_of
from tilth.cli.rollout_rows import (
    FINDING_COLUMNS,
    STEP_COLUMNS,
    VERDICT_COLUMNS,
    finding_rows,
    headline,
    live_view,
    step_rows,
    verdict_rows,
)
from tilth.core.clock import monotonic
from tilth.core.names import slug_of
from tilth.wire.rollout_text import steps_of

DEFAULT_STEPS = "1,5,20,50,100"
LATEST = "latest"
LISTED_COLUMNS = ("id", "versions", "state", "created", "reason")


@click.group(
    epilog="\b\nExamples:\n  tilth rollout start flight-delay/4 --steps 5,50,100 --bake 10m --watch\n"
    "  tilth rollout show flight-delay\n  tilth rollout rollback flight-delay\n"
)
def rollout() -> None:
    """Rollouts: a new version gets a growing share of the requests, as long as its guardrails hold."""


@rollout.command(
    epilog="""\b
Examples:
  tilth rollout start flight-delay/4 --watch
  tilth rollout start flight-delay@challenger --steps 5:10m,25:30m,100:1h --min-requests 500
  tilth rollout start churn/7 --guardrail max_p99_ms=20 --guardrail max_score_psi=off --label auc=0.02
"""
)
@click.argument("reference")
@click.option("--name", help="Name of the deployment (default: that of the model).")
@click.option(
    "--steps", default=DEFAULT_STEPS, show_default=True, help="Percents, with a span each where they differ: 5:10m,100."
)
@click.option("--bake", default="10m", show_default=True, help="How long each step lasts at least.")
@click.option("--min-requests", type=click.IntRange(1), default=200, show_default=True, help="A step needs of the candidate.")
@click.option(
    "--guardrail", "limits", multiple=True, metavar="NAME=LIMIT", help="Such as max_error_rate=0.02; off: none. Repeat it."
)
@click.option("--label", "labels", multiple=True, metavar="METRIC=WORSE", help="Of labels: at most so much worse, as auc=0.02.")
@click.option("--min-labels", type=click.IntRange(10), default=200, show_default=True, help="Labels that each side needs.")
@click.option("--promote-alias", is_flag=True, help="At the end move the alias that the deployment follows, if gates allow.")
@click.option("--note", default="", help="Why; shown with the rollout.")
@click.option("--watch", "watched", is_flag=True, help="Stay and show how it goes, until it ends.")
@shared()
def start(
    caller: Caller,
    reference: str,
    name: str | None,
    steps: str,
    bake: str,
    min_requests: int,
    limits: tuple[str, ...],
    labels: tuple[str, ...],
    min_labels: int,
    promote_alias: bool,
    note: str,
    watched: bool,
) -> None:
    """Roll the version REFERENCE out (`flight-delay/4`, `flight-delay@challenger`) on a deployment that serves another one."""
    named = parse_reference(reference)
    name = name or slug_of(named.model)
    body = {
        **named.to_target(),
        "steps": msgspec.to_builtins(steps_of(steps, bake)),
        "min_requests": min_requests,
        "guardrails": guardrails_of(limits, labels, min_labels),
        "promote_alias": promote_alias,
        "note": note,
    }
    with Api(caller.target()) as api:
        made: dict[str, Any] = api.call("POST", api.in_project("deployments", name, "rollouts"), body)
        if not watched:
            first = made["steps"][0]["percent"]
            caller.done(
                f"rollout of version {made['candidate']} on deployment {name} began at {first:g} %: `tilth rollout watch {name}`",
                made,
            )
            return
        _watch(caller, api, name, made["id"], 2.0, None)


@rollout.command(epilog="\b\nExamples:\n  tilth rollout show flight-delay\n  tilth rollout show flight-delay --json\n")
@click.argument("name")
@click.option("--id", "which", default=LATEST, show_default=True, help="Of an earlier rollout.")
@shared()
def show(caller: Caller, name: str, which: str) -> None:
    """Show the last rollout of the deployment NAME: its steps, what was measured, and each verdict."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", name, "rollouts", which))
    if caller.as_json:
        caller.show_record(found)
        return
    going = found["rollout"]
    caller.show_record(headline(going))
    click.echo()
    caller.show_rows(step_rows(going), STEP_COLUMNS, "no steps")
    click.echo()
    caller.show_rows(finding_rows(going), FINDING_COLUMNS, "nothing measured yet")
    click.echo()
    caller.show_rows(verdict_rows(found["verdicts"]), VERDICT_COLUMNS, "no verdicts")


@rollout.command("list", epilog="\b\nExample:\n  tilth rollout list flight-delay\n")
@click.argument("name")
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many, newest first.")
@shared()
def list_rollouts(caller: Caller, name: str, limit: int) -> None:
    """List the rollouts of the deployment NAME, newest first."""
    with Api(caller.target()) as api:
        found = list(api.rows(api.in_project("deployments", name, "rollouts"), "rollouts", limit))
    rows = found if caller.as_json else [{**each, "versions": f"{each['champion']} → {each['candidate']}"} for each in found]
    caller.show_rows(rows, LISTED_COLUMNS, f"no rollouts; `tilth rollout start <model>/<version> --name {name}` starts one")


@rollout.command(epilog="\b\nExample:\n  tilth rollout watch flight-delay --timeout-s 3600\n")
@click.argument("name")
@click.option("--every-s", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, help="How often to look.")
@click.option("--timeout-s", type=click.FloatRange(0), help="Stop watching after so long.")
@shared()
def watch(caller: Caller, name: str, every_s: float, timeout_s: float | None) -> None:
    """Show how the rollout of the deployment NAME goes, until it ends. The exit code is 0 if the new version is served by all."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", name, "rollouts", LATEST))
        _watch(caller, api, name, found["rollout"]["id"], every_s, timeout_s)


def _command(verb: str, text: str, done: str) -> click.Command:
    """A change of the rollout that is under way, which takes a note and nothing else."""

    @rollout.command(verb, help=text, epilog=f"\b\nExample:\n  tilth rollout {verb} flight-delay --note 'looking into it'\n")
    @click.argument("name")
    @click.option("--note", default="", help="Why; shown among the verdicts.")
    @shared()
    def change(caller: Caller, name: str, note: str) -> None:
        with Api(caller.target()) as api:
            changed = api.call("POST", api.in_project("deployments", name, "rollouts", LATEST, verb), {"note": note})
        caller.done(f"rollout of version {changed['candidate']} on deployment {name}: {done}", changed)

    return change


pause = _command(
    "pause", "Let the rollout of the deployment NAME take no further step; a broken guardrail still rolls it back.", "paused"
)
resume = _command("resume", "Let the paused rollout of the deployment NAME go on.", "goes on")
rollback = _command("rollback", "End the rollout of the deployment NAME: the version before serves all again.", "rolled back")


@rollout.command(epilog="\b\nExamples:\n  tilth rollout promote flight-delay\n  tilth rollout promote flight-delay --to-end\n")
@click.argument("name")
@click.option("--to-end", is_flag=True, help="Leave out the steps that are left: the new version serves all from now on.")
@click.option("--note", default="", help="Why; shown among the verdicts.")
@shared()
def promote(caller: Caller, name: str, to_end: bool, note: str) -> None:
    """Let the rollout of the deployment NAME take its next step now."""
    with Api(caller.target()) as api:
        path = api.in_project("deployments", name, "rollouts", LATEST, "promote")
        moved = api.call("POST", path, {"to_end": to_end, "note": note})
    where = "serves all" if moved["state"] == "finished" else f"is at {moved['steps'][moved['step']]['percent']:g} %"
    caller.done(f"version {moved['candidate']} of deployment {name} {where}", moved)


def _watch(caller: Caller, api: Api, name: str, which: str, every_s: float, timeout_s: float | None) -> None:
    path = api.in_project("deployments", name, "rollouts", which)
    deadline = None if timeout_s is None else monotonic() + timeout_s
    going = api.get(path)["rollout"]
    if sys.stdout.isatty() and not caller.as_json:
        with Live(live_view(going), console=Console(), refresh_per_second=4) as live:
            while going["ended"] is None and (deadline is None or monotonic() < deadline):
                time.sleep(every_s)
                going = api.get(path)["rollout"]
                live.update(live_view(going))
    else:
        going = _watch_lines(caller, api, path, every_s, deadline)
    if going["ended"] is not None or caller.as_json:
        caller.done(f"{name}: {going['state'].replace('_', ' ')}: {cell('reason', going['reason'])}", going)
    raise click.exceptions.Exit(0 if going["state"] == "finished" or going["ended"] is None else 1)


def _watch_lines(caller: Caller, api: Api, path: str, every_s: float, deadline: float | None) -> dict[str, Any]:
    """A line for each verdict, oldest first."""
    told = 0
    while True:
        found = api.get(path)
        going: dict[str, Any] = found["rollout"]
        for row in reversed(verdict_rows([verdict for verdict in found["verdicts"] if verdict["number"] > told])):
            told = row["number"]
            if not caller.as_json:
                click.echo(f"{cell('at', row['at'])}  step {row['step']}  {row['kind']:<9}  {cell('reason', row['reason'])}")
        if going["ended"] is not None or (deadline is not None and monotonic() >= deadline):
            return going
        time.sleep(every_s)
