"""A measured figure beside its promise and its peer, and how a script shows its figures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tilth.core.clock import iso, now


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a result.

    what: what was measured. ours: our value in `unit`. limit: what is promised, at most, or at least where `higher_is_better`;
    None where nothing is. times: how many times better than the peer is promised instead. peer, peer_value: what ran beside it, in the
    same unit. note: what a reader must know to trust it.
    """

    what: str
    unit: str
    ours: float
    limit: float | None = None
    peer: str = ""
    peer_value: float | None = None
    higher_is_better: bool = False
    note: str = ""
    times: float | None = None

    @property
    def met(self) -> bool | None:
        if self.times is not None:
            return self.ratio is not None and self.ratio >= self.times
        if self.limit is None:
            return None
        return self.ours >= self.limit if self.higher_is_better else self.ours <= self.limit

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer; below 1 is worse."""
        if self.peer_value is None or not self.peer_value or not self.ours:
            return None
        return self.ours / self.peer_value if self.higher_is_better else self.peer_value / self.ours

    @property
    def promise(self) -> str:
        if self.times is not None:
            return f">= {plain(self.times)} times"
        return "" if self.limit is None else f"{'>=' if self.higher_is_better else '<='} {plain(self.limit)} {self.unit}"


Measure = Callable[[bool], Sequence[Figure]]
"""measure(quick) -> figures. quick: few passes and small counts, to see that the script works; its numbers say little."""


def plain(value: float) -> str:
    """Three significant digits, thousands with a comma."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show(figures: Sequence[Figure], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for name in ("what", "promise", "ours", "peer", "times better", "met", "note"):
        table.add_column(name, justify="right" if name in ("promise", "ours", "times better") else "left", overflow="fold")
    for figure in figures:
        peer = "" if figure.peer_value is None else f"{plain(figure.peer_value)} {figure.unit}  {figure.peer}"
        table.add_row(
            figure.what,
            figure.promise,
            f"{plain(figure.ours)} {figure.unit}",
            peer or figure.peer,
            "" if figure.ratio is None else plain(figure.ratio),
            {True: "yes", False: "NO", None: ""}[figure.met],
            figure.note,
        )
    # Into a file or pipe the lines must not be broken at 80 columns.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{iso(now())[:16]} UTC, {len(os.sched_getaffinity(0))} cores, {memory_gib:.0f} GiB, "
        f"Python {sys.version.split()[0]}, load {load:.1f}"
    )


def run_script(name: str, doc: str, measure: Measure, arguments: Sequence[str] | None = None) -> int:
    """The command line that every script has: `--quick`, `--json`. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few passes and small counts, to see that it works")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of a table")
    given = parser.parse_args(arguments)
    figures = measure(given.quick)
    if given.json:
        print(json.dumps({"script": name, "machine": machine(), "quick": given.quick, "figures": [asdict(f) for f in figures]}))
    else:
        show(figures, f"{name}: {machine()}")
    return 0


def script_names() -> list[str]:
    """Every module of this folder that has a command line of its own, in order."""
    folder = Path(__file__).parent
    scripts = {path: path.stem for path in folder.glob("*.py")} | {
        path: path.parent.name for path in folder.glob("*/__main__.py")
    }
    return sorted(name for path, name in scripts.items() if "run_script(" in path.read_text() and name != "figures")
