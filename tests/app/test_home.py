"""Making a home, and keeping it to one server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tilth.app.home import (
    HomeLocked,
    HomeUnusable,
    lock_holder,
    lock_home,
    prepare_home,
    remove_server_file,
    write_server_file,
)
from tilth.core.clock import Millis
from tilth.core.home import ServerFile, read_server_file
from tilth.core.mounts import file_system_of

HOLD = """
import sys
from pathlib import Path
from tilth.app.home import lock_home
lock = lock_home(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def mounts(tmp_path: Path, kind: str) -> Path:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/share {tmp_path.resolve()} {kind} rw 0 0\n")
    return table


def test_a_home_is_made_for_its_user_alone(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "deep" / ".tilth")
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in home.iterdir()} == {"blobs", "plane", "predictions", "logs"}
    assert prepare_home(home) == home


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusable, match="is a file, not a folder"):
        prepare_home(tmp_path / "file")
    with pytest.raises(HomeUnusable, match="--home"):
        prepare_home(tmp_path / "file" / "below")


def test_a_place_that_cannot_be_written_is_told() -> None:
    with pytest.raises(HomeUnusable, match="cannot be used"):
        prepare_home(Path("/proc/tilth"))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_refused_for_sqlite_alone(tmp_path: Path, kind: str) -> None:
    with pytest.raises(HomeUnusable, match=f"network file system \\({kind}\\)"):
        prepare_home(tmp_path / "home", mounts=mounts(tmp_path, kind))
    assert not (tmp_path / "home").exists()
    prepare_home(tmp_path / "home", on_sqlite=False, mounts=mounts(tmp_path, kind))


def test_the_deepest_and_latest_mount_counts(tmp_path: Path) -> None:
    table = mounts(tmp_path, "nfs")
    table.write_text(table.read_text() + f"tmpfs {tmp_path.resolve()} tmpfs rw 0 0\n")
    assert file_system_of(tmp_path / "x", table) == "tmpfs"
    assert file_system_of(Path("/"), table) == "ext4"


def test_a_second_server_is_refused_with_the_process_and_address_of_the_first(tmp_path: Path) -> None:
    write_server_file(tmp_path, ServerFile("http://127.0.0.1:8700", "", "t", "p", 1, Millis(0)))
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeLocked, match=rf"process {holder.pid}\), which answers at http://127.0.0.1:8700; .*--home"):
            lock_home(tmp_path)
        assert lock_holder(tmp_path, "lock") == holder.pid
        holder.kill()
    assert lock_holder(tmp_path, "lock") is None
    lock_home(tmp_path).release()


def test_the_server_file_is_for_its_user_alone_and_goes_with_its_server(tmp_path: Path) -> None:
    server = ServerFile("http://127.0.0.1:8700", "http://127.0.0.1:8701", "t", "p", os.getpid(), Millis(5))
    write_server_file(tmp_path, server)
    assert (tmp_path / "server.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]
    remove_server_file(tmp_path, pid=1)
    assert read_server_file(tmp_path) == server
    remove_server_file(tmp_path, os.getpid())
    assert read_server_file(tmp_path) is None


def test_a_control_process_started_by_hand_keeps_its_files_from_other_users(tmp_path: Path) -> None:
    home = tmp_path / "home"
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tilth.app", "--home", str(home), "--port", "0", "--ready-fd", str(writing)]
    process = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL, umask=0)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"1"
        assert {path.name for path in home.rglob("*") if path.stat().st_mode & 0o077} == set()
        assert (home / "tilth.db").exists()
    finally:
        process.terminate()
        process.wait(15)
        os.close(reading)
