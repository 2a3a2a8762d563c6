"""What gates said, for people."""

from __future__ import annotations

from typing import Any

import click

from tilth.cli.caller import cell

_COLOURS = {"passed": "green", "failed": "red", "unknown": "yellow"}


def show_verdicts(verdicts: list[dict[str, Any]]) -> None:
    """One line per gate."""
    if not verdicts:
        click.echo("no gate has a say")
    for each in verdicts:
        outcome = click.style(f"{each['outcome']:<7}", fg=_COLOURS.get(each["outcome"]), bold=True)
        click.echo(f"{outcome}  {cell('', each['expression'])}  ({cell('', each['reason'])})")
