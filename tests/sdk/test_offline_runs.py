"""Runs whose server is away: they go on in a journal on disk and are sent afterwards, each value once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import tilth
from tilth.sdk import connection, journal, journal_reading, spill, syncing
from tilth.sdk.http import Http
from tilth.wire.journal import Logged

Read = Callable[..., Any]


@pytest.fixture
def offline(brittle: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs of this process do not talk to the server; `tilth sync` does."""
    monkeypatch.setenv("TILTH_MODE", "offline")
    connection.forget()
    return brittle


def sent(server: Any, root: Path, **options: Any) -> syncing.Report:
    to = syncing.Destination(Http(server.url, server.token), "", "default", anywhere=options.get("anywhere", False))
    return syncing.sync(root, to)


def counts(found: Any) -> dict[str, int]:
    return {metric.key: metric.count for metric in found.metrics if not metric.key.startswith("system/")}


def artifacts(server: Any, run_id: str) -> dict[str, int]:
    headers = {"authorization": f"Bearer {server.token}"}
    answer = httpx.get(f"{server.url}/api/v1/p/default/runs/{run_id}/artifacts?recursive=true", headers=headers)
    return {entry["path"]: entry["size"] for entry in answer.json()["files"]}


def program(server: Any, root: Path, code: str, **environment: str) -> subprocess.Popen[str]:
    known = {**server.environment, "TILTH_JOURNAL": str(root), **environment}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=known
    )


def test_an_offline_run_is_kept_whole_and_sent_later_once(
    offline: Any, read: Read, journal_root: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"w" * 100_000)
    with tilth.run("far", experiment="field", tags={"team": "x"}, params={"depth": 3}) as run:
        for step in range(2500):
            run.log(loss=1 / (step + 1), step=step)
        run.note("no network here")
        run.log_artifact(tmp_path / "weights.bin")
        run.use_dataset("small", [1, 2, 3])
        run.flush()
    assert f"waits on disk in {journal_root}" in capsys.readouterr().err
    assert (
        httpx.get(
            f"{offline.url}/api/v1/p/default/runs/{run.id}", headers={"authorization": f"Bearer {offline.token}"}
        ).status_code
        == 404
    )
    report = sent(offline, journal_root)
    assert (list(report.sent), report.refused, report.waiting) == ([run.id], [], {})
    found = read(run.id, offline)
    assert (found.run.name, found.run.experiment, found.run.status, found.run.notes) == (
        "far",
        "field",
        "finished",
        "no network here",
    )
    assert (counts(found), found.params, found.tags) == ({"loss": 2500}, {"depth": "3"}, {"team": "x"})
    assert [data.name for data in found.inputs] == ["small"]
    assert artifacts(offline, run.id)["weights.bin"] == 100_000
    assert found.run.started <= found.run.ended
    assert journal_reading.journals(journal_root) == []
    assert sent(offline, journal_root).sent == {}


def test_a_run_begins_without_its_server_and_catches_up_by_itself(
    brittle: Any, read: Read, journal_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "FIRST_PAUSE_S", 0.1)
    brittle.down()
    run = tilth.run("early")
    for step in range(300):
        run.log(loss=step)
    run.log_text("kept on disk meanwhile", "note.txt")
    run.flush()
    assert len(journal_reading.journals(journal_root)) == 1
    brittle.up()
    deadline = time.monotonic() + 20
    while journal_reading.journals(journal_root) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.log(loss=300.0)
    run.finish()
    found = read(run.id, brittle)
    assert (found.run.name, found.run.status, counts(found)) == ("early", "finished", {"loss": 301})
    assert artifacts(brittle, run.id)["note.txt"] == 22
    assert journal_reading.journals(journal_root) == []


def test_a_server_that_goes_away_costs_no_value_and_doubles_none(brittle: Any, read: Read, journal_root: Path) -> None:
    run = tilth.run()
    for step in range(100):
        run.log(loss=step)
    run.flush()
    brittle.down()
    for step in range(100, 1700):
        run.log(loss=step)
    run.params(depth=4)
    run.log_text("late", "late.txt")
    run.finish("failed")
    brittle.up()
    assert read(run.id, brittle).run.status == "running"
    assert sent(brittle, journal_root).waiting == {}
    found = read(run.id, brittle)
    assert (found.run.status, counts(found), found.params) == ("failed", {"loss": 1700}, {"depth": "4"})
    assert "late.txt" in artifacts(brittle, run.id)


def test_a_program_killed_offline_leaves_everything_it_logged(offline: Any, read: Read, journal_root: Path) -> None:
    code = """
import tilth, time
run = tilth.run()
for step in range(700):
    run.log(loss=step)
run.flush()
print(run.id, flush=True)
time.sleep(60)
"""
    child = program(offline, journal_root, code, TILTH_MODE="offline")
    run_id = child.stdout.readline().strip()  # type: ignore[union-attr]
    assert list(sent(offline, journal_root).waiting.values()) == [f"run {run_id} is still writing"]
    child.kill()
    child.communicate()
    assert sent(offline, journal_root).waiting == {}
    found = read(run_id, offline)
    assert (found.run.status, counts(found)) == ("lost", {"loss": 700})
    assert "without saying how" in found.error


def test_syncs_that_are_killed_again_and_again_send_each_value_once(offline: Any, read: Read, journal_root: Path) -> None:
    ids = []
    for _ in range(3):
        with tilth.run() as run:
            for step in range(5000):
                run.log(loss=step, other=step)
            run.tag(number=1)
        ids.append(run.id)
    dice = random.Random(7)
    for _ in range(8):
        command = [sys.executable, "-m", "tilth.cli", "sync", str(journal_root)]
        syncs = [
            subprocess.Popen(command, env=offline.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(2)
        ]
        time.sleep(0.4 + dice.random() * 0.4)
        for one in syncs:
            one.send_signal(signal.SIGKILL)
            one.wait()
    done = subprocess.run(command, env=offline.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for run_id in ids:
        found = read(run_id, offline)
        assert (found.run.status, counts(found)) == ("finished", {"loss": 5000, "other": 5000})
    assert journal_reading.journals(journal_root) == []


def test_a_group_that_was_sent_but_not_noted_is_not_counted_twice(offline: Any, read: Read, journal_root: Path) -> None:
    with tilth.run() as run:
        for step in range(600):
            run.log(loss=step)
            if step % 200 == 199:
                run.flush()
    (folder,) = journal_reading.journals(journal_root)
    position = folder / journal_reading.POSITION
    kept: list[bytes] = []

    def note(size: int) -> None:
        kept.append(position.read_bytes())

    delivery = syncing.Delivery(Http(offline.url, offline.token), "/api/v1/p/default", folder, sent=note)
    delivery.send()
    for earlier in kept:
        position.write_bytes(earlier)
        syncing.Delivery(Http(offline.url, offline.token), "/api/v1/p/default", folder).send()
    assert counts(read(run.id, offline)) == {"loss": 600}


def test_a_pool_of_writers_shares_an_offline_run(offline: Any, read: Read, journal_root: Path) -> None:
    code = """
import multiprocessing, tilth
def work(number):
    for step in range(50):
        tilth.log({f"worker/{number}": step})
    tilth.current_run().flush()
if __name__ == "__main__":
    with tilth.run() as run:
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=work, args=(number,)) for number in range(2)]
        [child.start() for child in children]
        [child.join() for child in children]
        run.log(loss=1.0)
    print(run.id)
"""
    child = program(offline, journal_root, code, TILTH_MODE="offline")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert len(journal_reading.journals(journal_root)) == 3
    assert sent(offline, journal_root).waiting == {}
    assert counts(read(out.strip(), offline)) == {"worker/0": 50, "worker/1": 50, "loss": 1}


def test_what_the_server_refuses_afterwards_stays_on_disk_and_the_rest_arrives(
    offline: Any, read: Read, journal_root: Path
) -> None:
    with tilth.run(params={"depth": 3}) as run:
        run.log(loss=1.0)
    sent(offline, journal_root)
    with tilth.run(resume=run.id) as again:
        again.params({"depth": 4, "rate": 0.1})
        again.log(loss=2.0)
    report = sent(offline, journal_root)
    assert "'depth'" in report.refused[0]
    assert "written once" in report.refused[0]
    found = read(run.id, offline)
    assert (counts(found), found.params, found.run.status) == ({"loss": 2}, {"depth": "3", "rate": "0.1"}, "finished")
    assert [folder.name.endswith(".refused") for folder in journal_root.iterdir()] == [True]
    assert sent(offline, journal_root).refused == []


def test_steps_go_on_where_the_journal_stopped(offline: Any, read: Read, journal_root: Path) -> None:
    with tilth.run() as run:
        run.log(loss=1.0)
        run.log(loss=2.0)
    with tilth.run(resume=run.id) as again:
        again.log(loss=3.0)
    sent(offline, journal_root)
    (loss,) = [metric for metric in read(run.id, offline).metrics if metric.key == "loss"]
    assert (loss.count, loss.step, loss.value) == (3, 2, 3.0)


def test_a_line_torn_by_a_crash_is_left_out_and_a_damaged_one_is_named(offline: Any, journal_root: Path) -> None:
    with tilth.run() as run:
        run.log(loss=1.0)
        run.flush()
        run.log(loss=2.0)
    (folder,) = journal_reading.journals(journal_root)
    file = folder / journal.ENTRIES
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert sum(1 for _ in journal_reading.entries(folder)) == whole.count(b"\n") - 1
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"\0\0\0\n", *lines[2:]]))
    report = sent(offline, journal_root)
    assert "damaged at byte" in report.waiting[folder.name]


def test_a_run_meant_for_another_server_waits_unless_it_is_told_otherwise(
    offline: Any, read: Read, journal_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILTH_URL", "https://elsewhere.example")
    connection.forget()
    with tilth.run() as run:
        run.log(loss=1.0)
    assert "meant for https://elsewhere.example" in next(iter(sent(offline, journal_root).waiting.values()))
    assert sent(offline, journal_root, anywhere=True).sent.keys() == {run.id}


def test_a_wrong_token_gives_nothing_up(offline: Any, read: Read, journal_root: Path) -> None:
    with tilth.run() as run:
        run.log(loss=1.0)
    to = syncing.Destination(Http(offline.url, "tilth_aaaaaaaa_" + "b" * 43), "", "default", anywhere=True)
    assert "token is unknown" in next(iter(syncing.sync(journal_root, to).waiting.values()))
    assert sent(offline, journal_root).sent.keys() == {run.id}


def test_a_file_too_large_to_copy_is_checked_before_it_is_sent(
    offline: Any, journal_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_COPIED_BYTES", 10)
    stays, changes = tmp_path / "stays.bin", tmp_path / "changes.bin"
    stays.write_bytes(b"0123456789ab")
    changes.write_bytes(b"0123456789ab")
    with tilth.run() as run:
        run.log_artifact(stays)
        run.log_artifact(changes)
    changes.write_bytes(b"something else")
    report = sent(offline, journal_root)
    assert "has changed" in report.refused[0]
    assert artifacts(offline, run.id)["stays.bin"] == 12
    assert "changes.bin" not in artifacts(offline, run.id)


def test_every_policy_of_syncing_keeps_what_was_logged(offline: Any, journal_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("each", "second", "never"):
        monkeypatch.setenv("TILTH_JOURNAL_SYNC", name)
        with tilth.run() as run:
            run.log(loss=1.0)
        found = [
            entry
            for folder in journal_reading.journals(journal_root)
            if run.id in folder.name
            for entry, _, _ in journal_reading.entries(folder)
        ]
        assert any(isinstance(entry, Logged) for entry in found)
    monkeypatch.setenv("TILTH_JOURNAL_SYNC", "sometimes")
    with pytest.raises(journal.UnknownPolicy, match="sometimes"):
        tilth.run()


def test_without_any_server_the_program_says_how_to_track_and_the_mode_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.forget()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILTH_MODE", "offline")
    with tilth.run("alone") as run:
        run.log(loss=1.0)
    assert run.url == ""
    with pytest.raises(connection.UnknownMode, match="sometimes"):
        tilth.init(mode="sometimes")  # type: ignore[arg-type]
    connection.forget()
    assert json.loads((next((tmp_path / "journal").iterdir()) / journal.ENTRIES).read_text().splitlines()[0])["name"] == "alone"
    assert os.listdir(tmp_path) == ["journal"]
