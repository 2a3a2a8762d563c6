"""`tilth audit verify`: reads the database itself, since a server that lies would lie about this, too."""

from __future__ import annotations

import os

import click

from tilth.app.settings import load_settings
from tilth.backends.sql import open_database
from tilth.cli.caller import Caller, shared
from tilth.core import clock
from tilth.core.errors import Damaged, NotFound
from tilth.core.home import DATABASE_FILE
from tilth.domains.audit.jobs import Checkpoints, verify_chain
from tilth.domains.audit.types import Broken

CHECKPOINTS_FOLDER = "audit"


class ChainBroken(Damaged):
    """The audit trail is not what was written."""


class NoDatabase(NotFound):
    """The home has no database yet."""


@click.command(epilog="\b\nExample:\n  tilth audit verify --home ./.tilth\n")
@shared(project=False, server=False)
def verify(caller: Caller) -> None:
    """Check the hash chain and its signed checkpoints, straight from the database; a running server is not disturbed.

    Exit code 1, and the first bad row is named, if the chain does not hold.
    """
    home = caller.home_folder()
    settings = load_settings(home, os.environ)
    if not settings.database_url and not (home / DATABASE_FILE).exists():
        raise NoDatabase(f"home {home} has no database; start it once with `tilth up`, or name another with --home")
    database = open_database(settings.database)
    try:
        verdict = verify_chain(database, Checkpoints(home / CHECKPOINTS_FOLDER, clock.now))
    finally:
        database.close()
    if isinstance(verdict, Broken):
        where = f" (event {verdict.event_id})" if verdict.event_id else ""
        raise ChainBroken(
            f"the audit trail does not hold at row {verdict.position}{where}: {verdict.reason}; "
            "keep the database as it is, and compare it with the last backup"
        )
    caller.done(
        f"the audit trail holds: {verdict.events} events, {verdict.checkpoints} signed checkpoints, head {verdict.head[:16]}",
        {"events": verdict.events, "checkpoints": verdict.checkpoints, "head": verdict.head},
    )
