"""An MLflow store in SQLite (`mlflow.db`), opened read-only: a server that uses it is not disturbed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tilth.cli.moving.folders import check_artifacts, files_below, local_path, pieces_of
from tilth.cli.moving.mlflow_words import input_of, run_of, value_of
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
from tilth.wire.imports import ImportedModel
from tilth.wire.tracking import DatasetInput

FETCH = 500
_DELETED = "deleted"


class MlflowSqlite:
    """path: the database. roots: folders in which artifacts are looked for when they are not where the database says."""

    def __init__(self, path: Path, roots: tuple[Path, ...] = ()) -> None:
        if not path.is_file():
            raise Unreadable(f"there is no file {path}; name an MLflow database, an mlruns folder or the address of a server")
        self.name = path.name
        self._roots = (*roots, path.parent / "mlartifacts", path.parent / "mlruns")
        self._db = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
        self._db.row_factory = sqlite3.Row
        try:
            tables = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        except sqlite3.DatabaseError as error:
            raise Unreadable(f"{path} is not a SQLite database ({error})") from error
        self._tables = {row["name"] for row in tables}
        if not {"experiments", "runs", "metrics", "params", "tags"} <= self._tables:
            raise Unreadable(f"{path} holds no MLflow store: it has no tables `experiments` and `runs`")

    def experiments(self) -> list[SourceExperiment]:
        found = []
        for row in self._all("SELECT * FROM experiments ORDER BY experiment_id"):
            tags = self._pairs("experiment_tags", "experiment_id", row["experiment_id"])
            deleted = row["lifecycle_stage"] == _DELETED
            found.append(SourceExperiment(str(row["experiment_id"]), row["name"], row.get("creation_time"), deleted, tags))
        return found

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        found = self._all("SELECT count(*) AS n FROM runs WHERE experiment_id = ?", int(experiment.id))
        return int(next(iter(found))["n"])

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        for row in self._all("SELECT * FROM runs WHERE experiment_id = ? ORDER BY start_time, run_uuid", int(experiment.id)):
            id_ = row["run_uuid"]
            deleted = None
            if row["lifecycle_stage"] == _DELETED:
                deleted = row.get("deleted_time") or row.get("end_time") or row.get("start_time") or 0
            yield run_of(
                id_,
                experiment.name,
                row,
                deleted=deleted,
                params=self._pairs("params", "run_uuid", id_),
                tags=self._pairs("tags", "run_uuid", id_),
                inputs=self._inputs(id_),
                models=self._models_of(id_),
                files=row["artifact_uri"] or "",
            )

    def points(self, run: SourceRun) -> Points:
        found: Points = {}
        asked = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, timestamp, step, value"
        for row in self._db.execute(asked, (run.id,)):
            point = (row["step"], row["timestamp"], value_of(row["value"], bool(row["is_nan"])))
            found.setdefault(row["key"], []).append(point)
        return found

    def files(self, place: str) -> Iterator[SourceFile]:
        folder = self._folder(place)
        return iter(()) if folder is None else files_below(check_artifacts(folder))

    def read(self, file: SourceFile) -> Iterator[bytes]:
        return pieces_of(Path(file.place))

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]:
        if "logged_models" not in self._tables:
            return
        asked = "SELECT * FROM logged_models WHERE experiment_id = ? ORDER BY creation_timestamp_ms, model_id"
        for row in self._all(asked, int(experiment.id)):
            if row["lifecycle_stage"] == _DELETED:
                continue
            id_ = row["model_id"]
            tags = self._pairs("logged_model_tags", "model_id", id_, "tag_key", "tag_value")
            yield SourceLoggedModel(
                id=id_,
                experiment=experiment.name,
                name=row["name"],
                created=row["creation_timestamp_ms"],
                run=row["source_run_id"],
                model_type=row["model_type"] or "",
                creator=tags.get("mlflow.user", ""),
                ready=row["status"] == 2,
                params=self._pairs("logged_model_params", "model_id", id_, "param_key", "param_value"),
                tags=tags,
                files=row["artifact_location"],
            )

    def models(self) -> Iterator[SourceModel]:
        if "registered_models" not in self._tables:
            return
        for row in self._all("SELECT * FROM registered_models ORDER BY name"):
            name = row["name"]
            aliases = self._pairs("registered_model_aliases", "name", name, "alias", "version")
            yield SourceModel(
                name=name,
                created=row["creation_time"] or 0,
                description=row["description"] or "",
                tags=self._pairs("registered_model_tags", "name", name),
                aliases={alias: int(version) for alias, version in aliases.items()},
                versions=[self._version(found) for found in self._versions(name)],
            )

    def close(self) -> None:
        self._db.close()

    def _versions(self, name: str) -> list[dict[str, Any]]:
        found = self._all("SELECT * FROM model_versions WHERE name = ? ORDER BY version", name)
        return [row for row in found if row["current_stage"] != "Deleted_Internal"]

    def _version(self, row: Mapping[str, Any]) -> SourceVersion:
        pairs = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
        tags = self._all(pairs, row["name"], row["version"]) if "model_version_tags" in self._tables else []
        source = row["source"] or ""
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
        return SourceVersion(
            version=int(row["version"]),
            created=row["creation_time"] or 0,
            source=source,
            logged_model=model_id,
            run=row["run_id"] or None,
            run_link=row.get("run_link") or "",
            stage=row["current_stage"] or "None",
            description=row["description"] or "",
            creator=row["user_id"] or "",
            tags={tag["key"]: tag["value"] or "" for tag in tags},
            files="" if model_id else row.get("storage_location") or source,
        )

    def _inputs(self, run_id: str) -> list[DatasetInput]:
        if "inputs" not in self._tables:
            return []
        asked = (
            "SELECT i.input_uuid, d.name, d.digest, d.dataset_source_type AS source_type, d.dataset_source AS source, "
            "d.dataset_schema AS schema, d.dataset_profile AS profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
            "WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = ? ORDER BY i.input_uuid"
        )
        found = self._all(asked, run_id)
        return [input_of(row, self._pairs("input_tags", "input_uuid", row["input_uuid"], "name")) for row in found]

    def _models_of(self, run_id: str) -> list[ImportedModel]:
        if "inputs" not in self._tables:
            return []
        outputs = "SELECT destination_id AS id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' AND source_id = ?"
        read = "SELECT destination_id AS id FROM inputs WHERE source_type = 'RUN_INPUT' AND source_id = ?"
        made = [ImportedModel(row["id"], "output", row.get("step") or 0) for row in self._all(outputs, run_id)]
        return made + [ImportedModel(row["id"], "input") for row in self._all(read, run_id)]

    def _folder(self, place: str) -> Path | None:
        """Where the artifacts of this address lie on this machine, None where none were ever stored. Raises Unreachable."""
        direct = local_path(place)
        if direct is not None and direct.is_dir():
            return direct
        path = place.partition("mlflow-artifacts:")[2] if direct is None else place
        segments = [segment for segment in path.split("/") if segment not in ("", ".", "..")]
        # A store that was moved keeps the last parts of its addresses: experiment, run, `artifacts`.
        for root in self._roots:
            for length in range(min(len(segments), 6), 1, -1):
                candidate = root.joinpath(*segments[-length:])
                if candidate.is_dir():
                    return candidate
        # MLflow makes the folder of a run with its first artifact: the store is here, and this run has none.
        stores = self._roots if direct is None else direct.parents[:3]
        if any(store.is_dir() for store in stores):
            return None
        raise Unreachable(f"{place} cannot be read from here; name the folder it was stored in with --artifacts")

    def _pairs(self, table: str, column: str, value: Any, key: str = "key", text: str = "value") -> dict[str, str]:
        if table not in self._tables:
            return {}
        found = self._db.execute(f"SELECT {key} AS k, {text} AS v FROM {table} WHERE {column} = ? ORDER BY {key}", (value,))
        return {row["k"]: "" if row["v"] is None else str(row["v"]) for row in found}

    def _all(self, asked: str, *values: Any) -> Iterator[dict[str, Any]]:
        cursor = self._db.execute(asked, values)
        while rows := cursor.fetchmany(FETCH):
            for row in rows:
                yield dict(row)
