"""Runs and models that come from elsewhere, with the times, ids and numbers that they had there. Moments in ms since the epoch."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tilth.wire.tracking import DatasetInput, Environment, MetricValue, Request, RunStatus

MAX_IMPORT_RUNS = 100
MAX_IMPORT_POINTS = 2000
"""Points of one run that may come with it; a longer history is logged to it afterwards."""
MAX_KNOWN_IDS = 1000

Landed = Literal["created", "exists", "taken"]


class ImportExperiment(Request):
    """An experiment that is there already stays as it is."""

    name: str
    created: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


class ImportedModel(Request):
    """A logged model that the run read (`input`) or made (`output`)."""

    id: str
    direction: Literal["input", "output"] = "output"
    step: int = 0


class ImportRun(Request):
    """id: 32 hexadecimal digits. metrics: key -> points as [step, ts, value]. deleted, archived: moments, null for neither."""

    id: str
    experiment: str
    name: str
    status: RunStatus
    started: int
    ended: int | None = None
    user_name: str = ""
    source: str = ""
    notes: str = ""
    error: str = ""
    parent_run_id: str | None = None
    environment: Environment | None = None
    deleted: int | None = None
    archived: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[tuple[int, int, MetricValue]]] = field(default_factory=dict)
    inputs: list[DatasetInput] = field(default_factory=list)
    models: list[ImportedModel] = field(default_factory=list)


class ImportRuns(Request):
    """At most 100 runs. Each run lands as a whole or not at all."""

    runs: list[ImportRun]
    experiments: list[ImportExperiment] = field(default_factory=list)


class ImportedRuns(Struct):
    """By id: `created`, `exists` (was there already, untouched) or `taken` (of another project, or still being purged)."""

    runs: dict[str, Landed]


class RunTally(Struct):
    """What a run holds. points: by metric, as logged. artifacts: path -> bytes, at most 10,000."""

    deleted: bool
    params: int
    tags: int
    inputs: int
    points: dict[str, int]
    artifacts: dict[str, int]


class AskKnown(Request):
    """ids: of runs, at most 1,000."""

    ids: list[str]


class Known(Struct):
    """runs: those that are in this project. taken: ids that another project uses."""

    runs: dict[str, RunTally]
    taken: list[str]


class ImportLoggedModel(Request):
    """Opens a logged model under the id it had (`m-` and 32 hexadecimal digits); then its files are put and it is finalised."""

    id: str
    name: str
    created: int
    experiment: str | None = None
    run_id: str | None = None
    model_type: str = ""
    creator: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class ImportedLoggedModel(Struct):
    """status: `pending` while files are to come. landed as for runs."""

    id: str
    landed: Landed
    status: str


class ImportVersion(Request):
    """logged_model_id null: its files are elsewhere, at `source`."""

    version: int
    created: int
    source: str
    logged_model_id: str | None = None
    run_id: str | None = None
    run_link: str = ""
    stage: str = "None"
    description: str = ""
    creator: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class ImportModel(Request):
    """A registered model. What is there already (the model, a version, an alias) stays as it is."""

    name: str
    created: int
    description: str = ""
    creator: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    versions: list[ImportVersion] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)


class ImportedModelVersions(Struct):
    """versions, aliases: those that were added now. same: versions that were here already and are the same; others: that are not.

    refused: aliases that gates or a missing approval keep out.
    """

    versions: list[int]
    aliases: list[str]
    same: list[int]
    others: list[int]
    refused: list[str] = []


class ExportedRuns(Struct):
    """Runs in the form in which they can be imported, without points; tallies say how many points and which artifacts there are.

    after: where the next page begins, empty at the end.
    """

    runs: list[ImportRun]
    tallies: dict[str, RunTally]
    after: str


class ExportedPoints(Struct):
    """points: [key, step, ts, value], in that order. after: where the next page begins, empty at the end."""

    points: list[tuple[str, int, int, MetricValue]]
    after: str
