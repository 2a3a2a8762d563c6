"""`tilth audit list`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import API, Api

COLUMNS = ("at", "actor", "action", "thing", "outcome", "via", "address")
PAGE_ROWS = 500


@click.command(epilog="\b\nExamples:\n  tilth audit list --words deployment\n  tilth audit list --words refused --everywhere\n")
@click.option("--words", default="", help="Text that action, thing or actor must contain, or `refused`.")
@click.option("--limit", "-n", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--everywhere", is_flag=True, help="The whole organisation (auditors).")
@shared()
def list_events(caller: Caller, words: str, limit: int, everywhere: bool) -> None:
    """List audit events, newest first."""
    with Api(caller.target()) as api:
        path = f"{API}/audit" if everywhere else api.in_project("audit")
        caller.show_rows(_events(api, path, words, limit), COLUMNS, "no audit events")


def _events(api: Api, path: str, words: str, limit: int) -> Iterator[dict[str, Any]]:
    before: str | None = None
    while limit > 0:
        page = api.get(path, words=words, limit=min(limit, PAGE_ROWS), before=before)
        yield from page["events"]
        limit -= len(page["events"])
        before = page["next"]
        if not before:
            return
