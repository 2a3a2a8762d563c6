"""An exported project as a source: its tables and files, read back. Paths and digests are checked, since anybody may have written them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from tilth.cli.moving.export import FORMAT, FORMAT_VERSION, MANIFEST
from tilth.cli.moving.folders import pieces_of
from tilth.cli.moving.source import (
    Points,
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
    SourceVersion,
    Unreachable,
    Unreadable,
)
from tilth.cli.moving.tables import rows_of
from tilth.core.names import InvalidName, check_artifact_path
from tilth.wire.imports import ImportedModel
from tilth.wire.tracking import DatasetInput, Environment, MetricValue

BATCH_RUNS = 50


class TilthFolder:
    """folder: what `tilth export` wrote. Raises Unreadable for one that is not whole."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Unreadable(
                f"{folder} holds no finished export: it has no readable {MANIFEST}; run `tilth export` to its end"
            ) from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise Unreadable(f"{folder / MANIFEST} is not that of an export of Tilth")
        if manifest.get("version") != FORMAT_VERSION:
            raise Unreadable(
                f"{folder} was written in version {manifest.get('version')} of the format; this Tilth reads {FORMAT_VERSION}"
            )
        self._digests: dict[str, str] = {}

    def experiments(self) -> list[SourceExperiment]:
        return [
            SourceExperiment(row["name"], row["name"], row["created"], tags=_pairs(row["tags"]))
            for row in rows_of(self._folder, "experiments")
        ]

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        return sum(1 for row in rows_of(self._folder, "runs") if row["experiment"] == experiment.name)

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        rows = [row for row in rows_of(self._folder, "runs") if row["experiment"] == experiment.name]
        for start in range(0, len(rows), BATCH_RUNS):
            batch = rows[start : start + BATCH_RUNS]
            ids = [row["id"] for row in batch]
            params, tags, inputs = (self._of_runs(table, ids) for table in ("params", "tags", "inputs"))
            for row in batch:
                yield _run(row, params[row["id"]], tags[row["id"]], inputs[row["id"]])

    def points(self, run: SourceRun) -> Points:
        found: Points = {}
        for row in self._of_runs("metrics", [run.id])[run.id]:
            found.setdefault(row["key"], []).append((row["step"], row["ts"], _value(row["value"])))
        return {key: sorted(points, key=lambda point: (point[1], point[0], str(point[2]))) for key, points in found.items()}

    def files(self, place: str) -> Iterator[SourceFile]:
        """place: `run <id>` or `model <id>`."""
        kind, id_ = place.split(" ", 1)
        table, column, folder = ("artifacts", "run_id", "artifacts") if kind == "run" else (
            "logged_model_files", "logged_model_id", "logged_models")  # fmt: skip
        for row in self._where(table, column, [id_]):
            try:
                path = self._folder / folder / check_artifact_path(id_) / check_artifact_path(row["path"])
            except InvalidName as error:
                raise Unreachable(str(error)) from error
            self._digests[str(path)] = row["digest"]
            yield SourceFile(row["path"], row["size"], str(path))

    def read(self, file: SourceFile) -> Iterator[bytes]:
        path = Path(file.place)
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise Unreachable(f"{path} leads out of the export")
        hasher = hashlib.sha256()
        for piece in pieces_of(path):
            hasher.update(piece)
            yield piece
        if hasher.hexdigest() != self._digests.get(file.place):
            raise Unreachable(f"{path} is damaged: its bytes are not those that were exported")

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]:
        for row in rows_of(self._folder, "logged_models"):
            if (row["experiment"] or "Default") == experiment.name:
                yield SourceLoggedModel(
                    id=row["id"],
                    experiment=row["experiment"],
                    name=row["name"],
                    created=row["created"],
                    run=row["run_id"],
                    model_type=row["model_type"] or "",
                    creator=row["creator"] or "",
                    ready=row["status"] == "ready",
                    params=_pairs(row["params"]),
                    tags=_pairs(row["tags"]),
                    files=f"model {row['id']}",
                )

    def models(self) -> Iterator[SourceModel]:
        versions: dict[str, list[SourceVersion]] = defaultdict(list)
        for row in rows_of(self._folder, "versions"):
            facts = {name: row[name] or "" for name in ("stage", "description", "creator", "source")}
            version = SourceVersion(
                row["version"],
                row["created"],
                logged_model=row["logged_model_id"],
                run=row["run_id"],
                tags=_pairs(row["tags"]),
                **facts,
            )
            versions[row["model"]].append(version)
        for row in rows_of(self._folder, "models"):
            yield SourceModel(
                name=row["name"],
                created=row["created"],
                description=row["description"] or "",
                creator=row["creator"] or "",
                tags=_pairs(row["tags"]),
                aliases=_pairs(row["aliases"]),
                versions=versions[row["name"]],
            )

    def close(self) -> None:
        """Nothing is held open."""

    def _of_runs(self, table: str, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._where(table, "run_id", ids):
            found[row["run_id"]].append(row)
        return found

    def _where(self, table: str, column: str, values: list[str]) -> Iterator[dict[str, Any]]:
        """Rows whose column has one of the values. Tables are in order of runs, so that most of a file is skipped unread."""
        for path in sorted((self._folder / f"{table}.parquet").glob("part-*.parquet")):
            yield from pl.scan_parquet(path).filter(pl.col(column).is_in(values)).collect().iter_rows(named=True)


def _run(row: dict[str, Any], params: list[Any], tags: list[Any], inputs: list[Any]) -> SourceRun:
    environment = row["environment"]
    return SourceRun(
        id=row["id"],
        experiment=row["experiment"],
        name=row["name"],
        status=row["status"],
        started=row["started"],
        ended=row["ended"],
        user=row["user_name"] or "",
        origin=row["source"] or "",
        notes=row["notes"] or "",
        error=row["error"] or "",
        parent=row["parent_run_id"],
        archived=row["archived"],
        environment=None if environment is None else msgspec.json.decode(environment, type=Environment),
        params={pair["key"]: pair["value"] for pair in params},
        tags={pair["key"]: pair["value"] for pair in tags},
        inputs=[
            DatasetInput(
                tags=_pairs(data["tags"]) or None,
                **{name: data[name] for name in ("name", "digest", "context", "source_type", "source", "schema", "profile")},
            )
            for data in inputs
        ],
        models=msgspec.json.decode(row["models"], type=list[ImportedModel]),
        files=f"run {row['id']}",
    )


def _pairs(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _value(value: float | None) -> MetricValue:
    if value is None or math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
