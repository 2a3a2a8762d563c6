"""An MLflow tracking server, over its REST API: a client of our own, so that `mlflow` need not be installed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from tilth.cli.moving.folders import files_below, local_path, pieces_of
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
from tilth.core.errors import Denied, Unavailable
from tilth.wire.imports import ImportedModel

TIMEOUT_S = 120.0
ATTEMPTS = 4
PAGE = 500
POINTS_PAGE = 25_000
_PROXY = "mlflow-artifacts:"


class MlflowRest:
    """environ: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD, as for MLflow's own client.

    address: may hold user:password@.
    """

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        parts = urlsplit(address)
        self.name = parts.netloc.rpartition("@")[2]
        user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
        auth = (parts.username, parts.password or "") if parts.username else (user, password or "") if user else None
        token = environ.get("MLFLOW_TRACKING_TOKEN")
        headers = {"authorization": f"Bearer {token}"} if token and auth is None else {}
        url = f"{parts.scheme}://{self.name}{parts.path.rstrip('/')}"
        self._client = httpx.Client(base_url=url, auth=auth, headers=headers, timeout=TIMEOUT_S, follow_redirects=False)

    def experiments(self) -> list[SourceExperiment]:
        found = []
        for row in self._pages("POST", "experiments/search", "experiments", {"view_type": "ALL", "max_results": 1000}):
            created = row.get("creation_time")
            deleted = row.get("lifecycle_stage") == "deleted"
            experiment = SourceExperiment(row["experiment_id"], row["name"], _int(created), deleted, _pairs(row.get("tags")))
            found.append(experiment)
        return sorted(found, key=lambda experiment: (len(experiment.id), experiment.id))

    def count_runs(self, experiment: SourceExperiment) -> int | None:
        return None

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        body = {
            "experiment_ids": [experiment.id],
            "run_view_type": "ALL",
            "max_results": PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        for row in self._pages("POST", "runs/search", "runs", body):
            yield self._run(row, experiment)

    def points(self, run: SourceRun) -> Points:
        # A search tells which metrics there are; only this call tells of every point.
        keys = [metric["key"] for metric in self._get("runs/get", run_id=run.id)["run"].get("data", {}).get("metrics", [])]
        return {key: self._history(run.id, key) for key in sorted(keys)}

    def files(self, place: str) -> Iterator[SourceFile]:
        """place: `run <id> <address>` or `model <id> <address>`."""
        kind, id_, address = place.split(" ", 2)
        folder = local_path(address)
        if folder is not None and folder.is_dir():
            yield from files_below(folder)
            return
        waiting = [""]
        while waiting:
            at = waiting.pop()
            for entry in self._entries(kind, id_, at):
                if entry.get("is_dir"):
                    waiting.append(entry["path"])
                else:
                    size = _int(entry.get("file_size"))
                    yield SourceFile(entry["path"], size, f"{kind} {id_} {entry['path']} {address}")

    def read(self, file: SourceFile) -> Iterator[bytes]:
        if file.place.startswith("/"):
            from_disk = local_path(file.place)
            if from_disk is not None:
                yield from pieces_of(from_disk)
            return
        kind, id_, rest = file.place.split(" ", 2)
        address = rest[len(file.path) + 1 :]
        if address.startswith(_PROXY):
            folder = urlsplit(address).path.strip("/")
            where = f"/api/2.0/mlflow-artifacts/artifacts/{quote(folder)}/{quote(file.path)}"
            yield from self._stream(where, {})
        elif kind == "run":
            yield from self._stream("/get-artifact", {"path": file.path, "run_uuid": id_})
        else:
            where = f"/ajax-api/2.0/mlflow/logged-models/{quote(id_)}/artifacts/files"
            yield from self._stream(where, {"artifact_file_path": file.path})

    def logged_models(self, experiment: SourceExperiment) -> Iterator[SourceLoggedModel]:
        body = {"experiment_ids": [experiment.id], "max_results": 50}
        try:
            for row in self._pages("POST", "logged-models/search", "models", body):
                yield _logged_model(row, experiment)
        except Unreadable:
            # A server older than logged models.
            return

    def models(self) -> Iterator[SourceModel]:
        for row in self._pages("GET", "registered-models/search", "registered_models", {"max_results": 200}):
            name = row["name"]
            asked = {"filter": "name='{}'".format(name.replace("'", "''")), "max_results": 200}
            versions = [_version(found) for found in self._pages("GET", "model-versions/search", "model_versions", asked)]
            yield SourceModel(
                name=name,
                created=_int(row.get("creation_timestamp")) or 0,
                description=row.get("description") or "",
                tags=_pairs(row.get("tags")),
                aliases={alias["alias"]: int(alias["version"]) for alias in row.get("aliases", [])},
                versions=sorted(versions, key=lambda version: version.version),
            )

    def close(self) -> None:
        self._client.close()

    def _run(self, row: dict[str, Any], experiment: SourceExperiment) -> SourceRun:
        info, data = row["info"], row.get("data", {})
        facts = {**info, "name": info.get("run_name")}
        deleted = None
        if info.get("lifecycle_stage") == "deleted":
            deleted = _int(info.get("end_time")) or _int(info.get("start_time")) or 0
        inputs = row.get("inputs", {})
        datasets = [input_of(found["dataset"], _pairs(found.get("tags"))) for found in inputs.get("dataset_inputs", [])]
        models = [
            ImportedModel(m["model_id"], "output", _int(m.get("step")) or 0)
            for m in row.get("outputs", {}).get("model_outputs", [])
        ]
        models += [ImportedModel(m["model_id"], "input") for m in inputs.get("model_inputs", [])]
        id_ = info.get("run_id") or info["run_uuid"]
        return run_of(
            id_,
            experiment.name,
            facts,
            deleted=deleted,
            params=_pairs(data.get("params")),
            tags=_pairs(data.get("tags")),
            inputs=datasets,
            models=models,
            files=f"run {id_} {info.get('artifact_uri', '')}",
        )

    def _history(self, run_id: str, key: str) -> list[tuple[int, int, Any]]:
        asked = {"run_id": run_id, "metric_key": key, "max_results": POINTS_PAGE}
        found = [
            (_int(row.get("step")) or 0, _int(row.get("timestamp")) or 0, value_of(row.get("value", 0)))
            for row in self._pages("GET", "metrics/get-history", "metrics", asked)
        ]
        return sorted(found, key=lambda point: (point[1], point[0], str(point[2])))

    def _entries(self, kind: str, id_: str, at: str) -> Iterator[dict[str, Any]]:
        path = {"path": at} if at else {}
        if kind == "run":
            yield from self._pages("GET", "artifacts/list", "files", {"run_id": id_, **path})
        else:
            folder = {"artifact_directory_path": at} if at else {}
            yield from self._pages("GET", f"logged-models/{quote(id_)}/artifacts/directories", "files", folder)

    def _pages(self, method: str, call: str, key: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            answer = self._get(call, **asked, **more) if method == "GET" else self._call("POST", call, body={**asked, **more})
            yield from answer.get(key, [])
            token = answer.get("next_page_token", "")
            if not token:
                return

    def _get(self, call: str, **asked: Any) -> Any:
        return self._call("GET", call, params=asked)

    def _call(self, method: str, call: str, *, params: Any = None, body: Any = None) -> Any:
        """Tries again while the server is busy or away. Raises Denied, Unavailable, Unreadable."""
        for attempt in range(ATTEMPTS):
            try:
                answer = self._client.request(method, f"/api/2.0/mlflow/{call}", params=params, json=body)
            except httpx.HTTPError as error:
                problem: Exception = Unavailable(f"cannot reach the MLflow server {self.name} ({error}); check the address")
                problem.__cause__ = error
            else:
                if answer.is_success:
                    return self._decoded(answer)
                if answer.status_code in (401, 403):
                    raise Denied(
                        f"the MLflow server {self.name} refused ({answer.status_code}); set MLFLOW_TRACKING_TOKEN, or "
                        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
                    )
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise Unreadable(
                        f"the MLflow server {self.name} answered {call} with {answer.status_code}: {answer.text[:200]}"
                    )
                problem = Unavailable(
                    f"the MLflow server {self.name} answered {call} with {answer.status_code}: {answer.text[:200]}"
                )
            if attempt + 1 < ATTEMPTS:
                time.sleep(0.5 * 2**attempt)
        raise problem

    def _decoded(self, answer: httpx.Response) -> Any:
        try:
            return msgspec.json.decode(answer.content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(f"{self.name} does not answer as an MLflow server does; check the address") from error

    def _stream(self, path: str, params: dict[str, str]) -> Iterator[bytes]:
        try:
            with self._client.stream("GET", path, params=params) as answer:
                if not answer.is_success:
                    raise Unreachable(f"the MLflow server {self.name} answered {answer.status_code} for it")
                yield from answer.iter_bytes(1 << 20)
        except httpx.HTTPError as error:
            raise Unreachable(f"the MLflow server {self.name} broke off: {error}") from error


def _logged_model(row: dict[str, Any], experiment: SourceExperiment) -> SourceLoggedModel:
    info = row["info"]
    return SourceLoggedModel(
        id=info["model_id"],
        experiment=experiment.name,
        name=info.get("name") or "model",
        created=_int(info.get("creation_timestamp_ms")) or 0,
        run=info.get("source_run_id") or None,
        model_type=info.get("model_type") or "",
        creator=str(info.get("creator_id") or ""),
        ready=info.get("status") in ("LOGGED_MODEL_READY", 2),
        params=_pairs(row.get("data", {}).get("params")),
        tags=_pairs(info.get("tags")),
        files=f"model {info['model_id']} {info.get('artifact_uri', '')}",
    )


def _version(row: dict[str, Any]) -> SourceVersion:
    source = row.get("source") or ""
    model_id = row.get("model_id") or (source.removeprefix("models:/") if source.startswith("models:/m-") else None)
    run = row.get("run_id") or None
    inside = source.partition("/artifacts/")[2]
    return SourceVersion(
        version=int(row["version"]),
        created=_int(row.get("creation_timestamp")) or 0,
        source=source,
        logged_model=model_id,
        run=run,
        run_link=row.get("run_link") or "",
        stage=row.get("current_stage") or "None",
        description=row.get("description") or "",
        creator=str(row.get("user_id") or ""),
        tags=_pairs(row.get("tags")),
        files="" if model_id else f"version {run} {inside}" if run and inside else "",
    )


def _pairs(found: list[dict[str, str]] | None) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in found or []}


def _int(value: Any) -> int | None:
    """MLflow writes 64-bit numbers as numbers, older servers as text."""
    return None if value in (None, "") else int(value)
