"""Whole programs under the SDK: how they end, what they start with, what they must not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

START = "import tilth\nrun = tilth.run('program')\nprint(run.id, flush=True)\nrun.log(loss=1.0)\n"


def ended(live: Any, read: Any, code: str, **environment: str) -> Any:
    done = live.python(START + code, check=False, **environment)
    return read(done.stdout.split()[0])


def test_a_program_that_just_ends_finishes_its_run(live: Any, read: Any) -> None:
    found = ended(live, read, "")
    assert (found.run.status, found.run.source) == ("finished", "-c")
    assert "loss" in [metric.key for metric in found.metrics]


def test_a_program_that_dies_of_an_exception_fails_its_run(live: Any, read: Any) -> None:
    found = ended(live, read, "raise ValueError('boom')")
    assert found.run.status == "failed"
    assert "ValueError: boom" in found.error
    assert "loss" in [metric.key for metric in found.metrics]


def test_an_interrupted_program_is_killed(live: Any, read: Any) -> None:
    assert (
        ended(live, read, "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(10)").run.status
        == "killed"
    )


def test_a_killed_program_leaves_its_run_open_until_heartbeats_are_missed(live: Any, read: Any) -> None:
    found = ended(live, read, "run.flush()\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert found.run.status == "running"
    assert found.run.last_heartbeat is not None


def test_children_of_a_pool_log_too(live: Any, read: Any) -> None:
    code = """
import multiprocessing, sys
def work(n):
    tilth.log({f"child/{n}": n})
context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(n,)) for n in range(2)]
for child in children: child.start()
for child in children: child.join()
"""
    found = ended(live, read, code)
    assert {"child/0", "child/1", "loss"} <= {metric.key for metric in found.metrics}
    assert found.run.status == "finished"


def test_the_first_run_takes_up_the_one_that_was_started_for_the_program(live: Any, read: Any) -> None:
    headers = {"authorization": f"Bearer {live.token}"}
    given = httpx.post(f"{live.url}/api/v1/p/default/runs", json={"name": "given"}, headers=headers).json()["id"]
    code = "import tilth\nwith tilth.run() as a:\n    a.log(x=1)\nwith tilth.run() as b:\n    pass\nprint(a.id, b.id)"
    first, second = live.python(code, TILTH_RUN_ID=given).stdout.split()
    assert first == given
    assert second != given
    assert (read(first).run.name, read(first).run.status) == ("given", "finished")


def test_uncommitted_changes_are_kept(live: Any, read: Any, tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    script = tmp_path / "train.py"
    script.write_text("x = 1\n")
    git("init", "-b", "trunk")
    git("remote", "add", "origin", "https://anna:secret@example.org/code.git")
    git("add", ".")
    git("commit", "-m", "first")
    script.write_text("import tilth\nwith tilth.run() as run:\n    print(run.id)\n")
    arguments = ["--password", "hunter2", "--api-key=abc", "--depth=7"]
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, env=live.environment, check=True
    )
    run_id = done.stdout.split()[0]
    found = read(run_id).environment
    assert (found.git.commit, found.git.branch, found.git.dirty) == (git("rev-parse", "HEAD").strip(), "trunk", True)
    assert found.git.remote == "https://example.org/code.git"
    assert found.argv == ["--password", "***", "--api-key=***", "--depth=7"]
    address = f"{live.url}/api/v1/p/default/runs/{run_id}/artifacts/code/diff.patch"
    assert "+import tilth" in httpx.get(address, headers={"authorization": f"Bearer {live.token}"}).text


def test_importing_tilth_loads_nothing_heavy() -> None:
    code = (
        "import sys, tilth; assert tilth.__version__; dir(tilth)\n"
        "heavy = {'httpx', 'msgspec', 'numpy', 'pandas', 'sqlalchemy', 'litestar', 'psutil'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from tilth import run, log_model\n"
        "heavy = {'sqlalchemy', 'litestar', 'uvicorn', 'jinja2', 'pandas', 'sklearn', 'treelite'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import tilth

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tilth.nothing  # noqa: B018
    assert all(hasattr(tilth, name) for name in tilth.__all__)
