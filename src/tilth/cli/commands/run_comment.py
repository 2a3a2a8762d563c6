"""`tilth run comment` and `tilth run comments`."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, cell, shared
from tilth.cli.client import Api


@click.command(epilog="\b\nExample:\n  tilth run comment RUN_ID 'Better on winter days, @ada'\n")
@click.argument("run_id")
@click.argument("text")
@shared()
def comment(caller: Caller, run_id: str, text: str) -> None:
    """Say something about a run, in Markdown. @name tells a member of the project."""
    with Api(caller.target()) as api:
        made = api.call("POST", api.in_project("runs", run_id, "comments"), {"text": text})
    caller.done(f"commented on run {made['thing_label']}", made)


@click.command(epilog="\b\nExample:\n  tilth run comments RUN_ID\n")
@click.argument("run_id")
@shared()
def comments(caller: Caller, run_id: str) -> None:
    """Show what was said about a run: the newest 200 comments, the oldest of them first."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("runs", run_id, "comments"))["comments"]
    if caller.as_json or not found:
        caller.show_rows(found, (), "no comments; write one with `tilth run comment RUN_ID TEXT`")
        return
    for said in found:
        edited = f", edited {cell('edited_at', said['edited'])}" if said["edited"] else ""
        click.echo(f"{click.style(cell('author', said['author']), bold=True)}  {cell('created', said['created'])}{edited}")
        for line in said["text"].splitlines():
            click.echo(f"  {cell('line', line) if line else ''}")
