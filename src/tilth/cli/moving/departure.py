"""A project of this server, read for leaving: runs with whole histories, files, models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tilth.cli.client import Api
from tilth.wire.imports import ExportedPoints, ExportedRuns, ImportRun, RunTally
from tilth.wire.tracking import ArtifactList, MetricValue


class Departure:
    """One project of one server."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def experiments(self) -> list[dict[str, Any]]:
        return list(self.api.get(self.api.in_project("experiments"))["experiments"])

    def runs(self) -> Iterator[tuple[ImportRun, RunTally]]:
        """Every run that is not deleted, without points, in order of ids."""
        after = ""
        while True:
            page = msgspec.convert(self.api.get(self.api.in_project("export", "runs"), after=after, limit=100), ExportedRuns)
            for run in page.runs:
                yield run, page.tallies[run.id]
            if not page.after:
                return
            after = page.after

    def points(self, run_id: str) -> Iterator[tuple[str, int, int, MetricValue]]:
        after = ""
        while True:
            answer = self.api.get(self.api.in_project("export", "runs", run_id, "points"), after=after)
            page = msgspec.convert(answer, ExportedPoints)
            yield from page.points
            if not page.after:
                return
            after = page.after

    def artifacts(self, run_id: str) -> list[tuple[str, int, str]]:
        """path, bytes, SHA-256."""
        answer = self.api.get(self.api.in_project("runs", run_id, "artifacts"), recursive="true")
        return [
            (entry.path, entry.size, entry.digest) for entry in msgspec.convert(answer, ArtifactList).files if not entry.is_dir
        ]

    def artifact(self, run_id: str, path: str) -> Iterator[bytes]:
        return self.api.pieces(self.api.in_project("runs", run_id, "artifacts", *path.split("/")))

    def logged_models(self) -> Iterator[dict[str, Any]]:
        for row in self.api.rows(self.api.in_project("logged-models"), "logged_models", 1_000_000):
            yield self.api.get(self.api.in_project("logged-models", row["id"]))

    def model_file(self, logged_model_id: str, path: str) -> Iterator[bytes]:
        return self.api.pieces(self.api.in_project("logged-models", logged_model_id, "files", *path.split("/")))

    def models(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Each model with all its versions, by number."""
        for row in self.api.rows(self.api.in_project("models"), "models", 1_000_000):
            where = self.api.in_project("models", row["name"])
            versions: list[dict[str, Any]] = []
            while True:
                answer = self.api.get(where, limit=1000, offset=len(versions))
                versions += answer["versions"]
                if not answer["versions"] or len(versions) >= answer["versions_total"]:
                    break
            yield answer["model"], sorted(versions, key=lambda version: version["version"])
