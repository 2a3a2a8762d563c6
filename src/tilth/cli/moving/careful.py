"""A source for whose content nobody vouches: what stands wrongly in it is told as its fault, and never as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tilth.cli.moving.source import (
    Points,
    Source,
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
    Unreadable,
)

_ODD = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError, sqlite3.Error)
"""What reading raises where a number is a word, a field is a list, a column is not there."""


class Careful:
    """Raises Unreadable where `source` would raise one of `_ODD`."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._source = source

    def experiments(self) -> list[SourceExperiment]:
        with self._reading("its experiments"):
            return self._source.experiments()

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        with self._reading(f"experiment {experiment.name!r}"):
            return self._source.count_runs(experiment)

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        with self._reading(f"a run of experiment {experiment.name!r}"):
            yield from self._source.runs(experiment)

    def points(self, run: SourceRun) -> Points:
        with self._reading(f"the metrics of run {run.id}"):
            return self._source.points(run)

    def files(self, place: str) -> Iterator[SourceFile]:
        with self._reading(f"the files at {place[:200]}"):
            yield from self._source.files(place)

    def read(self, file: SourceFile) -> Iterator[bytes]:
        with self._reading(f"the file {file.path[:200]}"):
            yield from self._source.read(file)

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]:
        with self._reading(f"a logged model of experiment {experiment.name!r}"):
            yield from self._source.logged_models(experiment)

    def models(self) -> Iterator[SourceModel]:
        with self._reading("its registered models"):
            yield from self._source.models()

    def close(self) -> None:
        self._source.close()

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except _ODD as error:
            raise Unreadable(f"{self.name}: {what} cannot be read: {str(error)[:200] or type(error).__name__}") from error
