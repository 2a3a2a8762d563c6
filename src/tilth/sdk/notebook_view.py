"""A run in Jupyter: the cells that were executed are its code, and a small live view stands below the cell that started it."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tilth.core.clock import monotonic
from tilth.sdk.notebook import NAME, executed_cells, shell, snapshot

if TYPE_CHECKING:
    from tilth.sdk.active import Run

SHOWN_METRICS = 12
REDRAW_S = 1.0


def end_left_over(open_runs: Sequence[Run], *, nested: bool) -> None:
    """A cell that is run again starts anew: the run that an earlier cell left open is ended first."""
    if shell() is None or nested:
        return
    for run in list(open_runs):
        sys.stderr.write(f"tilth: run {run.name!r} of an earlier cell was still open and is finished now\n")
        run.finish()


def watch(run: Run) -> None:
    """Keeps the cells as the run's code and shows how it goes. Does nothing outside a notebook."""
    if shell() is None or not run.rank.is_first:
        return
    python = ".".join(map(str, sys.version_info[:3]))
    run.later(NAME, lambda: snapshot(executed_cells(), python))
    view = View(run)
    run.on_log(view.note)

    def last(ended: Run) -> None:
        # Cells after this one belong to what comes next.
        content = snapshot(executed_cells(), python)
        ended.later(NAME, lambda: content)
        view.draw()

    run.at_end(last)


class View:
    """One output of the cell that started the run; drawn again at most once a second while values are logged."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last: dict[str, tuple[int, float]] = {}
        self._drawn = 0.0
        self._handle: Any = None
        with suppress(Exception):  # a view must never stop a training
            self._handle = sys.modules["IPython"].display.display(self, display_id=True)

    def note(self, step: int, key: str, value: float) -> None:
        self._last[key] = (step, value)
        if monotonic() - self._drawn > REDRAW_S:
            self.draw()

    def draw(self) -> None:
        self._drawn = monotonic()
        if self._handle is not None:
            with suppress(Exception):  # as above
                self._handle.update(self)

    def __repr__(self) -> str:
        """Where HTML cannot be shown."""
        values = "  ".join(f"{key}={value:.6g} (step {step})" for key, (step, value) in self._shown())
        state = "running" if self._run.is_open else "ended"
        return f"Tilth run {self._run.name!r} {state}  {self._run.url}  {values}".rstrip()

    def _repr_html_(self) -> str:
        name, url = html.escape(self._run.name), html.escape(self._run.url, quote=True)
        link = f'<a href="{url}" target="_blank">{name}</a>' if self._run.url else name
        rows = "".join(
            f"<tr><td>{html.escape(key)}</td><td>{value:.6g}</td><td>{step}</td></tr>" for key, (step, value) in self._shown()
        )
        table = f"<table><tr><th>metric</th><th>last</th><th>step</th></tr>{rows}</table>" if rows else ""
        return f"<div><b>Tilth</b> {link}: {'running' if self._run.is_open else 'ended'}{table}</div>"

    def _shown(self) -> list[tuple[str, tuple[int, float]]]:
        return list(self._last.items())[:SHOWN_METRICS]
