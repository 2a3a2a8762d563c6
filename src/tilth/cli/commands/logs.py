"""`tilth logs`."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import click
import msgspec

from tilth.cli.caller import Caller, shared
from tilth.core.errors import NotFound
from tilth.core.home import LOGS_FOLDER


class NoSuchLog(NotFound):
    """The home has no log of that name."""


@click.command(
    epilog="""\b
Examples:
  tilth logs                  the last lines of all processes
  tilth logs control -n 200
  tilth logs serve -f         follow the model servers
"""
)
@click.argument("name", required=False)
@click.option("--lines", "-n", type=click.IntRange(0), default=50, show_default=True, help="Last lines of each log.")
@click.option("--follow", "-f", is_flag=True, help="Go on as more is written, until Ctrl-C.")
@shared(project=False, server=False)
def logs(caller: Caller, name: str | None, lines: int, follow: bool) -> None:
    """Show what the processes of `tilth up` wrote. NAME: control, serve, shipping, or one process such as serve-w0."""
    paths = _named(caller.home_folder() / LOGS_FOLDER, name)
    tails = [Tail(path) for path in paths]
    for tail in tails:
        _print(tail, tail.last(lines), several=len(tails) > 1, as_json=caller.as_json)
    while follow:
        time.sleep(0.3)
        for tail in tails:
            _print(tail, tail.more(), several=len(tails) > 1, as_json=caller.as_json)


class Tail:
    """The end of a growing file; follows it when it is moved away and begun anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        self._inode = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last `count` lines; what follows is left to `more`."""
        return list(deque(self.more(), maxlen=count))

    def more(self) -> list[str]:
        """Whole lines written since the last call."""
        try:
            with self.path.open("rb") as stream:
                if self._inode != (inode := self.path.stat().st_ino):
                    self._inode, self._position = inode, 0
                stream.seek(self._position)
                data = stream.read()
                self._position = stream.tell()
        except FileNotFoundError:
            return []
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


def _named(folder: Path, name: str | None) -> list[Path]:
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    chosen = [path for stem, path in found.items() if name is None or stem == name or stem.startswith(f"{name}-")]
    if not chosen:
        known = f"it has: {', '.join(found)}" if found else "`tilth up` has not run there yet"
        raise NoSuchLog(f"no log {name!r} in {folder}; {known}" if name else f"no logs in {folder}; {known}")
    return chosen


def _print(tail: Tail, lines: list[str], *, several: bool, as_json: bool) -> None:
    for line in lines:
        shown = "".join(c if c.isprintable() or c == "\t" else " " for c in line)
        if as_json:
            click.echo(msgspec.json.encode({"process": tail.path.stem, "line": line}))
        else:
            click.echo(f"{click.style(tail.path.stem.ljust(9), dim=True)} {shown}" if several else shown)
