"""A whole project as open files: Parquet tables, artifacts by path, models as MLflow folders, and a manifest with every digest.

A file that is there with the right digest is not fetched again, so that an export that was stopped goes on; tables are written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tilth.cli.moving.departure import Departure
from tilth.cli.moving.tables import TableWriter
from tilth.cli.moving.tally import Tally
from tilth.core.clock import now
from tilth.core.errors import Damaged, Invalid, TilthError
from tilth.core.hashing import address_of_file
from tilth.core.names import check_artifact_path
from tilth.wire.imports import ImportRun, RunTally
from tilth.wire.tracking import to_builtins

MANIFEST = "manifest.json"
FORMAT = "tilth-export"
FORMAT_VERSION = 1
TABLES = {
    "experiments": {"name": "text", "created": "int", "tags": "text"},
    "runs": {
        **dict.fromkeys(("id", "experiment", "name", "status"), "text"),
        **dict.fromkeys(("started", "ended"), "int"),
        **dict.fromkeys(("user_name", "source", "notes", "error", "parent_run_id"), "text"),
        "archived": "int",
        **dict.fromkeys(("environment", "models"), "text"),
    },
    "params": dict.fromkeys(("run_id", "key", "value"), "text"),
    "tags": dict.fromkeys(("run_id", "key", "value"), "text"),
    "metrics": {"run_id": "text", "key": "text", "step": "int", "ts": "int", "value": "float"},
    "inputs": dict.fromkeys(
        ("run_id", "name", "digest", "context", "source_type", "source", "schema", "profile", "tags"), "text"
    ),
    "artifacts": {"run_id": "text", "path": "text", "size": "int", "digest": "text"},
    "logged_models": {
        **dict.fromkeys(("id", "name", "experiment", "run_id", "model_type", "creator", "status"), "text"),
        "created": "int",
        **dict.fromkeys(("params", "tags", "folder"), "text"),
    },
    "logged_model_files": {"logged_model_id": "text", "path": "text", "size": "int", "digest": "text"},
    "models": {
        "name": "text",
        "created": "int",
        **dict.fromkeys(("description", "creator", "tags", "aliases"), "text"),
    },
    "versions": {
        "model": "text",
        "version": "int",
        "created": "int",
        **dict.fromkeys(("source", "logged_model_id", "run_id", "stage", "description", "creator", "tags"), "text"),
    },
}


_COUNTED = {
    "experiments": "experiments",
    "runs": "runs",
    "metric points": "metrics",
    "params": "params",
    "tags": "tags",
    "data sets": "inputs",
    "logged models": "logged_models",
    "models": "models",
    "versions": "versions",
}
"""What is counted -> the table that holds it."""


class NotEmpty(Invalid):
    """A folder that holds something else."""


def export_project(here: Departure, folder: Path, project: str, progress: Callable[[int], None]) -> Tally:
    """Writes everything into the folder, which is made, or goes on in one that holds an unfinished export of the same project."""
    _begin(folder, project)
    tally = Tally()
    tables = {name: TableWriter(folder, name, columns) for name, columns in TABLES.items()}
    names = {found["id"]: found["name"] for found in here.experiments()}
    for found in here.experiments():
        tables["experiments"].add((found["name"], found["created"], _json(found["tags"])))
    tally.came("experiments", len(names))
    for run, held in here.runs():
        _export_run(here, folder, tables, run, held, tally)
        progress(1)
    _export_models(here, folder, tables, names, tally)
    for table in tables.values():
        table.close()
    for kind, name in _COUNTED.items():
        tally.found(kind, tables[name].rows)
    _finish(folder, project, tally)
    return tally


def _export_run(
    here: Departure, folder: Path, tables: dict[str, TableWriter], run: ImportRun, held: RunTally, tally: Tally
) -> None:
    tally.came("runs")
    tally.came("metric points", sum(held.points.values()))
    tally.came("params", held.params)
    tally.came("tags", held.tags)
    tally.came("data sets", held.inputs)
    environment = None if run.environment is None else _json(to_builtins(run.environment))
    facts = (
        run.id,
        run.experiment,
        run.name,
        run.status,
        run.started,
        run.ended,
        run.user_name,
        run.source,
        run.notes,
        run.error,
    )
    tables["runs"].add((*facts, run.parent_run_id, run.archived, environment, _json(to_builtins(run.models))))
    for name, pairs in (("params", run.params), ("tags", run.tags)):
        for key, value in pairs.items():
            tables[name].add((run.id, key, value))
    for data in run.inputs:
        words = (data.name, data.digest, data.context, data.source_type, data.source, data.schema, data.profile)
        tables["inputs"].add((run.id, *words, _json(data.tags or {})))
    for metric, step, ts, number in here.points(run.id) if held.points else ():
        tables["metrics"].add((run.id, metric, step, ts, float(number)))
    for path, size, digest in here.artifacts(run.id) if held.artifacts else ():
        tally.came("artifacts")
        tally.came("artifact bytes", size)
        tables["artifacts"].add((run.id, path, size, digest))
        at = folder / "artifacts" / check_artifact_path(run.id) / check_artifact_path(path)
        if _fetch(at, digest, partial(here.artifact, run.id, path), tally):
            tally.found("artifacts")
            tally.found("artifact bytes", at.stat().st_size)


def _export_models(here: Departure, folder: Path, tables: dict[str, TableWriter], names: dict[str, str], tally: Tally) -> None:
    for found in here.logged_models():
        id_ = found["id"]
        tally.came("logged models")
        facts = (id_, found["name"], names.get(found["experiment_id"]), found["source_run_id"], found["model_type"])
        rest = (found["creator"], found["status"], found["created"], _json(found["params"]), _json(found["tags"]))
        tables["logged_models"].add((*facts, *rest, f"logged_models/{id_}"))
        for file in found["files"]:
            tables["logged_model_files"].add((id_, file["path"], file["size"], file["digest"]))
            at = folder / "logged_models" / check_artifact_path(id_) / check_artifact_path(file["path"])
            _fetch(at, file["digest"], partial(here.model_file, id_, file["path"]), tally)
    for model, versions in here.models():
        tally.came("models")
        tally.came("versions", len(versions))
        said = (model["name"], model["created"], model["description"], model["creator"])
        tables["models"].add((*said, _json(model["tags"]), _json(model["aliases"])))
        for version in versions:
            origin = version.get("source") or f"models:/{version['logged_model_id']}"
            words = (version["logged_model_id"], version["run_id"], version["stage"], version["description"], version["creator"])
            number, created = version["version"], version["created"]
            tables["versions"].add((model["name"], number, created, origin, *words, _json(version["tags"])))
            if version["logged_model_id"]:
                _link(folder, version["logged_model_id"], model["name"], number)


def _fetch(at: Path, digest: str, pieces: Callable[[], Iterator[bytes]], tally: Tally) -> bool:
    """Whether the file is there with these bytes now."""
    if at.is_file() and not at.is_symlink() and address_of_file(at) == digest:
        return True
    at.parent.mkdir(parents=True, exist_ok=True)
    unfinished = at.with_name(f".{at.name[:200]}.partial")
    hasher = hashlib.sha256()
    try:
        with unfinished.open("wb") as opened:
            for piece in pieces():
                opened.write(piece)
                hasher.update(piece)
        if hasher.hexdigest() != digest:
            raise Damaged(f"{at.name} came with other bytes than the server announced")
    except TilthError as error:
        unfinished.unlink(missing_ok=True)
        tally.missing.append(f"{at}: {error}")
        return False
    unfinished.rename(at)
    return True


def _link(folder: Path, logged_model_id: str, model: str, version: int) -> None:
    """models/<name>/<version>/: the MLflow folder again under the name people know; links, where the file system has them."""
    origin = folder / "logged_models" / logged_model_id
    for path in origin.rglob("*") if origin.is_dir() else ():
        at = folder / "models" / check_artifact_path(model) / str(version) / path.relative_to(origin)
        if not path.is_file() or at.exists():
            continue
        at.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, at)
        except OSError:
            shutil.copyfile(path, at)


def _begin(folder: Path, project: str) -> None:
    """Raises NotEmpty."""
    begun = folder / "unfinished.json"
    if (folder / MANIFEST).is_file():
        raise NotEmpty(f"{folder} holds a finished export already; name another folder")
    if folder.is_dir() and any(folder.iterdir()):
        try:
            same = json.loads(begun.read_text())["project"] == project
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise NotEmpty(f"{folder} is not empty and holds no unfinished export of project {project!r}; name another folder")
        for name in TABLES:
            shutil.rmtree(folder / f"{name}.parquet", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    begun.write_text(_json({"project": project}))


def _finish(folder: Path, project: str, tally: Tally) -> None:
    """The manifest comes last: a folder with one is complete."""
    if not tally.complete:
        return
    begun = folder / "unfinished.json"
    begun.unlink(missing_ok=True)
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": address_of_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "project": project,
        "exported": now(),
        "counts": tally.here,
        "files": files,
    }
    unfinished = folder / f"{MANIFEST}.partial"
    unfinished.write_text(json.dumps(manifest, indent=1, ensure_ascii=False))
    unfinished.rename(folder / MANIFEST)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
