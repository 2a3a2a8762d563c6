"""Places where Tilth cannot live, or cannot live any longer: refused in one line with a way out, and nothing acknowledged is lost."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.conftest import Server
from tests.journeys.steps import alive, children_of, clean_environment, wait_until

from tilth.app.home import HomeUnusable, prepare_home
from tilth.core.home import read_server_file

NOBODY = "65534"
RUNS = "/api/v1/p/default/runs"


def up(home: Path, *prefix: str, options: tuple[str, ...] = ("--port", "0", "--serve-port", "0")) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a `tilth up` that is expected to refuse."""
    command = [*prefix, sys.executable, "-m", "tilth.cli", "up", "--home", str(home), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=clean_environment(HOME=str(home.parent)), check=False
    )
    return done.returncode, done.stdout, done.stderr


def refused(result: tuple[int, str, str], *words: str) -> None:
    """One line that says what, why and what next."""
    code, out, err = result
    assert (code, out) == (1, ""), result
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not [word for word in words if word not in err], err


def can(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(
    not can("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"), reason="this user may not mount file systems"
)
needs_other_user = pytest.mark.skipif(
    os.getuid() != 0 or not can("setpriv", "--reuid", NOBODY, "--clear-groups", sys.executable, "-c", "import tilth"),
    reason="only root can become a user without rights, who must be able to read this Python",
)


@needs_other_user
def test_a_home_without_rights_is_refused_with_whom_to_give_them(tmp_path: Path) -> None:
    top = Path(tempfile.gettempdir())
    for folder in (tmp_path, *tmp_path.parents):
        if top in folder.parents:
            folder.chmod(0o755)
    foreign = tmp_path / "foreign"
    foreign.mkdir(mode=0o755)
    as_nobody = ("setpriv", "--reuid", NOBODY, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
    refused(up(foreign, *as_nobody), str(foreign), "Permission denied", "give this user rights", "--home")
    refused(up(foreign / "new", *as_nobody), "Permission denied", "--home")


@needs_mounts
def test_a_home_without_space_is_refused_with_how_much_it_needs(tmp_path: Path) -> None:
    in_little_space = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=20m tmpfs {tmp_path} && exec "$@"', "sh")
    refused(up(tmp_path / "home", *in_little_space), "MiB left", "free at least 64 MiB", "--home")


def test_a_home_on_a_network_file_system_is_refused_with_two_ways_out(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(HomeUnusable, match=r"network file system \(nfs4\).*--home.*database_url"):
        prepare_home(tmp_path / "home", mounts=mounts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Server]:
    """A server whose home lies on a disk of 110 MB in a mount namespace of its own; `home` is its path from outside."""
    script = f'mount -t tmpfs -o size=110m tmpfs {tmp_path} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "tilth.cli", "up"]
    command += ["--home", str(tmp_path / "home"), "--port", "0", "--serve-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready "), line
    inside = Path(f"/proc/{process.pid}/root{tmp_path}/home")
    known = read_server_file(inside)
    assert known is not None
    server = Server(process, inside, known.url, known.serve_url, known.token)
    yield server
    server.stop()


@needs_mounts
def test_a_disk_that_gets_full_refuses_writes_keeps_what_it_acknowledged_and_recovers(small_disk: Server) -> None:
    acknowledged, artifacts = [], {}
    with small_disk.client(timeout=60) as client:
        run_id = client.post(RUNS, json={"name": "crowded"}).json()["id"]
        filler = small_disk.home.parent / "filler"
        with filler.open("wb", buffering=0) as stream, suppress(OSError):
            while True:
                stream.write(bytes(1 << 20))
        os.truncate(filler, filler.stat().st_size - 3_000_000)
        statuses = set()
        for step in range(400):
            data = hashlib.shake_128(b"%d" % step).digest(20_000)
            put = client.put(f"{RUNS}/{run_id}/artifacts/{step}.bin", content=data)
            if put.is_success:
                artifacts[f"{step}.bin"] = data
            answer = client.post(f"{RUNS}/{run_id}/log", json={"metrics": [{"key": "x", "value": step, "step": step}]})
            if answer.is_success:
                acknowledged.append(step)
            statuses |= {put.status_code, answer.status_code}
            for each in (put, answer):
                if each.status_code == 507:
                    assert "space" in each.json()["error"]["message"] or "full" in each.json()["error"]["message"]
            if put.status_code == answer.status_code == 507:
                break
        assert statuses <= {200, 204, 507}, statuses
        assert 507 in statuses
        assert acknowledged
        assert artifacts
        assert client.get(f"{RUNS}/{run_id}").status_code == 200
        filler.unlink()

        def written() -> bool:
            return client.post(f"{RUNS}/{run_id}/log", json={"metrics": [{"key": "x", "value": 0, "step": 10_000}]}).is_success

        wait_until(written, "writes to be taken again")
        steps = [point[0] for point in client.get(f"{RUNS}/{run_id}/metrics/x").json()["points"]]
        assert steps == [*acknowledged, 10_000]
        for path, data in artifacts.items():
            assert client.get(f"{RUNS}/{run_id}/artifacts/{path}").content == data


@pytest.mark.slow  # one after the other is in the fast tests of `tilth up`
def test_two_starts_at_once_on_one_home_make_one_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tilth.cli", "up", "--home", str(tmp_path / "home"), "--port", "0", "--serve-port", "0"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
        for _ in range(2)
    ]
    try:
        wait_until(lambda: any(each.poll() is not None for each in both), "one of the two to give up")
        (loser,) = [each for each in both if each.poll() is not None]
        (winner,) = [each for each in both if each is not loser]
        out, err = loser.communicate()
        assert (loser.returncode, out) == (1, "")
        assert "is in use by another Tilth server" in err
        assert f"process {winner.pid}" in err
        assert winner.stdout is not None
        assert winner.stdout.readline().startswith("ready ")
        known = read_server_file(tmp_path / "home")
        assert known is not None
        assert httpx.get(f"{known.url}/api/v1/health").status_code == 200
        children = children_of(winner.pid)
        winner.send_signal(signal.SIGTERM)
        assert winner.communicate(timeout=20)[1] == ""
        assert not any(map(alive, children))
    finally:
        for each in both:
            each.kill()
            each.communicate()


def test_a_taken_port_is_named_with_its_holder_and_the_flag(tmp_path: Path, tilth_server: Server) -> None:
    for url, option, other in (
        (tilth_server.url, "--port", "--serve-port"),
        (tilth_server.serve_url, "--serve-port", "--port"),
    ):
        port = url.rpartition(":")[2]
        result = up(tmp_path / "home", options=(option, port, other, "0"))
        refused(result, f"port {port}", "in use by process", option)
