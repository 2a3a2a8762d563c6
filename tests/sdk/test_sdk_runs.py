"""Tracking a program with the SDK, against a server on a real socket."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from matplotlib.figure import Figure

import tilth
from tilth.core.errors import Conflict, Invalid, NotFound, Unauthenticated
from tilth.core.names import InvalidName
from tilth.sdk import connection, sender
from tilth.sdk.errors import InvalidLog, NoCurrentRun, NoServerAnswers, NotEverythingSent, RunHasEnded, RunStillOpen

Read = Callable[..., Any]


def values(detail: Any) -> dict[str, Any]:
    return {metric.key: metric.value for metric in detail.metrics if not metric.key.startswith("system/")}


def test_a_run_is_tracked_from_start_to_end(live: Any, read: Read) -> None:
    with tilth.run("first", experiment="sdk", tags={"team": "x"}, params={"rate": 0.1}) as run:
        for step in range(3):
            run.log(loss=1 / (step + 1), step=step)
        run.log({"val/auc": 0.7}, step=2)
        run.params(depth=7)
        run.note("**why**")
    found = read(run.id)
    assert (found.run.name, found.run.experiment, found.run.status, found.run.notes) == ("first", "sdk", "finished", "**why**")
    assert values(found) == {"loss": 1 / 3, "val/auc": 0.7}
    assert (found.params, found.tags) == ({"rate": "0.1", "depth": "7"}, {"team": "x"})
    assert run.url == f"{live.url}/p/default/runs/{run.id}"


def test_code_machine_and_resource_use_are_captured(live: Any, read: Read) -> None:
    with tilth.run() as run:
        pass
    found = read(run.id)
    assert found.environment.python.startswith("3.")
    assert found.environment.cpu_count >= 1
    assert found.environment.memory_mb > 100
    assert found.resources.peak_rss_mb > 1
    assert {"system/cpu_percent", "system/memory_mb", "system/process_memory_mb"} <= {metric.key for metric in found.metrics}
    packages = httpx.get(
        f"{live.url}/api/v1/p/default/runs/{run.id}/artifacts/environment/packages.txt",
        headers={"authorization": f"Bearer {live.token}"},
    ).text
    assert "httpx==" in packages


def test_metrics_without_a_step_count_up_by_themselves(live: Any, read: Read) -> None:
    with tilth.run() as run:
        for _ in range(3):
            run.log(loss=1.0)
        run.log(loss=1.0, step=10)
        run.log(loss=1.0, other=2.0)
    steps = {metric.key: metric.step for metric in read(run.id).metrics}
    assert (steps["loss"], steps["other"]) == (11, 0)


def test_nan_infinities_and_numpy_numbers_are_metrics(live: Any, read: Read) -> None:
    with tilth.run() as run:
        run.log(a=float("nan"), b=float("inf"), c=np.float32(0.5), d=np.int64(3), e=True)
    assert values(read(run.id)) == {"a": "NaN", "b": "Infinity", "c": 0.5, "d": 3.0, "e": 1.0}


def test_what_cannot_be_logged_is_refused_at_once(live: Any) -> None:
    with tilth.run() as run:
        run.params(depth=7)
        run.params(depth="7")
        for wrong in (
            lambda: run.log(loss="high"),
            lambda: run.log(loss=1.0, step=1.5),
            lambda: run.params(depth=8),
            lambda: run.params(long="x" * 6001),
            lambda: run.tag(long="x" * 8001),
            lambda: run.log_artifact("no such file"),
            lambda: run.log_figure(object(), "x.png"),
        ):
            with pytest.raises(InvalidLog):
                wrong()
        with pytest.raises(InvalidName):
            run.log({"../x": 1.0})
        with pytest.raises(InvalidName):
            run.log_text("x", "../x")
    with pytest.raises(RunHasEnded, match="resume="):
        run.log(loss=1.0)


def test_an_exception_marks_the_run_failed_and_loses_nothing(live: Any, read: Read) -> None:
    run = tilth.run()

    def train() -> None:
        with run:
            run.log({f"m{n}": n for n in range(700)})
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        train()
    found = read(run.id)
    assert found.run.status == "failed"
    assert "RuntimeError: boom" in found.error
    assert "test_sdk_runs.py" in found.error
    assert len(values(found)) == 700


def test_an_interrupted_run_is_killed_and_a_clean_exit_is_not(live: Any, read: Read) -> None:
    with pytest.raises(KeyboardInterrupt), tilth.run() as interrupted:
        raise KeyboardInterrupt
    with pytest.raises(SystemExit), tilth.run() as left:
        raise SystemExit(0)
    with pytest.raises(SystemExit), tilth.run() as broken:
        raise SystemExit(3)
    assert [read(run.id).run.status for run in (interrupted, left, broken)] == ["killed", "finished", "failed"]


def test_runs_nest_only_when_asked(live: Any, read: Read) -> None:
    with tilth.run("outer", experiment="trees") as outer:
        with pytest.raises(RunStillOpen, match="'outer' is still open"):
            tilth.run("inner")
        with tilth.run("inner", nested=True) as inner:
            assert tilth.current_run() is inner
        assert tilth.current_run() is outer
    assert tilth.current_run() is None
    assert read(inner.id).run.parent_run_id == outer.id
    assert read(inner.id).run.experiment == "trees"


def test_a_run_is_resumed_where_it_stopped(live: Any, read: Read) -> None:
    with tilth.run() as first:
        first.log(loss=1.0)
    with tilth.run(resume=first.id) as again:
        assert read(first.id).run.status == "running"
        again.log(loss=2.0)
    (loss,) = [metric for metric in read(first.id).metrics if metric.key == "loss"]
    assert (again.id, loss.step, loss.count, loss.value) == (first.id, 1, 2, 2.0)


def test_module_functions_speak_to_the_current_run(live: Any, read: Read) -> None:
    with pytest.raises(NoCurrentRun, match=r"with tilth\.run"):
        tilth.log(loss=1.0)
    with tilth.run() as run:
        tilth.log(loss=1.0)
        tilth.params(depth=7)
        tilth.tag(team="x", gone=None)
        tilth.log_text("hello", "a.txt")
        tilth.log_json({"a": 1}, "b.json")
        tilth.note("n")
    found = read(run.id)
    assert (values(found), found.params, found.tags, found.run.notes) == ({"loss": 1.0}, {"depth": "7"}, {"team": "x"}, "n")
    tilth.finish()


def test_files_folders_and_figures_are_stored(live: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.bin").write_bytes(b"\0" * 3_000_000)
    (tmp_path / "b.txt").write_text("b")
    with tilth.run() as run:
        run.log_artifact(tmp_path, "out")
        run.log_artifact(tmp_path / "b.txt")
        run.log_figure(Figure(), "plots/empty.png")
        run.log_figure(Figure(), "plots/empty.svg")
    listed = httpx.get(
        f"{live.url}/api/v1/p/default/runs/{run.id}/artifacts?recursive=true", headers={"authorization": f"Bearer {live.token}"}
    ).json()["files"]
    sizes = {entry["path"]: entry["size"] for entry in listed}
    assert sizes["out/deep/a.bin"] == 3_000_000
    assert {"b.txt", "out/b.txt", "plots/empty.png", "plots/empty.svg"} <= sizes.keys()


def test_runs_are_listed_by_filter(live: Any) -> None:
    for number in range(3):
        with tilth.run(experiment="listed") as run:
            run.log(score=number)
    found = tilth.runs("score>=1", experiment="listed", order_by="score desc")
    assert [row.metrics["score"] for row in found] == [2.0, 1.0]
    assert len(tilth.runs(experiment="listed", limit=2)) == 2
    with pytest.raises(Invalid, match="a value is missing"):
        tilth.runs("score>")


def test_what_the_server_refuses_is_raised_and_the_rest_is_kept(live: Any, read: Read) -> None:
    run = tilth.run(params={"depth": 7})
    run.flush()
    with httpx.Client(base_url=live.url, headers={"authorization": f"Bearer {live.token}"}) as other:
        other.post(f"/api/v1/p/default/runs/{run.id}/log", json={"params": {"rate": "1"}})
    run.params(rate=2, good=1)
    run.log(loss=1.0)
    with pytest.raises(Conflict, match="'rate' of run"):
        run.finish()
    found = read(run.id)
    assert (values(found), found.params) == ({"loss": 1.0}, {"depth": "7", "rate": "1", "good": "1"})
    assert found.run.status == "finished"


def test_several_threads_log_to_one_run(live: Any, read: Read) -> None:
    with tilth.run() as run:

        def work(name: str) -> None:
            for step in range(300):
                run.log({name: step}, step=step)

        threads = [threading.Thread(target=work, args=(f"m{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = {metric.key: metric.count for metric in read(run.id).metrics if metric.key.startswith("m")}
    assert counts == dict.fromkeys(("m0", "m1", "m2", "m3"), 300)


def test_nothing_is_lost_or_doubled_while_the_server_is_away(brittle: Any, read: Read) -> None:
    with tilth.run() as run:
        run.log(loss=0.0)
        run.flush()
        brittle.down()
        for step in range(1, 50):
            run.log(loss=step)
        time.sleep(0.5)
        brittle.up()
    found = read(run.id, brittle)
    (loss,) = [metric for metric in found.metrics if metric.key == "loss"]
    assert (loss.count, loss.value, found.run.status) == (50, 49.0, "finished")


def test_what_could_not_be_sent_is_said(brittle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tilth.run()
    run.flush()
    brittle.down()
    monkeypatch.setenv("TILTH_FLUSH_TIMEOUT_S", "0.5")
    run.log(loss=1.0)
    with pytest.raises(NotEverythingSent, match="1 logged values could not be sent"):
        run.flush(0.3)
    run.finish()
    connection.forget()
    monkeypatch.setenv("TILTH_MODE", "online")
    with pytest.raises(NoServerAnswers, match="start one with `tilth up`"):
        tilth.run()


def test_a_full_queue_makes_the_program_wait(live: Any, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "MAX_WAITING", 100)
    with tilth.run() as run:
        for step in range(1000):
            run.log(loss=step)
            assert len(run._sender._metrics) <= 110
    assert {metric.key: metric.count for metric in read(run.id).metrics}["loss"] == 1000


def test_no_server_and_no_home_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.forget()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match=r"no Tilth server found.*`tilth up`"):
        tilth.run()


def test_a_wrong_token_and_an_unknown_project_are_named(live: Any) -> None:
    tilth.init(url=live.url, token="tilth_wrong")
    with pytest.raises(Unauthenticated):
        tilth.run()
    tilth.init("nowhere")
    with pytest.raises(NotFound, match="no project 'nowhere'"):
        tilth.run()


def test_a_forked_child_may_log_too(live: Any, read: Read) -> None:
    with tilth.run() as run:
        run.log(parent=1.0)
        child = os.fork()
        if child == 0:
            try:
                run.log(child=1.0)
                run.flush(20)
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert values(read(run.id)) == {"parent": 1.0, "child": 1.0}
