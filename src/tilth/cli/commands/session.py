"""`tilth session ...`."""

from __future__ import annotations

from urllib.parse import quote

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import API, Api

COLUMNS = ("id", "browser", "address", "created", "last_used", "expires", "current")


@click.group(epilog="\b\nExamples:\n  tilth session list\n  tilth session end ID\n  tilth session end --all\n")
def session() -> None:
    """Your own browsers that are signed in."""


@session.command("list", epilog="\b\nExample:\n  tilth session list\n")
@shared(project=False)
def list_sessions(caller: Caller) -> None:
    """List them, newest first."""
    with Api(caller.target()) as api:
        caller.show_rows(api.get(f"{API}/sessions"), COLUMNS, "no browser is signed in; `tilth open` opens one")


@session.command("end", epilog="\b\nExamples:\n  tilth session end SESSION_ID\n  tilth session end --all\n")
@click.argument("session_id", required=False)
@click.option("--all", "everywhere", is_flag=True, help="Sign out everywhere.")
@shared(project=False)
def end_session(caller: Caller, session_id: str | None, everywhere: bool) -> None:
    """Sign a browser out, or all of them. Tokens are left alone: `tilth token revoke` ends those."""
    if (session_id is None) is not everywhere:
        raise click.UsageError("give the id of one session, or --all")
    with Api(caller.target()) as api:
        if session_id is None:
            ended = api.call("DELETE", f"{API}/sessions")
            caller.done(f"signed out of {ended['ended']} browsers", ended)
            return
        api.call("DELETE", f"{API}/sessions/{quote(session_id, safe='')}")
    caller.done(f"signed out of session {session_id}", {"ended": session_id})
