"""The demo as a newcomer runs it: every step, then the pages stay up until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from examples.flight_delay.starting import USUAL_PORTS, running

ROOT = Path(__file__).resolve().parents[2]


def start(home: Path, *options: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TILTH_")}
    command = [sys.executable, "-m", "examples.flight_delay.demo", "--home", str(home), *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )


def processes_of(home: Path) -> list[int]:
    return [process.pid for process in psutil.process_iter(["cmdline"]) if str(home) in (process.info["cmdline"] or [])]


def test_the_demo_trains_deploys_asks_and_stays_up_until_it_is_stopped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    demo = start(home)
    assert demo.stdout is not None
    lines: list[str] = []
    try:
        for line in demo.stdout:
            lines.append(line)
            if "stays up" in line:
                break
        said = "".join(lines)
        assert "flight-delay version 1, compiled by treelite" in said
        found = re.search(r"AUC (0\.\d+), Brier", said)
        assert found is not None, said
        assert 0.62 < float(found[1]) < 0.75
        assert "rolled back at 20 %" in said
        assert "away from the champion's" in said
        link = re.search(r"http\S+/login/\S+", said)
        deployment = re.search(r"deployment +(http\S+)", said)
        assert link is not None
        assert deployment is not None
        with httpx.Client(trust_env=False, follow_redirects=True, timeout=20) as browser:
            assert browser.get(link[0]).status_code == 200
            assert "flight-delay" in browser.get(deployment[1]).text
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=20) == 0
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(timeout=20)
        demo.stdout.close()
    assert processes_of(home) == []


@pytest.mark.slow
def test_a_second_demo_on_the_same_home_goes_on_with_its_versions(tmp_path: Path) -> None:
    home = tmp_path / "home"
    # Each registers a worse version, too, which rolls itself back.
    for version in (1, 3):
        demo = start(home, "--once")
        try:
            said, _ = demo.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            demo.terminate()
            demo.communicate(timeout=60)
            raise
        assert demo.returncode == 0, said
        assert f"answered by flight-delay version {version}" in said
    assert processes_of(home) == []


def test_a_home_that_cannot_be_used_ends_the_demo_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tilth.toml").write_text("[server]\nprot = 1\n")
    demo = start(tmp_path / "home", "--once")
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "Traceback" not in said
    assert "prot" in said


def test_where_the_usual_ports_are_taken_the_demo_takes_others(tmp_path: Path) -> None:
    with contextlib.ExitStack() as taken:
        for port in USUAL_PORTS:
            with contextlib.suppress(OSError):  # taken by somebody else, which does as well
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
        with running(tmp_path / "home") as platform:
            assert httpx.get(f"{platform.url}/api/v1/health", trust_env=False).is_success
            assert not {urlsplit(platform.url).port, urlsplit(platform.serve_url).port} & set(USUAL_PORTS)
