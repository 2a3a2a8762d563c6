"""`tilth user ...`."""

from __future__ import annotations

from urllib.parse import quote

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import API, Api
from tilth.core.names import check_slug

COLUMNS = ("name", "kind", "org_role", "active", "created")
KINDS = click.Choice(["user", "service"])
ORG_ROLES = click.Choice(["member", "auditor", "admin"])


@click.group(
    epilog="""\b
Examples:
  tilth user list
  tilth user create ada
  tilth user create nightly --kind service
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
    "create", epilog="\b\nExamples:\n  tilth user create ada --org-role auditor\n  tilth user create nightly --kind service\n"
)
@click.argument("name")
@click.option("--kind", type=KINDS, default="user", show_default=True, help="A person, or a program's service account.")
@click.option("--org-role", type=ORG_ROLES, default="member", show_default=True, help="Role in the organisation.")
@shared(project=False)
def create_user(caller: Caller, name: str, kind: str, org_role: str) -> None:
    """Add a person or a service account, without a role in any project and without credentials (organisation admins only)."""
    with Api(caller.target()) as api:
        made = api.call("POST", f"{API}/users", {"name": name, "kind": kind, "org_role": org_role})
    if not caller.as_json:
        click.echo(
            f"next: `tilth project member set {name} ROLE` lets {name} into a project, "
            f"`tilth token create TOKEN_NAME --for {name}` makes credentials",
            err=True,
        )
    caller.done(f"created {_kind(kind)} {name}", made)


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
        found = api.call(
            "PATCH", f"{API}/users/{quote(check_slug(name, 'user'), safe='')}", {"org_role": org_role, "active": active}
        )
    state = "active" if found["active"] else "deactivated"
    caller.done(f"{_kind(found['kind'])} {name} is {state}, in the organisation {found['org_role']}", found)


def _kind(kind: str) -> str:
    return "service account" if kind == "service" else kind
