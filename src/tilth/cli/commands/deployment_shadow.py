"""`tilth deployment shadow`, `shadow-report` and `replay`."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.sdk.moments import moment_of

NEVER = 1 << 53
SHADOW_COLUMNS = ("version", "running", "requests", "rows", "errors", "skipped", "engine", "started", "by", "error")
BIN_COLUMNS = ("scores", "candidate", "answered")
WORST_COLUMNS = ("prediction", "candidate", "answered")


@click.command(
    "shadow",
    epilog="""\b
Examples:
  tilth deployment shadow flight-delay 4
  tilth deployment shadow flight-delay
  tilth deployment shadow flight-delay 4 --stop
""",
)
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@click.option("--stop", is_flag=True, help="Take the version out of the shadow.")
@shared()
def shadow(caller: Caller, name: str, version: int | None, stop: bool) -> None:
    """Let VERSION answer what the deployment NAME is asked, without anybody getting its answers. Without VERSION: show who does."""
    if stop and version is None:
        raise click.UsageError("name the version to stop: tilth deployment shadow NAME VERSION --stop")
    with Api(caller.target()) as api:
        path = api.in_project("deployments", name, "shadows")
        if version is None:
            caller.show_rows(
                api.get(path)["shadows"], SHADOW_COLUMNS, f"no shadows; `tilth deployment shadow {name} VERSION` starts one"
            )
        elif stop:
            api.call("DELETE", f"{path}/{version}")
            caller.done(f"version {version} left the shadow of deployment {name}", {"stopped": version})
        else:
            found = api.call("PUT", f"{path}/{version}")
            said = (
                f"version {version} answers in the shadow of deployment {name}: `tilth deployment shadow-report {name} {version}`"
            )
            caller.done(said, found)


@click.command(
    "shadow-report",
    epilog="\b\nExamples:\n  tilth deployment shadow-report flight-delay 4\n  tilth deployment shadow-report flight-delay 4 --since 1h\n",
)
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--since", default="7d", show_default=True, help="A day or moment in ISO 8601 (UTC), or a span before now.")
@click.option("--until", default="", help="Likewise; up to now if left out.")
@shared()
def shadow_report(caller: Caller, name: str, version: int, since: str, until: str) -> None:
    """Compare what VERSION said in the shadow of NAME with what was answered: agreement, scores, latency, the greatest differences."""
    with Api(caller.target()) as api:
        path = api.in_project("deployments", name, "shadows")
        query = {"since": moment_of(since), "until": moment_of(until) if until else None}
        found = api.call("GET", f"{path}/{version}/report", params=query, timeout_s=120)
        trouble = [each["error"] for each in api.get(path)["shadows"] if each["version"] == version and each["error"]]
    if caller.as_json:
        caller.show_record(found)
        return
    against = ", ".join(map(str, found["against"])) or "nothing"
    _show(caller, found["agreement"], f"version {version} in the shadow of {name}, against {against}")
    for error in trouble:
        click.secho(f"version {version}: {error}", fg="yellow", err=True)


@click.command(
    "replay",
    epilog="""\b
Examples:
  tilth deployment replay flight-delay 4 --since 7d
  tilth deployment replay flight-delay 4 --since 2026-03-01 --until 2026-03-08 --json
""",
)
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--since", default="7d", show_default=True, help="A day or moment in ISO 8601 (UTC), or a span before now.")
@click.option("--until", default="", help="Likewise; up to now if left out.")
@shared()
def replay(caller: Caller, name: str, version: int, since: str, until: str) -> None:
    """Let VERSION answer on this machine what NAME was asked (a backtest), and compare. The model's code runs here."""
    # The libraries of models and frames: only this command needs them.
    from tilth.cli.replaying import replay as again
    from tilth.sdk.connection import init

    init(caller.project, url=caller.url, token=caller.token, home=caller.home, mode="online")
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", name))["deployment"]

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty() and not caller.as_json:
            click.echo(f"\r{done:,} of {total:,} rows ", nl=done == total, err=True)

    first, last = moment_of(since), moment_of(until) if until else NEVER
    redacted = found["settings"]["redact"]
    model = f"{found['model']}/{version}"
    result = msgspec.to_builtins(again(name, model, since=first, until=last, redacted=redacted, progress=progress))
    if caller.as_json:
        caller.show_record(result)
        return
    _show(caller, result, f"{model} replayed over what {name} was asked")


def _show(caller: Caller, result: dict[str, Any], title: str) -> None:
    click.echo(click.style(title, bold=True))
    if not result["rows"]:
        click.echo(f"nothing to compare yet: {result['answered']:,} rows were answered, none of them by this version", err=True)
        return
    caller.show_record(
        {
            "rows": f"{result['rows']:,} of {result['answered']:,} ({result['coverage']:.1%})",
            "same answer": f"{result['same']:.2%}",
            "same class": _or_none(result["same_class"], "{:.2%}"),
            "mean difference": _or_none(result["mean_difference"], "{:.4g}"),
            "greatest difference": _or_none(result["max_difference"], "{:.4g}"),
            "stability (PSI)": _or_none(result["stability"], "{:.3f}") + _reading(result["stability"]),
            "latency p50": _latencies(result, "p50_ms"),
            "latency p99": _latencies(result, "p99_ms"),
        }
    )
    if result["bins"]:
        click.echo()
        caller.show_rows(map(_bin, result["bins"]), BIN_COLUMNS, "")
    if result["disagreements"]:
        click.echo()
        rows = [
            {"prediction": each["row_id"], "candidate": each["candidate"], "answered": each["champion"]}
            for each in result["disagreements"][:10]
        ]
        caller.show_rows(rows, WORST_COLUMNS, "")


def _latencies(result: dict[str, Any], name: str) -> str:
    ours, theirs = result["candidate"][name], result["champion"][name]
    return f"{_or_none(ours, '{:.3g} ms')} against {_or_none(theirs, '{:.3g} ms')}" if ours is not None else ""


def _reading(stability: float | None) -> str:
    if stability is None:
        return ""
    return ": act" if stability >= 0.25 else ": look" if stability >= 0.1 else ": as before"


def _or_none(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _bin(found: dict[str, Any]) -> dict[str, Any]:
    low = "" if found["low"] is None else f"{found['low']:.4g}"
    high = "" if found["high"] is None else f"{found['high']:.4g}"
    scores = "no number" if found["missing"] else f"{low or '-inf'} to {high or 'inf'}"
    return {"scores": scores, "candidate": f"{found['candidate']:.1%}", "answered": f"{found['champion']:.1%}"}
