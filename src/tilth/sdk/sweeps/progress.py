"""How far a sweep is: a bar on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tilth.sdk.sweeps.board import Board, TrialResult
from tilth.sdk.sweeps.running import Loop

OnDone = Callable[[TrialResult, Loop], None]


@contextmanager
def shown_progress(board: Board) -> Iterator[OnDone]:
    """Writes to stderr, so that the output of trials stays clean."""
    sys.stderr.write(f"sweep {board.parent.id}  {board.url}\n")
    if not sys.stderr.isatty():
        yield lambda result, loop: _line(board, result, loop)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task("trials", total=board.spec.trials)

        def advance(result: TrialResult, loop: Loop) -> None:
            bar.update(task, completed=len(loop.done), description=_best(board, loop))

        yield advance


def _line(board: Board, result: TrialResult, loop: Loop) -> None:
    came_to = f"{board.spec.metric} {result.value:.6g}" if result.value is not None else f"failed: {result.error[:200]}"
    early = " (stopped early)" if result.stopped else ""
    sys.stderr.write(f"trial {result.number} of {board.spec.trials}: {came_to}{early}; {_best(board, loop)}\n")


def _best(board: Board, loop: Loop) -> str:
    best = loop.best
    return (
        f"best {board.spec.metric} {best.value:.6g} (trial {best.number})" if best is not None else "no trial has succeeded yet"
    )
