"""A group of commands that imports the one that is called, so that the others cost nothing."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
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

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, which looks for near names among the commands that are imported already: here there are none."""
        near = get_close_matches(args[0], self.table, 1)
        if near and self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.table.items()])
