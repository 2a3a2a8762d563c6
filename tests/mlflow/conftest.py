"""The unmodified MLflow client against one installation for each module."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="session")
def mlflow_module() -> Any:
    """Imported here, since it takes seconds; warnings of its own import are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
    return mlflow


@pytest.fixture
def mlflow(mlflow_module: Any, shared_installation: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The fluent API, pointed at the installation by the two variables that `tilth env` prints."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", shared_installation.owner_token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    mlflow_module.set_tracking_uri(shared_installation.url)
    yield mlflow_module
    while mlflow_module.active_run() is not None:
        mlflow_module.end_run()
    mlflow_module.set_tracking_uri(None)
    mlflow_module.tracking.fluent._active_experiment_id = None


@pytest.fixture
def ml(mlflow: Any) -> Any:
    """A client of the lower interface."""
    return mlflow.MlflowClient()


class Wire:
    """Calls as they travel."""

    def __init__(self, client: httpx.Client, prefix: str = "/api/2.0/mlflow") -> None:
        self._client = client
        self._prefix = prefix

    def post(self, call: str, body: object = None, **options: Any) -> httpx.Response:
        return self._client.post(f"{self._prefix}/{call}", json={} if body is None else body, **options)

    def get(self, call: str, **params: Any) -> httpx.Response:
        return self._client.get(f"{self._prefix}/{call}", params=params)

    def run(self, **fields: Any) -> str:
        """A new run's id."""
        answer = self.post("runs/create", {"experiment_id": "0", "start_time": 1, **fields})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["run"]["info"]["run_id"])


@pytest.fixture
def wire(shared_installation: Any) -> Wire:
    return Wire(shared_installation.client)
