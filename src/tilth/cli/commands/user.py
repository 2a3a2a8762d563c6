"""`tilth user ...`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from tilth.cli.caller import Caller, moment, shared
from tilth.cli.client import API, Api
from tilth.core.names import check_slug

COLUMNS = ("name", "kind", "org_role", "active", "has_password", "created", "last_seen")
ORG_ROLES = click.Choice(["member", "auditor", "admin"])


@click.group(
    epilog="""\b
Examples:
  tilth user list
  tilth user create ada
  tilth user create nightly --service
  tilth user reset ada
  tilth user update ada --org-role auditor
  tilth user update ada --deactivate
"""
)
def user() -> None:
    """People and service accounts. What they may do in a project says `tilth project member`."""


@user.command("list", epilog="\b\nExample:\n  tilth user list --json\n")
@shared(project=False)
def list_users(caller: Caller) -> None:
    """List people and service accounts, deactivated ones, too (organisation auditors and admins only)."""
    with Api(caller.target()) as api:
        caller.show_rows(api.get(f"{API}/users"), COLUMNS, "nobody; add somebody with `tilth user create NAME`")


@user.command(
    "create", epilog="\b\nExamples:\n  tilth user create ada --org-role auditor\n  tilth user create nightly --service\n"
)
@click.argument("name")
@click.option("--service", is_flag=True, help="A service account for a program: it has tokens and signs in nowhere.")
@click.option("--org-role", type=ORG_ROLES, default="member", show_default=True, help="Role in the organisation.")
@shared(project=False)
def create_user(caller: Caller, name: str, service: bool, org_role: str) -> None:
    """Add a person or a service account, without a role in any project (organisation admins only).

    For a person a link is printed with which to choose a password. It works once, for a day.
    """
    kind = "service" if service else "user"
    with Api(caller.target()) as api:
        made = api.call("POST", f"{API}/users", {"name": name, "kind": kind, "org_role": org_role})
        link = None if service else _link(api, name)
    if link is None:
        caller.done(f"created {_kind(kind)} {name}", made)
    else:
        _hand_over(caller, f"created {_kind(kind)} {name}", name, link, made)
    then = f"`tilth project member set {name} ROLE --project PROJECT` lets {name} into a project"
    if service:
        then += f", `tilth token create TOKEN_NAME --for {name}` makes credentials"
    if not caller.as_json:
        click.echo(f"next: {then}", err=True)


@user.command("reset", epilog="\b\nExample:\n  tilth user reset ada\n")
@click.argument("name")
@shared(project=False)
def reset_user(caller: Caller, name: str) -> None:
    """Print a link with which a person chooses a new password (organisation admins only).

    The password so far stays good until the link is used, which also signs the person's browsers out.
    """
    with Api(caller.target()) as api:
        link = _link(api, name)
    _hand_over(caller, f"made a link for {name}", name, link, {})


@user.command("password", epilog="\b\nExample:\n  tilth user password\n")
@shared(project=False)
def change_password(caller: Caller) -> None:
    """Change your own password; asks for it. Signs your other browsers out, and leaves tokens alone."""
    with Api(caller.target()) as api:
        current = click.prompt(
            "Password so far (empty if you have none)", default="", hide_input=True, show_default=False, err=True
        )
        new = click.prompt("New password", hide_input=True, confirmation_prompt="The same again", err=True)
        api.call("PUT", f"{API}/password", {"current": current, "new": new})
    caller.done("changed your password", {"changed": True})


@user.command("update", epilog="\b\nExamples:\n  tilth user update ada --org-role admin\n  tilth user update ada --deactivate\n")
@click.argument("name")
@click.option("--org-role", type=ORG_ROLES, help="New role in the organisation.")
@click.option(
    "--activate/--deactivate",
    "active",
    default=None,
    help="Let the account in again, or end all its credentials within five seconds; nothing of it is deleted.",
)
@shared(project=False)
def update_user(caller: Caller, name: str, org_role: str | None, active: bool | None) -> None:
    """Change the role in the organisation, or deactivate an account (organisation admins only)."""
    if org_role is None and active is None:
        raise click.UsageError("nothing to change: give --org-role, --activate or --deactivate")
    with Api(caller.target()) as api:
        found = api.call("PATCH", _path(name), {"org_role": org_role, "active": active})
    state = "active" if found["active"] else "deactivated"
    caller.done(f"{_kind(found['kind'])} {name} is {state}, in the organisation {found['org_role']}", found)


def _path(name: str) -> str:
    return f"{API}/users/{quote(check_slug(name, 'user'), safe='')}"


def _link(api: Api, name: str) -> dict[str, Any]:
    link: dict[str, Any] = api.call("POST", f"{_path(name)}/setup-links")
    return link


def _hand_over(caller: Caller, sentence: str, name: str, link: dict[str, Any], record: dict[str, Any]) -> None:
    """The link alone goes to stdout."""
    if not caller.as_json:
        click.echo(f"{sentence}; hand this link over, good once and until {moment(link['expires'])}:", err=True)
    caller.done(link["url"], {**record, "name": name, "setup_link": link["url"], "setup_link_expires": link["expires"]})


def _kind(kind: str) -> str:
    return "service account" if kind == "service" else kind
