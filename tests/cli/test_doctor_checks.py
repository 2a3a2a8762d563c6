"""What the doctor sees."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from pathlib import Path

import msgspec
import pytest

from tilth.app.home import lock_home, prepare_home
from tilth.app.settings import load_settings
from tilth.cli.checks.answers import check_control, check_model_servers, check_ports
from tilth.cli.checks.installation import Origin, check_packages, check_python, origin_of
from tilth.cli.checks.place import check_clock, check_home, check_locks, check_sqlite
from tilth.core.clock import Millis, now
from tilth.core.home import Target
from tilth.wire.plane import STATUS_FOLDER, DeploymentStatus, VersionStatus, WorkerStatus

NOBODY = Target("http://127.0.0.1:9", "t", "p", "http://127.0.0.1:9")
NEWEST = frozenset({"0001"})


def database(path: Path, revision: str = "0001") -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES (?)", [revision])
    connection.execute("CREATE TABLE filling (text TEXT)")
    connection.executemany("INSERT INTO filling VALUES (?)", [["x" * 1000]] * 100)
    connection.commit()
    connection.close()
    return path


def test_an_old_python_and_missing_packages_are_broken_and_missing_extras_are_not() -> None:
    assert check_python((3, 10)).condition == "broken"
    assert check_python().condition == "ok"
    wanted = ["click>=8", "no-such-thing>=1", 'boto9>=1; extra == "s3"', 'uvloop; sys_platform != "win32"']
    found = {finding.what: finding for finding in check_packages(wanted, Origin("/src/tilth"))}
    assert found["packages"].condition == "broken"
    assert "no-such-thing" in found["packages"].found
    assert found["packages"].mend == "run `pip install /src/tilth` in this environment"
    assert (found["extra s3"].condition, found["extra s3"].mend) == ("note", "if you need it: run `pip install '/src/tilth[s3]'`")
    assert found["extra sklearn"].condition == "ok"


def test_extras_are_installed_from_where_tilth_was_installed(tmp_path: Path) -> None:
    clone = tmp_path / "a clone"
    clone.mkdir()
    record = {"url": clone.as_uri(), "dir_info": {"editable": True}}
    assert origin_of(json.dumps(record)).install("s3") == f"pip install --editable '{clone}[s3]'"
    assert origin_of(json.dumps({"url": clone.as_uri(), "dir_info": {}})).install() == f"pip install '{clone}'"


@pytest.mark.parametrize(
    "record", [None, "", "{", "[]", '{"url": 3}', '{"url": "file:///no/such/clone"}', '{"url": "https://x/y"}']
)
def test_extras_are_never_installed_by_a_bare_name(record: str | None) -> None:
    assert origin_of(record).install("s3") == "pip install 'path/to/the/clone[s3]'"


def test_a_home_that_others_may_enter_is_noted(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "home")
    assert {finding.condition for finding in check_home(home)} == {"ok"}
    home.chmod(0o755)
    assert next(check_home(home)).mend == f"run `chmod 700 {home}`"
    (tmp_path / "file").touch()
    assert next(check_home(tmp_path / "file")).condition == "broken"


def test_a_damaged_server_file_and_a_dead_server_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("{")
    assert next(check_locks(tmp_path)).condition == "broken"
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://x", "token": "t", "pid": 2**22 + 1}))
    (dead,) = check_locks(tmp_path)
    assert "which is gone" in dead.found
    with lock_home(tmp_path, "up.lock"):
        (alive,) = check_locks(tmp_path)
    assert alive.condition == "ok"


def test_a_sound_an_older_a_newer_and_a_damaged_database_are_told_apart(tmp_path: Path) -> None:
    path = database(tmp_path / "tilth.db")
    assert [finding.condition for finding in check_sqlite(path, NEWEST, NEWEST)] == ["ok"]
    (older,) = check_sqlite(path, frozenset({"0001", "0002"}), frozenset({"0002"}))
    assert (older.condition, "backup" in older.mend) == ("note", True)
    (newer,) = check_sqlite(path, frozenset({"0000"}), frozenset({"0000"}))
    assert (newer.condition, "install that newer Tilth" in newer.mend) == ("broken", True)
    with path.open("r+b") as stream:
        stream.seek(8192)
        stream.write(b"\xff" * 40_000)
    (damaged,) = check_sqlite(path, NEWEST, NEWEST)
    assert damaged.condition == "broken"
    assert "backup" in damaged.mend


def test_a_clock_that_was_set_back_is_seen(tmp_path: Path) -> None:
    database(tmp_path / "tilth.db")
    assert check_clock(tmp_path, now()).condition == "ok"
    assert "set back" in check_clock(tmp_path, Millis(now() - 3_600_000)).found
    assert "cannot be" in check_clock(tmp_path, Millis(0)).found


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = load_settings(tmp_path, {}, {"port": taken.getsockname()[1], "serve_port": 0})
        port, serve_port = check_ports(settings)
    assert port.condition == "broken"
    assert f"process {os.getpid()}" in port.found
    assert serve_port.condition == "ok"


def test_a_silent_server_is_broken_with_a_next_step(tmp_path: Path) -> None:
    assert "tilth logs control" in check_control(NOBODY).mend
    (silent,) = check_model_servers(tmp_path, NOBODY, now())
    assert silent.found == "none was ever seen"


def test_a_version_that_hangs_is_found(tmp_path: Path) -> None:
    moment = now()
    versions = (
        VersionStatus("shape/1", "stuck", error="a prediction does not end"),
        VersionStatus("shape/2", "ready", remark="hung"),
    )
    status = WorkerStatus("w0", 7, 0, moment, 1, (DeploymentStatus("d", 1, versions=versions),))
    (tmp_path / STATUS_FOLDER).mkdir(parents=True)
    (tmp_path / STATUS_FOLDER / "w0.json").write_bytes(msgspec.json.encode(status))
    found = [finding for finding in check_model_servers(tmp_path, NOBODY, moment) if finding.what == "model"]
    assert [finding.found for finding in found] == [
        "w0 cannot answer for shape/1, which is stuck: a prediction does not end",
        "shape/2 hung in w0",
    ]
