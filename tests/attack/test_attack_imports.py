"""Stores that somebody hands on: links out of the folder, YAML that unfolds without end, values and databases that are none."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tilth.cli.moving.careful import Careful
from tilth.cli.moving.mlflow_files import MlflowFiles
from tilth.cli.moving.mlflow_sqlite import MlflowSqlite
from tilth.cli.moving.source import SourceRun, Unreachable, Unreadable
from tilth.cli.moving.wandb_folder import WandbFolder
from tilth.sdk.importing.formats import found_at
from tilth.sdk.importing.types import NotImportable

RUN = "a" * 32
SECRET = "a secret of this machine"
EXPERIMENT = "experiment_id: '0'\nlifecycle_stage: active\nname: trial\n"
FACTS = f"run_id: {RUN}\nrun_name: one\nstatus: 3\nstart_time: 1\nend_time: 5\n"
TABLES = """
create table experiments(experiment_id, name, lifecycle_stage, creation_time);
create table runs(run_uuid, experiment_id, name, status, start_time, end_time, artifact_uri, lifecycle_stage, user_id, deleted_time);
create table metrics(key, value, timestamp, step, is_nan, run_uuid);
create table params(key, value, run_uuid);
create table tags(key, value, run_uuid);
insert into experiments values (0, 'trial', 'active', 1);
"""


@pytest.fixture
def outside(tmp_path) -> Path:
    """A folder of whoever imports, which the store must not reach."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "key").write_text(SECRET)
    return folder


@pytest.fixture
def mlruns(tmp_path) -> Path:
    run = tmp_path / "mlruns" / "0" / RUN
    for part in ("params", "tags", "metrics", "artifacts"):
        (run / part).mkdir(parents=True)
    (run.parent / "meta.yaml").write_text(EXPERIMENT)
    (run / "meta.yaml").write_text(FACTS)
    (run / "params" / "depth").write_text("7")
    (run / "artifacts" / "note.txt").write_text("mine")
    return tmp_path / "mlruns"


@pytest.fixture
def database(tmp_path) -> Callable[..., MlflowSqlite]:
    def make(sql: str) -> MlflowSqlite:
        with sqlite3.connect(tmp_path / "mlflow.db") as db:
            db.executescript(sql)
        db.close()
        return MlflowSqlite(tmp_path / "mlflow.db")

    return make


def all_of(source: MlflowFiles | MlflowSqlite | WandbFolder) -> tuple[list[SourceRun], dict[str, bytes]]:
    """Runs of the first experiment, and the files of the first of them."""
    careful = Careful(source)
    runs = list(careful.runs(careful.experiments()[0]))
    for run in runs:
        careful.points(run)
    return runs, {file.path: b"".join(careful.read(file)) for file in careful.files(runs[0].files)}


def test_a_link_shows_no_file_of_another_folder_and_plain_files_come(mlruns, outside):
    run = mlruns / "0" / RUN
    for part in ("params", "tags", "artifacts"):
        (run / part / "stolen").symlink_to(outside / "key")
    runs, files = all_of(MlflowFiles(mlruns))
    assert (runs[0].params, runs[0].tags, files) == ({"depth": "7"}, {}, {"note.txt": b"mine"})


@pytest.mark.parametrize("part", ["params", "artifacts"])
def test_a_folder_that_is_a_link_shows_nothing(mlruns, outside, part):
    folder = mlruns / "0" / RUN / part
    next(folder.iterdir()).unlink()
    folder.rmdir()
    folder.symlink_to(outside)
    if part == "artifacts":
        with pytest.raises(Unreachable, match="no folder of artifacts"):
            all_of(MlflowFiles(mlruns))
    else:
        assert all_of(MlflowFiles(mlruns))[0][0].params == {}


@pytest.mark.parametrize("stolen", ["{}", "file://{}", "{}/../outside"])
def test_a_store_names_no_other_folder_of_the_machine_as_its_artifacts(mlruns, outside, database, stolen):
    place = stolen.format(outside)
    with pytest.raises(Unreachable, match="no folder of artifacts"):
        all_of(
            database(TABLES + f"insert into runs values ('{RUN}', 0, 'one', 'FINISHED', 1, 5, '{place}', 'active', 'u', null);")
        )
    version = mlruns / "models" / "m" / "version-1"
    version.mkdir(parents=True)
    (version.parent / "meta.yaml").write_text("name: m\ncreation_timestamp: 1\n")
    (version / "meta.yaml").write_text(f"name: m\nversion: 1\ncreation_timestamp: 1\nsource: {place}\n")
    source = MlflowFiles(mlruns)
    with pytest.raises(Unreachable, match="no folder of artifacts"):
        list(source.files(next(source.models()).versions[0].files))


def test_a_store_names_folders_of_artifacts_and_of_models_wherever_they_lie(tmp_path, outside, database):
    artifacts = tmp_path / "disk" / RUN / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "note.txt").write_text("mine")
    source = database(
        TABLES + f"insert into runs values ('{RUN}', 0, 'one', 'FINISHED', 1, 5, '{artifacts}', 'active', 'u', null);"
    )
    assert all_of(source)[1] == {"note.txt": b"mine"}
    (outside / "MLmodel").write_text("flavors: {}")
    assert sorted(file.path for file in source.files(str(outside))) == ["MLmodel", "key"]


def bomb(key: str) -> str:
    """Less than 1 KB that stand for ten billion texts."""
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join([*lines, f"{key}: *l9\n"])


def test_yaml_that_unfolds_without_end_is_refused_at_once(mlruns):
    meta = mlruns / "0" / RUN / "meta.yaml"
    meta.write_text(FACTS.replace("run_name: one\n", "") + bomb("run_name"))
    with pytest.raises(Unreadable, match="unfolds"):
        all_of(MlflowFiles(mlruns))
    meta.write_text(FACTS + "tags: &some [a, b]\nmore: *some\n")
    assert len(all_of(MlflowFiles(mlruns))[0]) == 1


def test_yaml_makes_no_objects(mlruns, tmp_path):
    made = tmp_path / "made"
    (mlruns / "0" / RUN / "meta.yaml").write_text(FACTS + f"x: !!python/object/apply:os.mkdir ['{made}']\n")
    with pytest.raises(Unreadable):
        all_of(MlflowFiles(mlruns))
    assert not made.exists()


def test_a_pipe_in_place_of_a_file_holds_nobody_up(mlruns):
    run = mlruns / "0" / RUN
    os.mkfifo(run / "params" / "pipe")
    os.mkfifo(run / "artifacts" / "pipe")
    assert all_of(MlflowFiles(mlruns))[1] == {"note.txt": b"mine"}
    (run / "meta.yaml").unlink()
    os.mkfifo(run / "meta.yaml")
    with pytest.raises(Unreadable, match="no plain file"):
        all_of(MlflowFiles(mlruns))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("meta.yaml", b"start_time: then\nstatus: 3\n"),
        ("meta.yaml", b"start_time: [1]\nstatus: {}\n"),
        ("meta.yaml", b"\xff\xfe"),
        ("metrics/auc", b"x y z\n"),
        ("metrics/auc", b"9" * 5000 + b" 1 0\n"),
        ("metrics/auc", b"\xff\xfe\x00"),
        ("metrics/auc", b"1\n"),
    ],
)
def test_values_that_are_none_are_the_fault_of_the_store(mlruns, path, content):
    (mlruns / "0" / RUN / path).write_bytes(content)
    with pytest.raises(Unreadable, match=r"cannot be read|no point of a metric"):
        all_of(MlflowFiles(mlruns))


def test_a_database_of_another_shape_is_the_fault_of_the_store(database, tmp_path):
    with pytest.raises(Unreadable, match="no such column"):
        all_of(database("".join(f"create table {name}(a);" for name in ("experiments", "runs", "metrics", "params", "tags"))))
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(Unreadable, match="not a SQLite database"):
        MlflowSqlite(tmp_path / "mlflow.db")


def test_one_damaged_run_keeps_the_others_from_nothing(mlruns, tilth_server):
    other = mlruns / "0" / ("b" * 32)
    (other / "metrics").mkdir(parents=True)
    (other / "meta.yaml").write_text(FACTS.replace(RUN, "b" * 32).replace("one", "two"))
    (other / "metrics" / "auc").write_text("1 0.5 0\n")
    (mlruns / "0" / RUN / "metrics" / "auc").write_text("x y z\n")
    with tilth_server.client() as client:
        assert client.post("/api/v1/projects", json={"name": "imported"}).status_code == 201
        came = tilth_server.tilth("import", "mlflow", str(mlruns), "-p", "imported")
        assert (came.returncode, "metrics of run" in came.stdout + came.stderr) == (1, True), came.stderr
        found = client.get("/api/v1/p/imported/runs").json()["runs"]
    assert sorted(row["run"]["name"] for row in found) == ["one", "two"]


def test_a_device_that_never_ends_is_no_model():
    with pytest.raises(NotImportable, match="neither a file nor a folder"):
        found_at(Path("/dev/zero"))
