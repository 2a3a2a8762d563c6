"""`tilth project member ...`."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.core.names import check_slug

COLUMNS = ("name", "kind", "role")
ROLES = click.Choice(["viewer", "developer", "maintainer", "owner"])


@click.group(
    epilog="""\b
Examples:
  tilth project member list --project pricing
  tilth project member set ada maintainer --project pricing
  tilth project member may ada run.write --project pricing
  tilth project member remove ada --project pricing
"""
)
def member() -> None:
    """Who belongs to a project, and with which role."""


@member.command("list", epilog="\b\nExample:\n  tilth project member list --project pricing\n")
@shared()
def list_members(caller: Caller) -> None:
    """List the members of a project."""
    with Api(caller.target()) as api:
        caller.show_rows(api.get(api.in_project("members")), COLUMNS, "no members")


@member.command("set", epilog="\b\nExample:\n  tilth project member set ada maintainer --project pricing\n")
@click.argument("name")
@click.argument("role", type=ROLES)
@shared()
def set_member(caller: Caller, name: str, role: str) -> None:
    """Give somebody a role in a project, or another one instead (owners only, and nobody gives more than the own role)."""
    with Api(caller.target()) as api:
        members = api.call("PUT", api.in_project("members", check_slug(name, "user")), {"role": role})
        project = api.target.project
    caller.done(f"{name} is {role} of project {project}", next(row for row in members if row["name"] == name))


@member.command("remove", epilog="\b\nExample:\n  tilth project member remove ada --project pricing\n")
@click.argument("name")
@shared()
def remove_member(caller: Caller, name: str) -> None:
    """Take somebody out of a project (owners only). The account stays; `tilth user update NAME --deactivate` ends it."""
    with Api(caller.target()) as api:
        api.call("DELETE", api.in_project("members", check_slug(name, "user")))
        project = api.target.project
    caller.done(f"{name} no longer belongs to project {project}", {"removed": name, "project": project})


@member.command("may", epilog="\b\nExample:\n  tilth project member may ada deployment.change --project pricing\n")
@click.argument("name")
@click.argument("permission")
@shared()
def may(caller: Caller, name: str, permission: str) -> None:
    """Say whether somebody may do something in a project, and why. Exit code 1 if not."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("access"), principal=name, permission=permission)
    caller.done(f"{'yes' if found['allowed'] else 'no'}: {found['why']}", found)
    if not found["allowed"]:
        raise click.exceptions.Exit(1)
