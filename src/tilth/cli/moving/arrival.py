"""This server as the place where things arrive: the import routes, and files put in one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from tilth.cli.client import Api
from tilth.core.errors import TilthError
from tilth.wire.imports import (
    MAX_KNOWN_IDS,
    AskKnown,
    ImportedLoggedModel,
    ImportedModelVersions,
    ImportedRuns,
    ImportLoggedModel,
    ImportModel,
    ImportRuns,
    Known,
    RunTally,
)
from tilth.wire.tracking import MAX_METRICS, MetricPoint

T = TypeVar("T")


class Arrival:
    """One project of one server."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.salt = api.target.project

    def runs(self, wanted: ImportRuns) -> ImportedRuns:
        return self._sent("import/runs", wanted, ImportedRuns)

    def known(self, ids: list[str]) -> tuple[dict[str, RunTally], set[str]]:
        """What those of the ids hold that are here; and those that another project uses."""
        here: dict[str, RunTally] = {}
        taken: set[str] = set()
        for start in range(0, len(ids), MAX_KNOWN_IDS):
            found = self._sent("import/runs/known", AskKnown(ids[start : start + MAX_KNOWN_IDS]), Known)
            here |= found.runs
            taken |= set(found.taken)
        return here, taken

    def log(self, run_id: str, points: Iterable[MetricPoint]) -> None:
        """Batches of a thousand, each kept as a whole or not at all."""
        batch: list[MetricPoint] = []
        for point in points:
            batch.append(point)
            if len(batch) == MAX_METRICS:
                self.api.call("POST", self.api.in_project("runs", run_id, "log"), {"metrics": batch})
                batch = []
        if batch:
            self.api.call("POST", self.api.in_project("runs", run_id, "log"), {"metrics": batch})

    def change_runs(self, do: str, ids: list[str]) -> None:
        self.api.call("POST", self.api.in_project("runs", "bulk"), {"do": do, "runs": ids})

    def delete_experiment(self, name: str) -> None:
        for experiment in self.api.get(self.api.in_project("experiments"))["experiments"]:
            if experiment["name"] == name and not experiment["deleted"] and experiment["number"]:
                self.api.call("DELETE", self.api.in_project("experiments", experiment["id"]))

    def experiments(self) -> set[str]:
        """Names of all, deleted ones too."""
        every = self.api.get(self.api.in_project("experiments"))["experiments"]
        return {
            found["name"] for found in [*every, *self.api.get(self.api.in_project("experiments"), deleted="true")["experiments"]]
        }

    def put_artifact(self, run_id: str, path: str, pieces: Iterator[bytes]) -> None:
        self.api.put(self.api.in_project("runs", run_id, "artifacts", *path.split("/")), pieces)

    def logged_model(self, wanted: ImportLoggedModel) -> ImportedLoggedModel:
        return self._sent("import/logged-models", wanted, ImportedLoggedModel)

    def model_files(self, logged_model_id: str) -> Mapping[str, int]:
        """path -> bytes."""
        found = self.api.get(self.api.in_project("logged-models", logged_model_id))["files"]
        return {entry["path"]: entry["size"] for entry in found}

    def put_model_file(self, logged_model_id: str, path: str, pieces: Iterator[bytes]) -> None:
        self.api.put(self.api.in_project("logged-models", logged_model_id, "files", *path.split("/")), pieces)

    def seal(self, logged_model_id: str) -> str:
        """Empty, or why it cannot be sealed."""
        try:
            self.api.call("POST", self.api.in_project("logged-models", logged_model_id, "finalize"), {})
        except TilthError as error:
            return str(error)
        return ""

    def model(self, wanted: ImportModel) -> ImportedModelVersions:
        return self._sent("import/models", wanted, ImportedModelVersions)

    def _sent(self, path: str, body: Any, kind: type[T]) -> T:
        return msgspec.convert(self.api.call("POST", self.api.in_project(*path.split("/")), body), kind)
