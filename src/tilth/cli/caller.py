"""What every command shares: the options that say which server and project, and how an answer is shown."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tilth.core.home import Target, find_home, find_target


@dataclass(frozen=True, slots=True)
class Caller:
    """Values of the shared options. as_json: machine-readable output."""

    home: Path | None
    url: str | None
    token: str | None
    project: str | None
    as_json: bool

    def target(self) -> Target:
        """Raises NoServer."""
        return find_target(os.environ, Path.cwd(), home=self.home, url=self.url, token=self.token, project=self.project)

    def home_folder(self) -> Path:
        return find_home(self.home, os.environ, Path.cwd())

    def show_rows(self, rows: Iterable[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
        """A table of `columns`, or all fields as JSON. empty: what is said where there are none."""
        found = list(rows)
        if self.as_json:
            show_json(found)
        elif found:
            show_table(columns, [[row.get(column) for column in columns] for row in found])
        else:
            click.echo(empty, err=True)

    def show_record(self, record: dict[str, Any]) -> None:
        """One thing, a field per line, or as JSON."""
        if self.as_json:
            show_json(record)
            return
        width = max((len(name) for name in record), default=0)
        for name, value in record.items():
            click.echo(f"{click.style(words(name).ljust(width), bold=True)}  {cell(name, value)}")

    def done(self, sentence: str, record: dict[str, Any] | None = None) -> None:
        """Says what was done; with --json the thing itself."""
        if self.as_json:
            show_json(record or {})
        else:
            click.echo(sentence)


def shared(*, project: bool = True, server: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds --home, --url, --token, --project and --json to a command, which gets them as its first argument, a Caller."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(**values: Any) -> Any:
            shared_values = {name: values.pop(name, None) for name in ("home", "url", "token", "project", "as_json")}
            return function(Caller(**shared_values), **values)

        options = [
            click.option(
                "--home", type=click.Path(path_type=Path), help="Folder of the server (default: TILTH_HOME, .tilth, ~/.tilth)."
            )
        ]
        if server:
            options.append(click.option("--url", help="Address of the server (default: TILTH_URL, or the home's server.json)."))
            options.append(click.option("--token", help="Token to use (default: TILTH_TOKEN, or the home's own)."))
        if project:
            options.append(click.option("--project", "-p", help="Project (default: TILTH_PROJECT, or the server's first)."))
        options.append(click.option("--json", "as_json", is_flag=True, help="Print JSON."))
        for option in reversed(options):
            called = option(called)
        return called

    return decorate


def show_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns; cut to the terminal's width only where there is a terminal."""
    console = Console() if sys.stdout.isatty() else Console(width=10_000, no_color=True)
    table = Table(*(words(column) for column in columns), box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell(column, value)) for column, value in zip(columns, row, strict=True)))
    with console.capture() as shown:
        console.print(table)
    for line in shown.get().splitlines():
        click.echo(line.rstrip())


def words(name: str) -> str:
    return name.replace("_", " ")


MOMENTS = (
    "created",
    "updated",
    "logged",
    "replaced",
    "started",
    "ended",
    "expires",
    "last_used",
    "last_seen",
    "at",
    "written",
    "last_heartbeat",
    "deleted",
    "when",
)


def cell(name: str, value: Any) -> str:
    """A value for people: moments in local time, no control characters (they could rewrite the terminal)."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value > 10**11 and (name in MOMENTS or name.endswith(("_at", "_time", "_since"))):
        return moment(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={cell('', item)}" for key, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(cell("", item) for item in value) or "-"
    return "".join(c if c.isprintable() else " " for c in str(value))


def moment(millis: int) -> str:
    """`2013-01-31 05:00:00`, in the time zone of this machine."""
    return datetime.fromtimestamp(millis / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
