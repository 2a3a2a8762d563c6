"""A progress bar on a terminal; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tilth.cli.moving.landing import Progress as Told
from tilth.cli.moving.source import Source


@contextmanager
def shown_progress(source: Source, names: tuple[str, ...]) -> Iterator[Told]:
    if not sys.stderr.isatty():
        yield lambda name, done: None
        return
    chosen = [experiment for experiment in source.experiments() if not names or experiment.name in names]
    counts = [source.count_runs(experiment) for experiment in chosen]
    total = None if None in counts else sum(count or 0 for count in counts)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("importing", total=total)

        def told(name: str, done: int) -> None:
            bar.update(
                task, advance=done, description="".join(c if c.isprintable() else " " for c in name)[:40].replace("[", "(")
            )

        yield told
