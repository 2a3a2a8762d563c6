"""`tilth version`."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from tilth.cli.caller import show_json


@click.command(epilog="\b\nExample:\n  tilth version --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(as_json: bool) -> None:
    """Show the version of Tilth and of the Python it runs on."""
    found = {"tilth": metadata.version("tilth"), "python": platform.python_version()}
    if as_json:
        show_json(found)
    else:
        click.echo(f"tilth {found['tilth']} (Python {found['python']})")
