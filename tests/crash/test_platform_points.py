"""A bare process that seals models, publishes deployments and logs predictions is killed at each place that matters.

What it acknowledged is there, nothing partial is, the audit trail holds, and the next process goes on. Each planted fault is found.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.journeys.steps import logged_predictions

from tilth.app.settings import load_settings
from tilth.backends.blobs import open_blobs
from tilth.backends.sql import Tx, open_database
from tilth.core.clock import now
from tilth.core.hashing import Manifest
from tilth.domains.audit.jobs import Checkpoints, verify_chain
from tilth.domains.audit.queries import events_across_projects
from tilth.domains.audit.types import Intact
from tilth.domains.identity import queries as identity
from tilth.domains.models import queries as models
from tilth.wire import predictions
from tilth.wire.plane import PREDICTIONS_FOLDER, STATE_PATH, PlaneState

WRITER = Path(__file__).parent / "platform_writer.py"
MODEL_POINTS = ("model_before_seal", "model_after_seal", "state_before_rename", "state_after_rename")
LOG_POINTS = ("before_predictions_logged", "after_predictions_logged", "before_segment_closed")
POINTS = [(what, point) for what, points in (("models", MODEL_POINTS), ("predictions", LOG_POINTS)) for point in points]
Write = Callable[..., list[list[Any]]]


@pytest.fixture
def home(migrated_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(migrated_home, tmp_path / "home"))


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, str(WRITER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def write(forks: subprocess.Popen[str], home: Path, tmp_path: Path) -> Write:
    """write(what, how, kill_at): everything that the process said until it ended, or died where it was told to."""

    def run(what: str, how: str = "honest", kill_at: str = "") -> list[list[Any]]:
        assert forks.stdin is not None
        assert forks.stdout is not None
        output = tmp_path / f"said-{time.monotonic_ns()}"
        forks.stdin.write(json.dumps([str(home), what, how, kill_at, str(output)]) + "\n")
        forks.stdin.flush()
        # A place that is never reached must not pass as one that was survived.
        assert int(forks.stdout.readline()) == (-signal.SIGKILL if kill_at else 0)
        return [json.loads(line) for line in output.read_bytes().splitlines()]

    return run


def acknowledged(said: list[list[Any]], kind: str) -> set[str]:
    return {line[2] for line in said if line[1] == kind}


def problems(home: Path, said: list[list[Any]]) -> list[str]:
    """What is wrong with the home, given what the writer was told is safe."""
    return [*_models(home, acknowledged(said, "sealed")), *_state(home, said), *_log(home, acknowledged(said, "predicted"))]


def _models(home: Path, safe: set[str]) -> list[str]:
    database = open_database(load_settings(home, environ={}).database)
    blobs = open_blobs(str(home / "blobs"))
    held = {blob.digest for blob in blobs.scan()}
    wrong: list[str] = []

    def look(tx: Tx) -> None:
        project = identity.project_named(tx, "default")
        if project is None:
            wrong.extend(f"lost {model}" for model in safe)
            return
        audited = {event.thing for event in events_across_projects(tx, words="logged_model.sealed", limit=1000)}
        found = models.logged_models_page(tx, project.id, run_id=None, limit=1000, offset=0).logged_models
        ready = {model.id for model in found if model.status == "ready"}
        wrong.extend(f"lost {model}" for model in safe - ready)
        wrong.extend(f"half sealed {model}" for model in ready ^ audited)
        for model in found:
            files = models.files_of(tx, project.id, model.id)
            if model.status == "ready" and Manifest.of(files).digest != model.manifest_digest:
                wrong.append(f"sealed over other files {model.id}")
            wrong.extend(f"without bytes {entry.path} of {model.id}" for entry in files if entry.digest not in held)

    try:
        database.read_blocking(look)
        if not isinstance(verify_chain(database, Checkpoints(home / "audit", now)), Intact):
            wrong.append("the audit trail does not hold")
    finally:
        database.close()
    return wrong


def _state(home: Path, said: list[list[Any]]) -> list[str]:
    safe = acknowledged(said, "published")
    try:
        state = msgspec.json.decode((home / STATE_PATH).read_bytes(), type=PlaneState)
    except FileNotFoundError:
        return [f"lost {name}" for name in safe]
    except msgspec.DecodeError:
        return ["the state is partial"]
    return [f"lost {name}" for name in safe - {deployment.name for deployment in state.deployments}]


def _log(home: Path, safe: set[str]) -> list[str]:
    wrong = [f"lost {id_}" for id_ in safe - logged_predictions(home).keys()]
    for path in (home / PREDICTIONS_FOLDER).glob("*.closed"):
        with path.open("rb") as segment:
            if predictions.scan(segment).torn_bytes:
                wrong.append(f"partial {path.name}")
    return wrong


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(("what", "point"), POINTS)
def test_a_kill_loses_nothing_acknowledged_and_leaves_nothing_partial(
    home: Path, write: Write, what: str, point: str, nth: int
) -> None:
    assert problems(home, write(what, kill_at=f"{point}:{nth}")) == []


def test_after_many_kills_the_next_process_goes_on_and_clears_up(home: Path, write: Write) -> None:
    said = write("models", kill_at="model_after_seal:2") + write("models", kill_at="state_before_rename:2")
    said += write("predictions", kill_at="before_segment_closed:1") + write("models") + write("predictions")
    assert problems(home, said) == []
    assert all(line[3] for line in said)
    assert [path.name for path in (home / STATE_PATH).parent.glob(".state*")] == []
    assert {path.suffix for path in (home / PREDICTIONS_FOLDER).iterdir()} == {".closed"}


@pytest.mark.parametrize(("what", "point"), [POINTS[0], POINTS[2], POINTS[4]])
def test_an_acknowledgement_before_the_work_is_found(home: Path, write: Write, what: str, point: str) -> None:
    said = write(what, "acknowledges_early", f"{point}:2")
    assert any(problem.startswith("lost") for problem in problems(home, said))


def test_a_rename_before_the_bytes_is_found(home: Path, write: Write) -> None:
    assert "the state is partial" in problems(home, write("models", "renames_first", "state_after_rename:2"))


@pytest.mark.parametrize("fault", ["skips_sync_of_files", "skips_sync_of_folders"])
@pytest.mark.parametrize(("what", "kind"), [("models", "published"), ("predictions", "predicted")])
def test_a_skipped_sync_is_found(write: Write, what: str, kind: str, fault: str) -> None:
    assert {line[1] for line in write(what, fault) if not line[3]} == {kind}


def test_a_model_whose_bytes_are_gone_is_found(home: Path, write: Write) -> None:
    said = write("models", kill_at="state_after_rename:2")
    gone = next(iter(open_blobs(str(home / "blobs")).scan())).digest
    (home / "blobs" / gone[:2] / gone[2:4] / gone).unlink()
    assert any(problem.startswith("without bytes") for problem in problems(home, said))


def test_a_checkpoint_that_was_torn_by_a_power_cut_spoils_no_later_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, now)
    checkpoints.write(1, "a" * 64)
    with (tmp_path / "checkpoints.jsonl").open("a") as stream:
        stream.write('{"position": 2, "ha')
    assert [checkpoint.position for checkpoint in checkpoints.read() or []] == [1]
    checkpoints.write(3, "c" * 64)
    checkpoints.write(3, "c" * 64)
    assert [checkpoint.position for checkpoint in checkpoints.read() or []] == [1, 3]
