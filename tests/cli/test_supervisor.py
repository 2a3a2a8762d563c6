"""The supervisor with real child processes, small ones of our own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tilth.cli.children import Log, restart_delay_s

CHILD = Path(__file__).with_name("little_child.py")
PROGRAM = """
import sys
from pathlib import Path
from tilth.cli.children import Spec
from tilth.cli.ports import listen
from tilth.cli.supervisor import Supervisor
folder, child, where, *behaviours = sys.argv[1:]
specs = []
ports = []
many = len(behaviours)
together = where == "together"
sockets = listen("127.0.0.1", 0, many, option="") if together else [listen("127.0.0.1", 0, 1, option="")[0] for _ in range(many)]
for number, (behaviour, taken) in enumerate(zip(behaviours, sockets, strict=True)):
    ports.append(str(taken.getsockname()[1]))
    note = str(Path(folder) / f"note-{number}")
    specs.append(Spec(f"c{number}", [sys.executable, child, behaviour, str(taken.fileno()), note], taken))
sys.exit(Supervisor(specs, Path(folder) / "logs", " ".join(ports), grace_s=1.5, longest_queue_s=2.0).run())
"""


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, behaviours: tuple[str, ...], where: str) -> None:
        command = [sys.executable, "-c", PROGRAM, str(folder), str(CHILD), where, *behaviours]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ports: list[int] = []

    def wait_ready(self) -> Running:
        assert self.process.stdout is not None
        word, *ports = self.process.stdout.readline().split()
        assert word == "ready"
        self.ports = [int(port) for port in ports]
        return self

    def ask(self, index: int = 0) -> int:
        """Process id of the child that answers."""
        with socket.create_connection(("127.0.0.1", self.ports[index]), timeout=10) as connection:
            return int(connection.makefile().readline() or 0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(*behaviours: str, where: str = "apart") -> Running:
        """where: the children listen `apart`, or `together` on one port."""
        made.append(Running(tmp_path, behaviours, where))
        return made[-1]

    yield make
    for running in made:
        running.process.kill()
        running.process.communicate()


def gone(pid: int) -> bool:
    """Waits for the process to end; a zombie without a living parent counts as ended."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.1)
    return False


def test_it_announces_itself_once_and_stops_with_all_children_on_sigterm(start: Callable[..., Running]) -> None:
    running = start("plain", "plain").wait_ready()
    pids = [running.ask(0), running.ask(1)]
    running.process.send_signal(signal.SIGTERM)
    out, err = running.process.communicate(timeout=10)
    assert (running.process.returncode, out, err) == (0, "", "")
    assert all(gone(pid) for pid in pids)


def test_a_child_that_dies_is_started_again_on_the_same_socket(start: Callable[..., Running]) -> None:
    running = start("plain").wait_ready()
    first = running.ask()
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    assert running.ask() not in (0, first)


def one_of_two(running: Running, behaviour: str) -> tuple[int, int]:
    """Process ids of the child that behaves so and of the other, which listen on one port."""
    pids: set[int] = set()
    while len(pids) < 2:
        pids.add(running.ask())
    (one,) = (pid for pid in pids if behaviour in Path(f"/proc/{pid}/cmdline").read_text())
    (other,) = pids - {one}
    return one, other


@pytest.mark.parametrize("behaviour", ["lucky-in-the-end", "dozing-later"])
def test_clients_of_a_child_that_does_not_come_up_again_go_to_the_others(start: Callable[..., Running], behaviour: str) -> None:
    running = start("plain", behaviour, where="together").wait_ready()
    victim, other = one_of_two(running, behaviour)
    os.kill(victim, signal.SIGKILL)
    assert gone(victim)
    answers: list[int] = []
    while len(answers) < 40:
        with contextlib.suppress(ConnectionError):  # who waited for the victim is told so, instead of waiting on
            answers.append(running.ask())
    assert set(answers) == {other}
    if behaviour == "lucky-in-the-end":
        assert one_of_two(running, behaviour) != (victim, other)


def test_nothing_outlives_a_killed_supervisor(start: Callable[..., Running]) -> None:
    running = start("plain", "deaf").wait_ready()
    pids = [running.ask(0), running.ask(1)]
    running.process.kill()
    assert all(gone(pid) for pid in pids)


def test_what_a_child_started_goes_with_it(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start("parent").wait_ready()
    grandchild = int((tmp_path / "note-0").read_text())
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=10)
    assert gone(grandchild)


def test_a_child_that_ignores_sigterm_is_killed_in_time(start: Callable[..., Running]) -> None:
    running = start("deaf").wait_ready()
    pid = running.ask()
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=10)
    assert running.process.returncode == 0
    assert gone(pid)


def test_a_second_ctrl_c_does_not_wait(start: Callable[..., Running]) -> None:
    running = start("deaf").wait_ready()
    pid = running.ask()
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    running.process.send_signal(signal.SIGINT)
    running.process.communicate(timeout=10)
    assert gone(pid)


def test_a_startup_error_is_told_in_its_own_words_and_ends_all(start: Callable[..., Running]) -> None:
    running = start("startup-error", "plain")
    out, err = running.process.communicate(timeout=20)
    assert (running.process.returncode, out) == (1, "")
    assert err == "error: the database is newer than this program; install a newer Tilth\n"


def test_a_child_that_never_comes_up_is_given_up_with_its_last_line_and_log(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    running = start("crash")
    _, err = running.process.communicate(timeout=20)
    assert running.process.returncode == 1
    assert err.splitlines()[-1] == f"error: c0 ended with code 7 while starting (no luck today); see {tmp_path}/logs/c0.log"
    assert (tmp_path / "logs" / "c0.log").read_text() == "no luck today\n" * 3


def test_the_supervisor_stays_small(start: Callable[..., Running]) -> None:
    running = start("plain").wait_ready()
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    (resident,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 20 * 1024


def test_delays_double_from_a_fifth_of_a_second_to_ten() -> None:
    assert [restart_delay_s(n) for n in (1, 2, 3, 6, 7, 1000)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_a_log_starts_again_at_its_limit_and_keeps_one_old_one(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "x.log", limit_bytes=10)
    for line in (b"11111\n", b"22222\n", b"33333\n"):
        log.write(line)
    log.close()
    assert (tmp_path / "logs" / "x.log").read_bytes() == b"33333\n"
    assert (tmp_path / "logs" / "x.log.1").read_bytes() == b"22222\n"
