"""`tilth up` with the true control process and model servers, and the verbs that talk to it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tilth.cli.main import run

TRAIN = """
import numpy, pandas, sys, tilth
from sklearn.linear_model import LogisticRegression
rows = pandas.DataFrame(numpy.random.default_rng(1).normal(size=(100, 2)), columns=["a", "b"])
with tilth.run() as run:
    run.log(auc=0.75, step=1)
    tilth.log_model(LogisticRegression().fit(rows, rows["a"] > 0), name="toy", example=rows.head(3))
"""


class Up:
    """A running `tilth up`."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TILTH_", "MLFLOW_"))}
        command = [
            sys.executable,
            "-m",
            "tilth.cli.main",
            "up",
            "--home",
            str(home),
            *(options or ("--port", "0", "--serve-port", "0")),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean)
        self.url = ""

    def wait_ready(self) -> Up:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready http://127.0.0.1:"):
            raise AssertionError(f"not ready: {line!r} {self.process.communicate()}")
        self.url = line.split()[1]
        return self

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def server(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "server.json").read_text())
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up") / "home").wait_ready()
    yield running
    running.process.terminate()
    running.process.communicate(timeout=15)


@pytest.fixture
def tilth(up: Up, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command against the server; returns its stdout. Asserts that it succeeds."""

    def call(*arguments: str) -> str:
        capsys.readouterr()
        code = run([*arguments, "--home", str(up.home)])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return call


def gone(pid: int) -> bool:
    for _ in range(150):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def test_it_says_where_it_is_and_what_is_deployed(up: Up, tilth: Callable[..., str]) -> None:
    status = json.loads(tilth("status", "--json"))
    assert (status["url"], status["project"], status["deployments"]) == (up.url, "default", status["deployments"])
    assert "signed in as" in tilth("status")


def test_projects_and_tokens_are_made_listed_and_ended(
    up: Up, tilth: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    tilth("project", "create", "pricing", "--description", "Prices of tickets")
    assert "Prices of tickets" in tilth("project", "show", "pricing")
    assert {row["name"] for row in json.loads(tilth("projects", "list", "--json"))} >= {"default", "pricing"}
    assert run(["project", "create", "pricing", "--home", str(up.home)]) == 1
    assert "error: project 'pricing' exists already" in capsys.readouterr().err
    made = json.loads(tilth("token", "create", "shop", "--scope", "read", "--project", "pricing", "--json"))
    with_token = ["--url", up.url, "--token", made["secret"]]
    assert run(["run", "list", "--project", "pricing", *with_token]) == 0
    assert run(["project", "create", "more", *with_token]) == 1
    assert "manage" in capsys.readouterr().err
    tilth("token", "revoke", made["token"]["id"])
    assert "shop" not in tilth("token", "list")
    assert "shop" in tilth("token", "list", "--all")
    actions = [row["action"] for row in json.loads(tilth("audit", "list", "--everywhere", "--json"))]
    assert {"project.created", "token.created", "token.revoked"} <= set(actions)


def test_the_audit_trail_is_verified_beside_a_running_server(tilth: Callable[..., str]) -> None:
    assert re.match(r"the audit trail holds: \d+ events", tilth("audit", "verify"))


def test_the_doctor_finds_nothing_broken(tilth: Callable[..., str]) -> None:
    assert "nothing is broken" in tilth("doctor")


def test_a_browser_is_signed_in_once_by_the_link(up: Up, tilth: Callable[..., str]) -> None:
    link = tilth("open", "--print").strip()
    assert link.startswith(f"{up.url}/login/")
    with socket.create_connection(("127.0.0.1", int(up.url.rpartition(":")[2]))) as connection:
        path = link.removeprefix(up.url)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = connection.makefile().read()
    assert "tilth_session=" in answer


def test_a_program_runs_inside_a_run_that_ends_as_it_does(up: Up, tilth: Callable[..., str], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = f'printf "%s\\n" "$TILTH_URL" "$TILTH_RUN_ID" "$MLFLOW_TRACKING_URI" > {seen}; exit 3'
    assert run(["exec", "--home", str(up.home), "--experiment", "shells", "--", "sh", "-c", program]) == 3
    url, run_id, mlflow = seen.read_text().split()
    assert (url, mlflow) == (up.url, f"{up.url}/p/default")
    found = json.loads(tilth("run", "show", run_id, "--json"))
    assert (found["run"]["status"], found["error"], found["run"]["experiment"]) == ("failed", "exit code 3", "shells")
    assert run_id in tilth("run", "list", "--experiment", "shells")
    tilth("run", "delete", run_id)
    assert run_id not in tilth("run", "list")
    tilth("run", "restore", run_id)
    assert run_id in tilth("run", "list")


def test_a_program_that_is_not_there_makes_no_run(up: Up, tilth: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exec", "--home", str(up.home), "--experiment", "none", "--", "/no/such/program"]) == 1
    assert "/no/such/program" in capsys.readouterr().err


def test_a_model_goes_from_a_script_to_a_prediction_and_survives_the_death_of_control(
    up: Up, tilth: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    assert run(["exec", "--home", str(up.home), "--", sys.executable, str(script)]) == 0
    assert "toy" in tilth("models", "list")
    tilth("model", "alias", "toy/1", "champion")
    assert "is live" in tilth("deploy", "toy@champion", "--wait")
    (row,) = json.loads(tilth("deployment", "list", "--json"))
    assert (row["name"], row["version"], row["status"]["state"]) == ("toy", 1, "live")
    assert "champion" in tilth("deployment", "show", "toy")

    control = int(up.server()["pid"])
    os.kill(control, signal.SIGKILL)
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n3,0\n-3,0\n")
    high, low = (float(line) for line in tilth("predict", "toy", "--in", str(rows)).splitlines())
    assert high > 0.9 > 0.1 > low
    assert gone(control)
    for _ in range(150):
        with suppress(OSError), urllib.request.urlopen(f"{up.url}/api/v1/health", timeout=5) as answer:
            assert answer.status == 200
            break
        time.sleep(0.1)
    else:
        pytest.fail("control was not started again")

    assert run(["predict", "toy", "--json-rows", '[{"a": 1}]', "--home", str(up.home)]) == 1
    assert "column 'b' is missing" in capsys.readouterr().err
    assert run(["deployment", "rollback", "toy", "--to", "9", "--home", str(up.home)]) == 1
    assert "no generation 9" in capsys.readouterr().err
    assert run(["deploy", "toy/1", "--wait", "--home", str(up.home)]) == 0
    assert capsys.readouterr().err == ""
    assert "version 1" in tilth("deployment", "rollback", "toy", "--to", "1", "--wait")
    tilth("deployment", "delete", "toy")


def test_a_second_up_on_the_home_or_port_is_refused_with_who_holds_it(up: Up, tmp_path: Path) -> None:
    _, err = Up(up.home).process.communicate(timeout=20)
    assert re.fullmatch(
        rf"error: home {up.home} is in use .*process {up.process.pid}\), which answers at {up.url}; .*--home\n", err
    )
    port = up.url.rpartition(":")[2]
    second = Up(tmp_path / "other", "--port", port, "--serve-port", "0")
    out, err = second.process.communicate(timeout=20)
    assert (second.process.returncode, out) == (1, "")
    assert re.match(rf"error: port {port} on 127.0.0.1 is in use by process \d+ .*--port", err)


def test_stop_ends_all_and_nothing_more_was_said(tmp_path: Path) -> None:
    running = Up(tmp_path / "home").wait_ready()
    pids = running.children()
    assert len(pids) >= 2
    assert run(["stop", "--home", str(running.home)]) == 0
    out, err = running.process.communicate(timeout=15)
    assert (running.process.returncode, out, err) == (0, "", "")
    assert all(gone(pid) for pid in pids)
    assert not (running.home / "server.json").exists()
    assert run(["stop", "--home", str(running.home)]) == 1


def test_nothing_outlives_a_killed_up_and_a_newer_database_is_refused(tmp_path: Path) -> None:
    running = Up(tmp_path / "home").wait_ready()
    pids = running.children()
    running.process.kill()
    running.process.communicate()
    assert all(gone(pid) for pid in pids)

    connection = sqlite3.connect(running.home / "tilth.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    newer = Up(running.home)
    out, err = newer.process.communicate(timeout=30)
    assert (newer.process.returncode, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "newer" in err
    assert run(["doctor", "--home", str(running.home)]) == 1
