"""How far a scoring is: a bar with rows per second on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tilth.core.clock import monotonic
from tilth.sdk.batch.calling import Told

LINE_EVERY_S = 30.0


@contextmanager
def shown_progress() -> Iterator[Told]:
    """Writes to stderr."""
    began = monotonic()
    if not sys.stderr.isatty():
        yield _lines(began)
        return
    columns = (
        TextColumn("scoring"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task("loading the model", total=None)

        def told(done: int, total: int, rows: int) -> None:
            bar.update(task, completed=done, total=max(total, 1), description=_rate(rows, monotonic() - began))

        yield told


def _lines(began: float) -> Told:
    last = began

    def told(done: int, total: int, rows: int) -> None:
        nonlocal last
        gone = monotonic() - began
        if monotonic() - last > LINE_EVERY_S:
            last = monotonic()
            left = gone * (total - done) / max(done, 1)
            sys.stderr.write(f"{100 * done / max(total, 1):.0f} %, {_rate(rows, gone)}, about {left:.0f} s left\n")

    return told


def _rate(rows: int, seconds: float) -> str:
    return f"{rows:,} rows, {rows / max(seconds, 1e-9):,.0f} rows/s"
