"""`tilth project ...`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import API, Api
from tilth.cli.commands.project_member import member

COLUMNS = ("name", "role", "description", "created", "archived")


@click.group(epilog="\b\nExamples:\n  tilth project list\n  tilth project create pricing\n  tilth project show pricing\n")
def project() -> None:
    """Projects: the units of ownership. Every run, model and deployment belongs to one."""


project.add_command(member)


@project.command("list", epilog="\b\nExample:\n  tilth project list --json\n")
@shared(project=False)
def list_projects(caller: Caller) -> None:
    """List the projects you belong to."""
    with Api(caller.target()) as api:
        caller.show_rows(api.get(f"{API}/projects"), COLUMNS, "no project; make one with `tilth project create NAME`")


@project.command("create", epilog="\b\nExample:\n  tilth project create pricing --description 'Prices of tickets'\n")
@click.argument("name")
@click.option("--description", default="", help="What the project is for.")
@shared(project=False)
def create_project(caller: Caller, name: str, description: str) -> None:
    """Make a project; you become its owner."""
    with Api(caller.target()) as api:
        made = api.call("POST", f"{API}/projects", {"name": name, "description": description})
    caller.done(f"created project {made['name']}", made)


@project.command("show", epilog="\b\nExample:\n  tilth project show pricing\n")
@click.argument("name", required=False)
@shared()
def show_project(caller: Caller, name: str | None) -> None:
    """Show a project and its members."""
    with Api(caller.target()) as api:
        name = name or api.target.project
        found: dict[str, Any] = api.get(f"{API}/projects/{quote(name, safe='')}")
        members = api.get(f"{API}/p/{quote(name, safe='')}/members")
    if caller.as_json:
        caller.show_record({**found, "members": members})
        return
    caller.show_record(found)
    click.echo()
    caller.show_rows(members, ("name", "kind", "role"), "no members")


@project.command("archive", epilog="\b\nExample:\n  tilth project archive pricing\n")
@click.argument("name")
@shared(project=False)
def archive_project(caller: Caller, name: str) -> None:
    """Hide a project; nothing of it is deleted. `tilth project restore` takes it back."""
    with Api(caller.target()) as api:
        api.call("DELETE", f"{API}/projects/{quote(name, safe='')}")
    caller.done(f"archived project {name}", {"archived": name})


@project.command("restore", epilog="\b\nExample:\n  tilth project restore pricing\n")
@click.argument("name")
@shared(project=False)
def restore_project(caller: Caller, name: str) -> None:
    """Take an archived project back."""
    with Api(caller.target()) as api:
        found = api.call("PATCH", f"{API}/projects/{quote(name, safe='')}", {"archived": False})
    caller.done(f"restored project {name}", found)
