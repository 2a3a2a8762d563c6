"""What every place that runs come from can tell: experiments, runs, histories, files, models. Moments in ms since the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tilth.core.errors import Invalid, NotFound
from tilth.wire.imports import ImportedModel
from tilth.wire.tracking import DatasetInput, Environment, MetricValue

Points = dict[str, list[tuple[int, int, MetricValue]]]
"""Metric -> [(step, moment, value)], oldest first."""


class Unreadable(Invalid):
    """A place that does not hold what its name says."""


class Unreachable(NotFound):
    """Files that a run names and that cannot be read from here."""


@dataclass(frozen=True, slots=True)
class SourceExperiment:
    id: str
    name: str
    created: int | None = None
    deleted: bool = False
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceRun:
    """status: of ours. files: where its artifacts lie, in words that the same source understands; empty for nowhere."""

    id: str
    experiment: str
    name: str
    status: str
    started: int
    ended: int | None = None
    user: str = ""
    origin: str = ""
    notes: str = ""
    error: str = ""
    parent: str | None = None
    deleted: int | None = None
    archived: int | None = None
    environment: Environment | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[DatasetInput] = field(default_factory=list)
    models: list[ImportedModel] = field(default_factory=list)
    files: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """path: from the root of its run or model. size: bytes, None where the source does not say. place: for `read`."""

    path: str
    size: int | None
    place: str


@dataclass(frozen=True, slots=True)
class SourceLoggedModel:
    id: str
    experiment: str | None
    name: str
    created: int
    run: str | None = None
    model_type: str = ""
    creator: str = ""
    ready: bool = True
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: str = ""


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """logged_model: id of the one it was made of, None for a version made of a folder, which lies at `files`."""

    version: int
    created: int
    source: str
    logged_model: str | None = None
    run: str | None = None
    run_link: str = ""
    stage: str = "None"
    description: str = ""
    creator: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    files: str = ""


@dataclass(frozen=True, slots=True)
class SourceModel:
    name: str
    created: int
    description: str = ""
    creator: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: list[SourceVersion] = field(default_factory=list)


class Source(Protocol):
    """name: what is written beside an imported run that could not keep its id."""

    name: str

    def experiments(self) -> list[SourceExperiment]: ...

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        """None where the source cannot say without reading them."""

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]: ...

    def points(self, run: SourceRun) -> Points: ...

    def files(self, place: str) -> Iterator[SourceFile]:
        """Raises Unreachable."""

    def read(self, file: SourceFile) -> Iterator[bytes]:
        """Raises Unreachable."""

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]: ...

    def models(self) -> Iterator[SourceModel]: ...

    def close(self) -> None: ...
