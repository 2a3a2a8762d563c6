"""Real stores of MLflow, made by MLflow itself, and a server to move into."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tilth.cli.main import cli

MAKE = """
import sys, mlflow
from mlflow import MlflowClient
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("flights")
with mlflow.start_run(run_name="first") as run:
    mlflow.log_params({"depth": 3, "long": "x" * 500})
    mlflow.log_metrics({"auc": 0.7, "odd": float("nan")})
    for start in range(0, 6000, 1000):
        points = [mlflow.entities.Metric("loss", 1 / (s + 1), 1000 + s, s) for s in range(start, start + 1000)]
        MlflowClient().log_batch(run.info.run_id, metrics=points)
    mlflow.set_tag("team", "a")
    mlflow.set_tag("mlflow.note.content", "went well")
    mlflow.log_text("hello", "notes/a.txt")
    mlflow.log_text("world", "b.txt")
    data = MetaDataset(HTTPDatasetSource("http://example.test/d"), name="d1", digest="1234")
    mlflow.log_input(data, context="training")
    echo = lambda model_input: model_input
    mlflow.pyfunc.log_model(name="model", python_model=echo, pip_requirements=[], registered_model_name="churn")
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_metric("x", 1)
client = MlflowClient()
client.set_registered_model_alias("churn", "champion", 1)
client.update_registered_model("churn", "predicts churn")
client.set_model_version_tag("churn", "1", "k", "v")
with mlflow.start_run(run_name="dead") as dead:
    mlflow.log_param("p", "1")
client.delete_run(dead.info.run_id)
"""


def make_store(folder: Path, uri: str) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    made = subprocess.run(
        [sys.executable, "-c", MAKE, uri], cwd=folder, capture_output=True, text=True, env=environment, timeout=120
    )
    assert made.returncode == 0, made.stderr[-3000:]


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two experiments in a folder and in a database. Tests only read them."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    make_store(folder, f"sqlite:///{folder / 'mlflow.db'}")
    files = tmp_path_factory.mktemp("mlflow-files")
    make_store(files, f"file://{files / 'mlruns'}")
    return {"sqlite": folder / "mlflow.db", "files": files / "mlruns"}


@pytest.fixture
def tilth(installation) -> Callable[..., Result]:
    """Runs the command line in this process, against the installation of the test."""

    def call(*arguments: str, project: str = "default") -> Result:
        environment = {"TILTH_URL": installation.url, "TILTH_TOKEN": installation.owner_token, "TILTH_PROJECT": project}
        result = CliRunner().invoke(cli, arguments, env=environment, standalone_mode=False)
        if result.exception is None:
            result.exit_code = result.return_value or 0
        return result

    return call
