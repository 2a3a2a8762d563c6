"""An mlruns folder: MLflow's file store, read without MLflow. YAML is read as plain data, never as objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

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
    Unreadable,
)
from tilth.wire.imports import ImportedModel
from tilth.wire.tracking import DatasetInput

META = "meta.yaml"
MAX_META_BYTES = 4_000_000
MAX_META_PARTS = 100_000


class MlflowFiles:
    """folder: the one that MLflow calls `mlruns`."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        self._places = {path.parent.name: path.parent for path in self._metas() if _experiment_id(path)}
        if not self._places and not (folder / "models").is_dir():
            raise Unreadable(f"{folder} is not an mlruns folder: no folder in it holds the {META} of an experiment")

    def _metas(self) -> list[Path]:
        return sorted([*self._folder.glob(f"*/{META}"), *self._folder.glob(f".trash/*/{META}")])

    def experiments(self) -> list[SourceExperiment]:
        found = []
        for id_, place in self._places.items():
            meta = read_meta(place / META)
            deleted = meta.get("lifecycle_stage") == "deleted" or place.parent.name == ".trash"
            created = meta.get("creation_time")
            found.append(SourceExperiment(id_, str(meta.get("name") or id_), created, deleted, _texts(place / "tags")))
        return sorted(found, key=lambda experiment: (len(experiment.id), experiment.id))

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        return sum(1 for _ in self._run_folders(experiment))

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        for folder in self._run_folders(experiment):
            meta = read_meta(folder / META)
            deleted = None
            if meta.get("lifecycle_stage") == "deleted":
                deleted = int(meta.get("deleted_time") or meta.get("end_time") or meta.get("start_time") or 0)
            yield run_of(
                folder.name,
                experiment.name,
                {**meta, "name": meta.get("run_name") or meta.get("name")},
                deleted=deleted,
                params=_texts(folder / "params"),
                tags=_texts(folder / "tags"),
                inputs=_inputs(folder),
                models=_models_of(folder),
                files=str(folder / "artifacts"),
            )

    def points(self, run: SourceRun) -> Points:
        found: Points = {}
        folder = Path(run.files).parent / "metrics"
        for path in _files(folder):
            points = [_point(line, path) for line in path.read_text("utf-8").splitlines() if line.strip()]
            # As in the SQL store, where a point that was logged twice is one.
            points = sorted(set(points), key=lambda point: (point[1], point[0], str(point[2])))
            found[path.relative_to(folder).as_posix()] = points
        return found

    def files(self, place: str) -> Iterator[SourceFile]:
        folder = Path(place)
        if not folder.exists() and folder.parent.is_dir():
            return iter(())
        return files_below(check_artifacts(folder))

    def read(self, file: SourceFile) -> Iterator[bytes]:
        return pieces_of(Path(file.place))

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]:
        for path in sorted((self._places[experiment.id] / "models").glob(f"*/{META}")):
            meta, folder = read_meta(path), path.parent
            if meta.get("lifecycle_stage") == "deleted":
                continue
            tags = _texts(folder / "tags")
            yield SourceLoggedModel(
                id=str(meta.get("model_id") or folder.name),
                experiment=experiment.name,
                name=str(meta.get("name") or folder.name),
                created=int(meta.get("creation_timestamp") or 0),
                run=meta.get("source_run_id"),
                model_type=meta.get("model_type") or "",
                creator=tags.get("mlflow.user", ""),
                ready=meta.get("status") in (2, "READY"),
                params=_texts(folder / "params"),
                tags=tags,
                files=str(folder / "artifacts"),
            )

    def models(self) -> Iterator[SourceModel]:
        for path in sorted((self._folder / "models").glob(f"*/{META}")):
            meta, folder = read_meta(path), path.parent
            aliases = {file.name: int(file.read_text("utf-8").strip()) for file in _files(folder / "aliases")}
            versions = [self._version(found) for found in folder.glob(f"version-*/{META}")]
            yield SourceModel(
                name=str(meta.get("name") or folder.name),
                created=int(meta.get("creation_timestamp") or 0),
                description=meta.get("description") or "",
                tags=_texts(folder / "tags"),
                aliases=aliases,
                versions=sorted((v for v in versions if v is not None), key=lambda v: v.version),
            )

    def close(self) -> None:
        """Nothing is held open."""

    def _version(self, path: Path) -> SourceVersion | None:
        meta = read_meta(path)
        if meta.get("current_stage") == "Deleted_Internal":
            return None
        source = str(meta.get("source") or "")
        model_id = meta.get("model_id") or (source.removeprefix("models:/") if source.startswith("models:/m-") else None)
        return SourceVersion(
            version=int(meta.get("version") or path.parent.name.removeprefix("version-")),
            created=int(meta.get("creation_timestamp") or 0),
            source=source,
            logged_model=model_id,
            run=meta.get("run_id") or None,
            run_link=meta.get("run_link") or "",
            stage=meta.get("current_stage") or "None",
            description=meta.get("description") or "",
            creator=meta.get("user_id") or "",
            tags=_texts(path.parent / "tags"),
            files="" if model_id else self._moved(str(meta.get("storage_location") or source)),
        )

    def _moved(self, place: str) -> str:
        """The folder of an address, also after the whole store was moved: its last parts lie below ours."""
        direct = local_path(place)
        if direct is None or direct.is_dir():
            return place if direct is None else str(direct)
        segments = [segment for segment in direct.parts if segment not in ("/", "..")]
        for length in range(min(len(segments), 8), 1, -1):
            candidate = self._folder.joinpath(*segments[-length:])
            if candidate.is_dir():
                return str(candidate)
        return place

    def _run_folders(self, experiment: SourceExperiment) -> Iterator[Path]:
        for path in sorted(self._places[experiment.id].glob(f"*/{META}")):
            yield path.parent


def read_meta(path: Path) -> dict[str, Any]:
    """Raises Unreadable. Only plain YAML; a number stays a number, a quoted one a text."""
    try:
        if not path.is_file():
            raise Unreadable(f"{path} is no plain file")
        if path.stat().st_size > MAX_META_BYTES:
            raise Unreadable(f"{path} is larger than {MAX_META_BYTES:,} bytes: no file of MLflow is")
        found = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise Unreadable(f"{path} cannot be read: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise Unreadable(f"{path} holds no fields")
    if _more_than(MAX_META_PARTS, found):
        raise Unreadable(f"{path} unfolds to more than {MAX_META_PARTS:,} parts: no file of MLflow does")
    return found


def _more_than(most: int, found: Any) -> bool:
    """Whether there are more parts than that. A few lines of YAML that refer to one another can stand for billions."""
    seen, waiting = 0, [found]
    while waiting and seen <= most:
        part = waiting.pop()
        inside = (
            [*part.keys(), *part.values()] if isinstance(part, dict) else part if isinstance(part, list | tuple | set) else []
        )
        seen += 1 + len(inside)
        waiting.extend(inside)
    return seen > most


def _experiment_id(path: Path) -> bool:
    try:
        return "experiment_id" in read_meta(path)
    except Unreadable:
        return False


def _files(folder: Path) -> list[Path]:
    """Keys may hold `/`, which are folders here. Links are left out: they could lead anywhere."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8", errors="replace").rstrip("\n") for path in _files(folder)
    }


def _point(line: str, path: Path) -> tuple[int, int, Any]:
    words = line.split()
    if len(words) < 2:
        raise Unreadable(f"{path} has the line {line[:60]!r}, which is no point of a metric")
    return (int(words[2]) if len(words) > 2 else 0, int(words[0]), value_of(words[1]))


def _inputs(folder: Path) -> list[DatasetInput]:
    found = []
    for path in sorted((folder / "inputs").glob(f"*/{META}")):
        meta = read_meta(path)
        dataset = folder.parent / "datasets" / str(meta.get("source_id")) / META
        if meta.get("source_type") == "DATASET" and dataset.is_file():
            tags = meta.get("tags") or {}
            found.append(input_of(read_meta(dataset), tags if isinstance(tags, dict) else {}))
    return found


def _models_of(folder: Path) -> list[ImportedModel]:
    made = [read_meta(path) for path in sorted((folder / "outputs").glob(f"*/{META}"))]
    read = [read_meta(path) for path in sorted((folder / "inputs").glob(f"*/{META}"))]
    models = [ImportedModel(str(meta["destination_id"]), "output", int(meta.get("step") or 0)) for meta in made]
    return models + [ImportedModel(str(meta["source_id"]), "input") for meta in read if meta.get("source_type") == "MODEL"]
