"""A repository, a recorded run of it, and the command line in an empty folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.cli.reproducing.repositories import SCRIPT, git

from tilth.cli.main import cli
from tilth.core.errors import TilthError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit: train.py, steps.py; data/ is not in it."""
    folder = tmp_path / "flights"
    (folder / "data").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("data\n")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "steps.py").write_text("factor = 2\n")
    (folder / "data" / "rows.csv").write_text("a,b\n1,2\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


@pytest.fixture
def tilth(shared_installation, tmp_path, monkeypatch):
    """Calls the command line in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    environment = {
        "TILTH_URL": shared_installation.url,
        "TILTH_TOKEN": shared_installation.owner_token,
        "TILTH_PROJECT": "default",
    }

    def call(*arguments: str, typed: str = "", **more: str):
        return CliRunner().invoke(cli, arguments, env=environment | more, input=typed)

    def refused(*arguments: str, **more: str) -> str:
        """What it says of why it does not do it."""
        error = call(*arguments, **more).exception
        assert isinstance(error, TilthError)
        return str(error)

    call.here, call.environment, call.refused = here, environment, refused  # type: ignore[attr-defined]
    return call


@pytest.fixture
def record(shared_installation, repository):
    """Makes a run whose record says anything."""

    def make(files: dict[str, bytes] | None = None, inputs: list[dict[str, Any]] | None = None, **environment: Any) -> str:
        state = {"commit": git(repository, "rev-parse", "HEAD"), "root": str(repository), "dirty": bool(files)}
        told = {
            "git": state,
            "entry_point": "train.py",
            "argv": ["3"],
            "working_folder": str(repository),
            "hostname": os.uname().nodename,
            **environment,
        }
        base = "/api/v1/p/default/runs"
        client = shared_installation.client
        run_id = str(client.post(base, json={"name": "first", "experiment": "again", "environment": told}).json()["id"])
        for name, data in (files or {}).items():
            assert client.put(f"{base}/{run_id}/artifacts/{name}", content=data).status_code < 300
        assert client.post(f"{base}/{run_id}/log", json={"inputs": inputs or []}).status_code < 300
        assert client.patch(f"{base}/{run_id}", json={"status": "finished"}).status_code == 200
        return run_id

    return make
