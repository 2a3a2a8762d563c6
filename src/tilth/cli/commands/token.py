"""`tilth token ...`."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, moment, shared
from tilth.cli.client import API, Api

COLUMNS = ("id", "name", "prefix", "principal", "scopes", "project", "expires", "last_used", "revoked")
SCOPES = click.Choice(["read", "write", "predict", "manage"])


@click.group(
    epilog="\b\nExamples:\n  tilth token list\n  tilth token create laptop --scope read --scope write\n  tilth token revoke ID\n"
)
def token() -> None:
    """Tokens: what programs show instead of a person. Each has scopes and an end."""


@token.command("list", epilog="\b\nExample:\n  tilth token list --all\n")
@click.option("--all", "with_ended", is_flag=True, help="Revoked ones, too.")
@click.option("--for", "principal", help="Those of a service account instead (organisation admins only).")
@shared(project=False)
def list_tokens(caller: Caller, with_ended: bool, principal: str | None) -> None:
    """List your own tokens; secrets are never shown again."""
    with Api(caller.target()) as api:
        rows = [row for row in api.get(f"{API}/tokens", principal=principal) if with_ended or row["revoked"] is None]
    caller.show_rows(rows, COLUMNS, "no tokens; make one with `tilth token create NAME`")


@token.command(
    "create",
    epilog="""\b
Examples:
  tilth token create laptop
  tilth token create shop --scope predict --project pricing --days 365
""",
)
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPES, multiple=True, help="What it may do; repeat it (default: read and write).")
@click.option("--days", type=click.IntRange(1, 365), default=90, show_default=True, help="Days until it ends.")
@click.option("--for", "principal", help="Service account that it is for (organisation admins only).")
@shared()
def create_token(caller: Caller, name: str, scopes: tuple[str, ...], days: int, principal: str | None) -> None:
    """Make a token. With --project it is good in that project only. The secret is shown once, on stdout."""
    wanted = {
        "name": name,
        "scopes": scopes or ("read", "write"),
        "project": caller.project,
        "expires_in_days": days,
        "principal": principal,
    }
    with Api(caller.target()) as api:
        made = api.call("POST", f"{API}/tokens", wanted)
    if not caller.as_json:
        click.echo(
            f"token {made['token']['id']}, good until {moment(made['token']['expires'])}; keep it, it is not shown again:",
            err=True,
        )
    caller.done(made["secret"], made)


@token.command("revoke", epilog="\b\nExample:\n  tilth token revoke TOKEN_ID\n")
@click.argument("token_id")
@shared(project=False)
def revoke_token(caller: Caller, token_id: str) -> None:
    """End a token now."""
    with Api(caller.target()) as api:
        ended = api.call("DELETE", f"{API}/tokens/{token_id}")
    caller.done(f"revoked token {token_id} ({ended['name']})", ended)
