"""`tilth gate ...`."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.references import parse_version
from tilth.cli.verdicts import show_verdicts

COLUMNS = ("number", "expression", "evaluation", "aliases", "by", "created")


@click.group(
    epilog="\b\nExamples:\n  tilth gate add flight-delay 'auc >= 0.65' --alias champion\n  tilth gate check flight-delay/3\n"
)
def gate() -> None:
    """Gates: what a version must have shown before an alias may name it."""


@gate.command("list", epilog="\b\nExample:\n  tilth gate list flight-delay\n")
@click.argument("model")
@shared()
def list_gates(caller: Caller, model: str) -> None:
    """List the gates of MODEL."""
    with Api(caller.target()) as api:
        rows = api.get(api.in_project("models", model, "gates"))["gates"]
    caller.show_rows(rows, COLUMNS, f"no gates; add one, such as: tilth gate add {model} 'auc >= 0.7'")


@gate.command(
    "add",
    epilog="\b\nExamples:\n  tilth gate add flight-delay 'auc >= 0.65' --alias champion\n"
    "  tilth gate add flight-delay 'latency_p99_ms < 20'\n"
    "  tilth gate add flight-delay 'auc[origin=JFK] >= 0.6' --evaluation validation\n"
    "  tilth gate add flight-delay 'auc beats @champion by 0.005'\n",
)
@click.argument("model")
@click.argument("expression")
@click.option("--evaluation", default="", help="The evaluation that counts (default: the newest of any name).")
@click.option("--alias", "aliases", multiple=True, help="An alias it guards; repeat it (default: all but the free ones).")
@shared()
def add_gate(caller: Caller, model: str, expression: str, evaluation: str, aliases: tuple[str, ...]) -> None:
    """Let versions of MODEL get an alias only if EXPRESSION holds."""
    with Api(caller.target()) as api:
        body = {"expression": expression, "evaluation": evaluation, "aliases": list(aliases)}
        made = api.call("POST", api.in_project("models", model, "gates"), body)
    caller.done(f"gate {made['number']} of {model}: {made['expression']}", made)


@gate.command("remove", epilog="\b\nExample:\n  tilth gate remove flight-delay 2\n")
@click.argument("model")
@click.argument("number", type=click.IntRange(1, 1 << 31))
@shared()
def remove_gate(caller: Caller, model: str, number: int) -> None:
    """Remove gate NUMBER of MODEL. Takes an owner."""
    with Api(caller.target()) as api:
        api.call("DELETE", api.in_project("models", model, "gates", str(number)))
    caller.done(f"removed gate {number} of {model}", {"model": model, "number": number})


@gate.command(
    "check", epilog="\b\nExamples:\n  tilth gate check flight-delay/3\n  tilth gate check flight-delay/3 --alias champion\n"
)
@click.argument("reference")
@click.option("--alias", help="Ask only the gates that guard this alias.")
@shared()
def check_gates(caller: Caller, reference: str, alias: str | None) -> int:
    """Ask the gates about the version REFERENCE (`flight-delay/3`). Exit code 1 if one does not let it pass."""
    with Api(caller.target()) as api:
        model, version = parse_version(api, reference)
        found = api.call("POST", api.in_project("models", model, "versions", str(version), "gates", "check"), {"alias": alias})
    if caller.as_json:
        caller.show_record(found)
    else:
        show_verdicts(found["verdicts"])
    return 0 if found["passed"] else 1
