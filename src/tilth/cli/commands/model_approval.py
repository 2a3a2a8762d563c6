"""`tilth model request-approval`, `approve`, `reject`, `policy`."""

from __future__ import annotations

from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands.model_group import model
from tilth.cli.references import parse_version


def _decide(caller: Caller, reference: str, comment: str, *segments: str) -> None:
    with Api(caller.target()) as api:
        name, version = parse_version(api, reference)
        path = api.in_project("models", name, "versions", str(version), "approval", *segments)
        found = api.call("POST", path, {"comment": comment})
    caller.done(f"{name}/{version} is {found['state']}", found)


@model.command(
    "request-approval", epilog="\b\nExample:\n  tilth model request-approval flight-delay/3 --comment 'better at JFK'\n"
)
@click.argument("reference")
@click.option("--comment", default="", help="Why it should be approved.")
@shared()
def request_approval(caller: Caller, reference: str, comment: str) -> None:
    """Ask for the approval of the version REFERENCE (`flight-delay/3`)."""
    _decide(caller, reference, comment)


@model.command("approve", epilog="\b\nExample:\n  tilth model approve flight-delay/3 --comment 'checked the slices'\n")
@click.argument("reference")
@click.option("--comment", default="", help="What was checked.")
@shared()
def approve(caller: Caller, reference: str, comment: str) -> None:
    """Approve the version REFERENCE. Takes a maintainer who did not make it."""
    _decide(caller, reference, comment, "approve")


@model.command("reject", epilog="\b\nExample:\n  tilth model reject flight-delay/3 --comment 'too slow'\n")
@click.argument("reference")
@click.option("--comment", default="", help="What is wrong with it.")
@shared()
def reject(caller: Caller, reference: str, comment: str) -> None:
    """Reject the version REFERENCE, or take its approval back."""
    _decide(caller, reference, comment, "reject")


@model.command(
    "policy",
    epilog="\b\nExamples:\n  tilth model policy flight-delay\n  tilth model policy flight-delay --approval-for champion --free candidate\n"
    "  tilth model policy --approval-for production\n",
)
@click.argument("name", required=False)
@click.option("--approval-for", multiple=True, help="An alias that only approved versions get; repeat it. '' for none.")
@click.option("--free", "free", multiple=True, help="An alias that gates leave alone; repeat it. '' for none.")
@click.option("--separate-duties/--no-separate-duties", default=None, help="Whether authors are kept from deciding.")
@shared()
def policy(
    caller: Caller, name: str | None, approval_for: tuple[str, ...], free: tuple[str, ...], separate_duties: bool | None
) -> None:
    """Show, or change, what the model NAME (without one: every model of the project) asks before an alias may move."""
    with Api(caller.target()) as api:
        path = api.in_project("models", name, "policy") if name else api.in_project("model-policy")
        found = api.get(path)
        changes: dict[str, Any] = {}
        if approval_for:
            changes["approval_for"] = [alias for alias in approval_for if alias]
        if free:
            changes["free_aliases"] = [alias for alias in free if alias]
        if separate_duties is not None:
            changes["separate_duties"] = separate_duties
        if changes:
            found = api.call("PUT", path, {**found["policy"], **changes})
    caller.show_record({"of": found["of"], **found["policy"]})


__all__ = ["approve", "policy", "reject", "request_approval"]
