"""Models in processes of their own: what one does wrong stays there, and another takes its place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plane.unruly_models import CRASH, EXIT, HANG, LEAK, ODD, PID, RAISE, REFUSE, SLOW, Unruly, save

from tilth.core.errors import Invalid
from tilth.plane.executors import ModelHung, ModelProcessDied, ModelProcessFailed, ModelRaised, ProcessPool
from tilth.plane.executors.environment import code_folder
from tilth.plane.executors.pool import NoProcess
from tilth.plane.executors.process import Launch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("unruly") / "model"
    save(Unruly(), place)
    return place


@pytest.fixture
def pool_of(folder: Path, tmp_path: Path) -> Iterator[Callable[..., ProcessPool]]:
    made: list[ProcessPool] = []

    def start(minimum: int = 1, maximum: int = 1, **options: Any) -> ProcessPool:
        given = {"folder": folder, "python": sys.executable, "threads": 1, "memory_mb": 0, "predict_timeout_s": 20.0, **options}
        made.append(ProcessPool(Launch(name="unruly/1", code=code_folder(tmp_path), **given), minimum, maximum))
        made[-1].start()
        return made[-1]

    yield start
    for pool in made:
        pool.close()


def ask(pool: ProcessPool, *values: float) -> list[float]:
    rows = np.array([[value, 0.0] for value in values])
    return pool.predict({"rows": rows})["rows"].tolist()


def eventually(pool: ProcessPool, *values: float) -> list[float]:
    for _ in range(400):
        try:
            return ask(pool, *values)
        except NoProcess:
            time.sleep(0.05)
    raise AssertionError("no process came back within 20 s")


def test_a_model_answers_from_a_process_that_is_not_ours(pool_of: Any) -> None:
    pool = pool_of()
    assert ask(pool, 1, 2, 3) == [1.0, 2.0, 3.0]
    assert int(ask(pool, PID)[0]) != os.getpid()


def test_what_the_model_raises_comes_back_and_its_process_lives_on(pool_of: Any) -> None:
    pool = pool_of()
    before = ask(pool, PID)
    with pytest.raises(ModelRaised, match="ValueError: unlucky"):
        ask(pool, RAISE)
    assert ask(pool, PID) == before


def test_what_the_model_refuses_is_the_callers_mistake_here_too(pool_of: Any) -> None:
    with pytest.raises(Invalid, match="no such rows"):
        ask(pool_of(), REFUSE)


@pytest.mark.parametrize(("row", "how"), [(EXIT, "ended with code 7"), (CRASH, "was ended by SIGSEGV")])
def test_a_process_that_ends_is_told_and_replaced(pool_of: Any, row: float, how: str) -> None:
    pool = pool_of()
    with pytest.raises(ModelProcessDied, match=how):
        ask(pool, row)
    assert eventually(pool, 5) == [5.0]
    assert (pool.restarts, pool.trouble) == (1, how)


def test_a_prediction_that_does_not_end_is_given_up_and_its_process_ended(pool_of: Any) -> None:
    pool = pool_of(predict_timeout_s=0.5)
    with pytest.raises(ModelHung, match=r"no answer within 0\.5 s"):
        ask(pool, HANG)
    assert eventually(pool, 5) == [5.0]


def test_a_process_that_takes_more_memory_than_it_may_is_ended(pool_of: Any) -> None:
    pool = pool_of(memory_mb=350)
    with pytest.raises(ModelProcessDied, match="above its memory_mb of 350"):
        ask(pool, LEAK)
    assert eventually(pool, 5) == [5.0]


def test_a_process_killed_while_it_waits_is_replaced(pool_of: Any) -> None:
    pool = pool_of()
    os.kill(int(ask(pool, PID)[0]), signal.SIGKILL)
    for _ in range(400):
        if pool.restarts:
            break
        time.sleep(0.05)
    assert eventually(pool, 5) == [5.0]


def test_while_requests_wait_there_are_more_processes(pool_of: Any) -> None:
    pool = pool_of(1, 2)
    pool.waiting_since = 0.0
    for _ in range(400):
        if pool.size == 2:
            break
        time.sleep(0.05)
    pool.waiting_since = None
    threads = [threading.Thread(target=ask, args=(pool, SLOW)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.size == 2


def test_a_folder_that_cannot_be_loaded_says_why(pool_of: Any, folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "tilth.json").write_bytes((folder / "tilth.json").read_bytes())
    with pytest.raises(ModelProcessFailed, match=r"cannot be loaded in its process: .*model\.pkl"):
        pool_of(folder=broken)


def test_secrets_of_the_server_are_not_in_a_models_environment(pool_of: Any) -> None:
    os.environ["TILTH_DATABASE_URL"] = "postgresql://secret"
    try:
        pool = pool_of()
        pid = int(ask(pool, PID)[0])
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path(f"/proc/{pid}/fd/1").readlink() == Path("/dev/null")
    finally:
        del os.environ["TILTH_DATABASE_URL"]


def test_a_process_does_not_outlive_the_server_that_started_it(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, numpy as np; from tilth.plane.executors import ProcessPool; from tilth.plane.executors.process import Launch;"
        f"pool = ProcessPool(Launch('u', pathlib.Path({str(folder)!r}), sys.executable, pathlib.Path({str(code_folder(tmp_path))!r}),"
        f"1, 0, 9.0), 1, 1); pool.start(); print(int(pool.predict({{'rows': np.array([[{PID}, 0.]])}})['rows'][0]), flush=True);"
        "import time; time.sleep(60)"
    )
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert server.stdout is not None
    with server.stdout:
        pid = int(server.stdout.readline())
    server.kill()
    server.wait()
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]:
            return
        time.sleep(0.05)
    pytest.fail("the model's process still runs")


HOSTILE = """#!{python}
import socket, sys, time
sys.path.insert(0, {code!r})
from tilth.plane.executors.frames import Frame, receive, send
import msgspec
channel = socket.socket(fileno=int(sys.argv[-1]))
receive(channel)
send(channel, Frame("loaded", detail={{"engine": "hostile"}}))
receive(channel)
head = msgspec.msgpack.encode(["outputs", "", {{}}, [[str(n), "float64", [1 << 29]] for n in range(100)]])
channel.sendall(len(head).to_bytes(4, "little") + head)
time.sleep(60)
"""


def test_a_process_that_announces_a_giant_answer_is_ended(pool_of: Any, tmp_path: Path) -> None:
    program = tmp_path / "hostile"
    program.write_text(HOSTILE.format(python=sys.executable, code=str(code_folder(tmp_path))))
    program.chmod(0o755)
    pool = pool_of(python=str(program))
    with pytest.raises(ModelProcessDied, match="broke the protocol: a frame says that its arrays have 429496729600 bytes"):
        ask(pool, 1)


def test_a_model_that_gives_what_no_answer_can_carry_has_failed_and_its_process_lives_on(pool_of: Any) -> None:
    pool = pool_of()
    before = ask(pool, PID)
    with pytest.raises(ModelRaised, match="TypeError"):
        ask(pool, ODD)
    assert ask(pool, PID) == before
