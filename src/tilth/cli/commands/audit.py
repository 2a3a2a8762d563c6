"""`tilth audit ...`."""

from __future__ import annotations

import click

from tilth.cli.table import CommandTable, Entry

TABLE = {
    "list": Entry("audit_events", "list_events", "List audit events, newest first."),
    "verify": Entry("audit_chain", "verify", "Check the hash chain and its signed checkpoints."),
}


@click.group(
    cls=CommandTable,
    table=TABLE,
    epilog="\b\nExamples:\n  tilth audit list --words deployment\n  tilth audit list --everywhere -n 20\n  tilth audit verify\n",
)
def audit() -> None:
    """Audit trail: who changed what, and who was refused."""
