"""A group of commands that imports the one that is called, so that the others cost nothing."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """Where a command is defined below tilth.cli.commands, and the line that `--help` shows of it without importing it."""

    module: str
    attribute: str
    summary: str


class CommandTable(click.Group):
    """Lists commands from the table. A plural is understood: `tilth runs list`."""

    def __init__(self, *arguments: Any, table: dict[str, Entry], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.table.get(cmd_name) or self.table.get(cmd_name.removesuffix("s"))
        if entry is None:
            return None
        module = importlib.import_module(f"tilth.cli.commands.{entry.module}")
        command: click.Command = getattr(module, entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.table.items()])
