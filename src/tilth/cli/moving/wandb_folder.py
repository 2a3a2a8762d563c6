"""Runs of W&B in folders: those that its client leaves (`wandb/run-*`, `wandb/offline-run-*`), and those that people export by its API.

A folder of the first kind holds `run-<id>.wandb` and `files/`. One of the second holds `history.jsonl`, `.csv` or `.parquet` beside
`config.yaml` or `.json` and `summary.json`, and perhaps `metadata.json` or `run.json` with name, id, state, project.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars
import yaml

from tilth.cli.moving.folders import files_below, pieces_of
from tilth.cli.moving.source import (
    Points,
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
    Unreadable,
)
from tilth.cli.moving.wandb_log import WandbLog, read_log
from tilth.wire.tracking import Environment, GitState, MetricValue

DEPTH = 4
HISTORIES = ("history.jsonl", "history.csv", "history.parquet", "history.json")
FACTS = ("run.json", "metadata.json", "files/wandb-metadata.json", "wandb-metadata.json")
CONFIGS = ("config.yaml", "config.json", "files/config.yaml")
SUMMARIES = ("summary.json", "files/wandb-summary.json", "wandb-summary.json")
STATES = {"finished": "finished", "failed": "failed", "killed": "killed", "crashed": "lost", "running": "running"}
MAX_DOCUMENT_BYTES = 64 << 20
_OWN = frozenset((*HISTORIES, "config.json", "summary.json", "run.json"))
"""Files of an export that are taken apart; everything else is an artifact."""


class WandbFolder:
    """folder: one run, the folder `wandb`, or any folder above, four levels at most. project: of runs that name none."""

    def __init__(self, folder: Path, project: str = "") -> None:
        self.name = folder.name
        self._folder = folder
        self._project = project or (folder.resolve().parent.name if folder.name == "wandb" else folder.resolve().name) or "wandb"
        self._runs = {str(at): at for at in sorted(_run_folders(folder))}
        if not self._runs:
            raise Unreadable(
                f"{folder} holds no runs of W&B: neither `run-*` folders with a .wandb file nor folders with a history and a config"
            )
        self._logs: dict[str, WandbLog] = {}
        self._projects = {place: self._facts(at)[1] for place, at in self._runs.items()}

    def experiments(self) -> list[SourceExperiment]:
        return [SourceExperiment(name, name) for name in sorted(set(self._projects.values()))]

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        return sum(1 for name in self._projects.values() if name == experiment.name)

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        for place, at in self._runs.items():
            if self._projects[place] == experiment.name:
                yield self._run(at, experiment.name)

    def points(self, run: SourceRun) -> Points:
        at = Path(run.files)
        found: Points = {}
        log = self._log(at)
        rows = log.history or list(_history(at))
        last = 0
        for number, row in enumerate(rows):
            step = _whole(row.get("_step"), number)
            moment = _moment_of(row.get("_timestamp"), run.started)
            last = max(last, step)
            for key, value in _flat(row):
                if not key.startswith("_"):
                    _add(found, key, step, moment, value)
        for number, (moment, values) in enumerate(log.stats):
            for key, value in _flat(values):
                _add(found, f"system/{key}", number, moment or run.started, value)
        for key, value in _flat(self._summary(at)):
            if key not in found and not key.startswith("_"):
                _add(found, key, last, run.ended or run.started, value)
        return found

    def files(self, place: str) -> Iterator[SourceFile]:
        at = Path(place)
        inner = at / "files"
        has_inner = inner.is_dir() and not inner.is_symlink()
        for file in files_below(inner if has_inner else at):
            if not file.path.endswith(".wandb") and (has_inner or file.path not in _OWN):
                yield file

    def read(self, file: SourceFile) -> Iterator[bytes]:
        return pieces_of(Path(file.place))

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]:
        return iter(())

    def models(self) -> Iterator[SourceModel]:
        return iter(())

    def close(self) -> None:
        """Nothing is held open."""

    def _run(self, at: Path, experiment: str) -> SourceRun:
        log, (facts, _) = self._log(at), self._facts(at)
        id_ = log.run_id or str(facts.get("id") or at.name.rpartition("-")[2])
        started = log.started or _moment_of(facts.get("created_at") or facts.get("startedAt") or facts.get("createdAt"), 0)
        started = started or int(at.stat().st_mtime * 1000)
        ended = self._ended(at, log, started)
        state = (
            {None: "lost", 0: "finished"}.get(log.exit_code, "failed")
            if log.run_id
            else STATES.get(str(facts.get("state")), "finished")
        )
        texts = {
            f"summary.{key}": value
            for key, value in self._summary(at).items()
            if isinstance(value, str) and not key.startswith("_")
        }
        words = {"wandb.group": log.group, "wandb.job_type": log.job_type, "wandb.entity": log.entity}
        labels = log.tags or [str(tag) for tag in facts.get("tags") or []]
        return SourceRun(
            id=f"{log.entity or facts.get('entity') or ''}/{experiment}/{id_}",
            experiment=experiment,
            name=log.name or str(facts.get("name") or facts.get("display_name") or id_),
            status=state,
            started=started,
            ended=None if state == "running" else ended,
            user=str(facts.get("username") or facts.get("user") or ""),
            origin=str(facts.get("program") or ""),
            notes=log.notes or str(facts.get("notes") or ""),
            environment=_environment(facts, log),
            params={key: _word(value) for key, value in self._config(at, log) if key and key != "_wandb"},
            tags={"wandb.id": id_, **{key: value for key, value in words.items() if value}, **texts}
            | ({"wandb.tags": ", ".join(labels)} if labels else {}),
            files=str(at),
        )

    def _ended(self, at: Path, log: WandbLog, started: int) -> int:
        rows = log.history
        last = _moment_of(rows[-1].get("_timestamp"), 0) if rows else 0
        summary = self._summary(at)
        runtime = summary.get("_runtime", log.runtime_s)
        length = runtime * 1000 if isinstance(runtime, int | float) and math.isfinite(runtime) else 0
        return max(started, last, int(started + length), _moment_of(summary.get("_timestamp"), 0))

    def _log(self, at: Path) -> WandbLog:
        place = str(at)
        if place not in self._logs:
            self._logs.clear()
            found = sorted(at.glob("*.wandb"))
            self._logs[place] = read_log(found[0]) if found else WandbLog()
        return self._logs[place]

    def _facts(self, at: Path) -> tuple[dict[str, Any], str]:
        """What is written beside the run, and its project."""
        facts: dict[str, Any] = {}
        for name in reversed(FACTS):
            facts |= _document(at / name)
        project = self._log(at).project or facts.get("project") or self._project
        return facts, str(project)

    def _config(self, at: Path, log: WandbLog) -> Iterator[tuple[str, Any]]:
        config = log.config or next((found for name in CONFIGS if (found := _document(at / name))), {})
        # Written to a file, each value stands below the word `value`, beside a description.
        plain = {
            key: v["value"] if isinstance(v, dict) and set(v) <= {"value", "desc"} and "value" in v else v
            for key, v in config.items()
        }
        yield from _flat({key: value for key, value in plain.items() if key not in ("_wandb", "wandb_version")})

    def _summary(self, at: Path) -> dict[str, Any]:
        log = self._log(at)
        return log.summary or next((found for name in SUMMARIES if (found := _document(at / name))), {})


def _run_folders(folder: Path) -> Iterator[Path]:
    depth = len(folder.parts)
    for place, names, files in os.walk(folder):
        at = Path(place)
        is_log = any(name.endswith(".wandb") for name in files)
        is_export = any(name in HISTORIES for name in files) or {"config.json", "summary.json"} <= set(files)
        if is_log or is_export or "wandb-summary.json" in (os.listdir(at / "files") if "files" in names else ()):
            names.clear()
            yield at
        elif len(at.parts) - depth >= DEPTH:
            names.clear()
        else:
            # `latest-run` is a link to one of the others, which os.walk does not follow.
            names.sort()


def _document(path: Path) -> dict[str, Any]:
    """A JSON or YAML file of fields; nothing where there is none. Raises Unreadable."""
    if not path.is_file() or path.is_symlink():
        return {}
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise Unreadable(f"{path} is larger than {MAX_DOCUMENT_BYTES >> 20} MiB")
        text = path.read_text("utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise Unreadable(f"{path} cannot be read: {str(error)[:200]}") from error
    return found if isinstance(found, dict) else {}


def _history(at: Path) -> Iterator[dict[str, Any]]:
    """Rows of an exported history. Raises Unreadable."""
    for name in HISTORIES:
        path = at / name
        if not path.is_file():
            continue
        try:
            yield from _rows(path)
        except (OSError, ValueError, csv.Error) as error:
            raise Unreadable(f"{path} cannot be read: {str(error)[:200]}") from error
        return


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    if path.suffix == ".parquet":
        yield from polars.read_parquet(path).iter_rows(named=True)
        return
    with path.open(encoding="utf-8-sig", newline="") as opened:
        if path.suffix == ".csv":
            for row in csv.DictReader(opened):
                yield {key: _number(text) for key, text in row.items() if key}
        elif path.suffix == ".json":
            yield from (row for row in json.load(opened) if isinstance(row, dict))
        else:
            yield from (row for line in opened if line.strip() and isinstance(row := json.loads(line), dict))


def _flat(row: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dicts as dotted keys. Media (dicts with `_type`) are files and give nothing here."""
    for key, value in row.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            if "_type" not in value:
                yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _add(found: Points, key: str, step: int, moment: int, value: Any) -> None:
    number: MetricValue
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        number = value  # type: ignore[assignment]
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return
    else:
        number = (
            float(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        )
    found.setdefault(key, []).append((step, moment, number))


def _whole(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise


def _number(text: str | None) -> Any:
    try:
        return float(text) if text not in (None, "") else None
    except (TypeError, ValueError):
        return text


def _moment_of(value: Any, otherwise: int) -> int:
    """Seconds, or a date as text, in ms."""
    if isinstance(value, int | float) and math.isfinite(value) and value > 0:
        return round(value * 1000)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return otherwise
        # What W&B writes without a zone is UTC.
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return otherwise


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _environment(facts: dict[str, Any], log: WandbLog) -> Environment | None:
    git = facts.get("git") if isinstance(facts.get("git"), dict) else {}
    commit = log.commit or str((git or {}).get("commit") or "")
    if not commit and not facts.get("program") and not facts.get("python"):
        return None
    remote = log.remote or str((git or {}).get("remote") or "")
    arguments = facts.get("args")
    return Environment(
        git=GitState(commit, "", remote) if commit else None,
        entry_point=str(facts.get("program") or ""),
        argv=[str(argument) for argument in arguments] if isinstance(arguments, list) else [],
        python=str(facts.get("python") or ""),
        platform=str(facts.get("os") or ""),
        hostname=str(facts.get("host") or ""),
        cpu_count=_whole(facts.get("cpu_count"), 0),
    )
