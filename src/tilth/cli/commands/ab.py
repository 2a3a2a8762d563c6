"""`tilth ab ...`."""

from __future__ import annotations

from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api

LIST_COLUMNS = ("number", "state", "metric", "arms", "hypothesis", "winner", "by", "created")
ARM_COLUMNS = ("version", "share", "units", "rows", "labelled", "mean", "interval_95")
COMPARISON_COLUMNS = ("version", "difference", "interval", "p")
METRICS = ("label", "accuracy", "brier", "absolute_error", "squared_error")


@click.group(
    epilog="\b\nExamples:\n  tilth ab create shop --arm 3=50 --arm 4=50 --effect 0.02 --baseline 0.3 --start\n  tilth ab show shop 1\n"
    "  tilth ab conclude shop 1 --winner 4\n"
)
def ab() -> None:
    """A/B tests: versions of a deployment share its callers, and labels say which one does better."""


@ab.command("list", epilog="\b\nExample:\n  tilth ab list shop\n")
@click.argument("deployment")
@shared()
def list_tests(caller: Caller, deployment: str) -> None:
    """List the A/B tests of DEPLOYMENT, newest first."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", deployment, "ab"))["tests"]
    rows = found if caller.as_json else [{**row, "arms": _arms(row)} for row in found]
    caller.show_rows(rows, LIST_COLUMNS, f"no A/B tests; design one with `tilth ab create {deployment}`")


@ab.command(
    "create",
    epilog="\b\nExamples:\n  tilth ab create shop --arm 3=50 --arm 4=50 --effect 0.02 --baseline 0.3 --start\n"
    "  tilth ab create prices --arm 1=80 --arm 2=20 --metric absolute_error --effect 0.5 --deviation 12\n",
)
@click.argument("deployment")
@click.option(
    "--arm", "arms", multiple=True, required=True, help="VERSION=PERCENT, at least twice; the first one is the control."
)
@click.option("--effect", type=float, required=True, help="The smallest difference of the metric that matters, in its own units.")
@click.option("--metric", type=click.Choice(METRICS), default="label", show_default=True, help="What a labelled row counts as.")
@click.option("--goal", type=click.Choice(("higher", "lower")), help="Which label is better (default: higher).")
@click.option("--hypothesis", default="", help="What is expected, and why.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="How often a difference may be found where none is.")
@click.option("--power", type=float, default=0.8, show_default=True, help="How often the effect shall be found where it is.")
@click.option("--baseline", type=float, help="Share that the control is expected to have, of a metric of 0 and 1.")
@click.option("--deviation", type=float, help="Standard deviation of the metric over callers.")
@click.option("--start", is_flag=True, help="Start it at once.")
@shared()
def create_test(caller: Caller, deployment: str, arms: tuple[str, ...], start: bool, **design: Any) -> None:
    """Design an A/B test of DEPLOYMENT, and say how many labelled callers it takes."""
    body = {"arms": [_arm(text) for text in arms], "start": start, **design}
    with Api(caller.target()) as api:
        made = api.call("POST", api.in_project("deployments", deployment, "ab"), body)
    plan = (
        f"about {made['planned']:,} labelled callers of the control" if made["planned"] else "a plan follows from its first 100"
    )
    what_next = "is running" if start else f"is a draft: `tilth ab start {deployment} {made['number']}`"
    caller.done(f"A/B test {made['number']} of {deployment} {what_next}; {plan}", made)


@ab.command("start", epilog="\b\nExample:\n  tilth ab start shop 1\n")
@click.argument("deployment")
@click.argument("number", type=click.IntRange(1, 1 << 31))
@shared()
def start_test(caller: Caller, deployment: str, number: int) -> None:
    """Start A/B test NUMBER: its arms share out the requests, the same caller always meeting the same arm."""
    with Api(caller.target()) as api:
        made = api.call("POST", api.in_project("deployments", deployment, "ab", str(number), "start"))
    caller.done(f"A/B test {number} of {deployment} is running: {_arms(made)}", made)


@ab.command("show", epilog="\b\nExample:\n  tilth ab show shop 1\n")
@click.argument("deployment")
@click.argument("number", type=click.IntRange(1, 1 << 31))
@shared()
def show_test(caller: Caller, deployment: str, number: int) -> None:
    """Show A/B test NUMBER: its arms, how they differ, and what to do next. Looking often does no harm."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", deployment, "ab", str(number)))
    if caller.as_json:
        caller.show_record(found)
        return
    fields = ("number", "state", "hypothesis", "metric", "goal", "effect", "planned", "by", "started", "ended", "winner", "note")
    caller.show_record({name: found[name] for name in fields} | {"arms": _arms(found)})
    evidence = found["evidence"]
    if evidence is None:
        return
    click.echo()
    caller.show_rows([{**arm, "interval_95": _interval(arm)} for arm in evidence["arms"]], ARM_COLUMNS, "no arms")
    click.echo()
    control = found["arms"][0]["version"]
    click.echo(f"against version {control}, at every look:")
    caller.show_rows([{**each, "interval": _interval(each)} for each in evidence["comparisons"]], COMPARISON_COLUMNS, "no arms")
    click.echo(f"\n{evidence['verdict']['outcome']}: {evidence['verdict']['words']}")
    click.echo(f"next: {evidence['verdict']['next_step']}")


@ab.command("stop", epilog="\b\nExample:\n  tilth ab stop shop 1 --note 'wrong metric'\n")
@click.argument("deployment")
@click.argument("number", type=click.IntRange(1, 1 << 31))
@click.option("--note", default="", help="Why.")
@shared()
def stop_test(caller: Caller, deployment: str, number: int, note: str) -> None:
    """Stop A/B test NUMBER without a winner: what was served before is served again."""
    with Api(caller.target()) as api:
        made = api.call("POST", api.in_project("deployments", deployment, "ab", str(number), "stop"), {"note": note})
    caller.done(f"A/B test {number} of {deployment} is stopped; what was served before it is served again", made)


@ab.command(
    "conclude", epilog="\b\nExamples:\n  tilth ab conclude shop 1 --winner 4\n  tilth ab conclude shop 1 --note 'no gain'\n"
)
@click.argument("deployment")
@click.argument("number", type=click.IntRange(1, 1 << 31))
@click.option("--winner", type=click.IntRange(1, 1 << 31), help="Version that gets every request (default: the control).")
@click.option("--note", default="", help="Why.")
@shared()
def conclude_test(caller: Caller, deployment: str, number: int, winner: int | None, note: str) -> None:
    """Decide A/B test NUMBER: the winner gets every request, and the evidence of this moment is kept with the decision."""
    with Api(caller.target()) as api:
        body = {"winner": winner, "note": note}
        made = api.call("POST", api.in_project("deployments", deployment, "ab", str(number), "conclude"), body)
    caller.done(
        f"A/B test {number} of {deployment} is concluded with version {made['winner']}: {made['evidence']['verdict']['words']}",
        made,
    )


def _arm(text: str) -> dict[str, float]:
    version, _, percent = text.partition("=")
    try:
        return {"version": int(version), "percent": float(percent)}
    except ValueError:
        raise click.BadParameter(f"{text!r} is not VERSION=PERCENT, such as 3=50", param_hint="--arm") from None


def _arms(test: dict[str, Any]) -> str:
    return ", ".join(f"v{arm['version']} {arm['percent']:g} %" for arm in test["arms"])


def _interval(row: dict[str, Any]) -> str:
    return "" if row["low"] is None else f"{row['low']:.4g} to {row['high']:.4g}"
