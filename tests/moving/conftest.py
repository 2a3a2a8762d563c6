"""Real stores of MLflow, made by MLflow itself, and a server to move into."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tilth.cli.main import cli

MAKER = Path(__file__).with_name("make_mlflow_store.py")


def make_stores(folder: Path, *uris: str) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, str(MAKER), *uris]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=180)
    assert made.returncode == 0, made.stderr[-3000:]


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two experiments in a folder and in a database. Tests only read them."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    files = tmp_path_factory.mktemp("mlflow-files")
    make_stores(folder, f"sqlite:///{folder / 'mlflow.db'}", f"file://{files / 'mlruns'}")
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
