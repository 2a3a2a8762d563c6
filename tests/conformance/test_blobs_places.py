"""Where blobs may lie, and what is said when they cannot lie there."""

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tilth.backends.blobs import InvalidLocation, open_blobs
from tilth.backends.blobs.local import FolderUnavailable, LocalBlobs
from tilth.backends.blobs.objects import ObjectBlobs
from tilth.core.clock import Millis
from tilth.core.ids import Digest
from tilth.core.ports import BlobMissing, StoredBlob

HERE = Path(__file__).parent


async def leaf() -> AsyncIterator[bytes]:
    yield b"leaf"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_path_and_a_file_address_open_the_same_folder(tmp_path: Path) -> None:
    stored = asyncio.run(open_blobs(str(tmp_path / "my blobs")).put(leaf()))
    assert asyncio.run(open_blobs((tmp_path / "my blobs").as_uri()).stat(stored.digest)) == stored


@pytest.mark.parametrize("location", ["s3://bucket/team/a?region=eu-west-1", "gs://bucket/team", "az://container"])
def test_each_kind_of_object_store_has_an_address(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "tester")
    assert isinstance(open_blobs(location), ObjectBlobs)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", "empty"),
        ("ftp://host/x", "'ftp' is not known"),
        ("s3:///prefix", "names no bucket"),
        ("file://relative/path", "three slashes"),
        ("s3://key:secret@bucket", "credentials"),
        ("s3://bucket?endpont=http://x", "did you mean 'endpoint'"),
    ],
)
def test_an_address_that_cannot_be_read_says_what_to_write(location: str, said: str) -> None:
    with pytest.raises(InvalidLocation, match=said):
        open_blobs(location)


def test_an_address_with_credentials_is_refused_without_repeating_them() -> None:
    with pytest.raises(InvalidLocation) as refused:
        open_blobs("s3://key:hunter2@bucket")
    assert "hunter2" not in str(refused.value)


def test_local_blobs_do_without_the_library_for_object_stores_and_others_name_it(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['obstore'] = None\n"
        "from tilth.backends.blobs import open_blobs\n"
        f"open_blobs({str(tmp_path)!r})\n"
        "try: open_blobs('s3://bucket')\n"
        "except Exception as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert "pip install 'path/to/the/clone[s3]'" in said


def test_a_file_that_reaches_its_limit_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "blob_full_disk.py"), str(tmp_path), "limited"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "out_of_space ['.lock']"


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size=4m tmpfs "$1" && exec "{sys.executable}" "{HERE / "blob_full_disk.py"}" "$1"'
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk of its own (unshare -m)")
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount, "sh", str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout == "out_of_space ['.lock']"


def test_a_folder_without_rights_is_refused_with_a_next_step(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may take on another user's rights")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from tilth.backends.blobs.local import LocalBlobs\n"
        "os.seteuid(65534)\n"
        f"try: LocalBlobs(Path({str(tmp_path / 'blobs')!r}))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said.startswith("FolderRefused")
    assert "give the user that runs Tilth the right" in said


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("I was here first")
    with pytest.raises(FolderUnavailable, match="check its disk"):
        LocalBlobs(tmp_path / "blobs")


def test_what_a_dead_process_left_is_swept_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    LocalBlobs(tmp_path)
    (tmp_path / "incoming" / "dead").write_bytes(b"half")
    LocalBlobs(tmp_path)
    assert files(tmp_path) == []


def test_a_reader_who_goes_away_while_the_file_is_opened_leaves_none_open(tmp_path: Path) -> None:
    async def read_and_leave() -> None:
        store = LocalBlobs(tmp_path)
        stored = await store.put(leaf())
        for _ in range(50):
            pieces = store.open(stored.digest)
            # As the control app streams an answer: the scope cancels again and again until the reader has ended.
            async with anyio.create_task_group() as answering:
                answering.start_soon(anext, pieces)
                await asyncio.sleep(0)
                answering.cancel_scope.cancel()

    before = len(os.listdir("/proc/self/fd"))
    # A file that is left to the collector warns, and a warning fails the test.
    asyncio.run(read_and_leave())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_opening_the_folder_again_leaves_uploads_under_way_alone(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)

    async def interrupted() -> AsyncIterator[bytes]:
        yield b"x" * (2 << 20)
        assert len(files(tmp_path)) == 1
        LocalBlobs(tmp_path)
        yield b"y"

    stored = asyncio.run(blobs.put(interrupted()))
    assert files(tmp_path) == [stored.digest]


def test_strange_files_in_the_folder_are_no_blobs(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    stored = asyncio.run(blobs.put(leaf()))
    shard = tmp_path / stored.digest[:2] / stored.digest[2:4]
    (shard / "notes.txt").touch()
    (shard / ("0" * 64)).touch()
    (tmp_path / "lost+found").mkdir()
    assert list(blobs.scan()) == [stored]


class Held(LocalBlobs):
    """A deletion that waits, between its look at the blob and its end, until it is told to go on."""

    looked, go_on = threading.Event(), threading.Event()

    def _stat(self, digest: Digest) -> StoredBlob:
        found = super()._stat(digest)
        self.looked.set()
        assert self.go_on.wait(60)
        return found


def test_a_put_that_meets_a_deletion_waits_for_it_and_its_bytes_stay(tmp_path: Path) -> None:
    async def scene() -> None:
        blobs, held = LocalBlobs(tmp_path), Held(tmp_path)
        stored = await blobs.put(leaf())
        deletion = asyncio.create_task(held.delete(stored.digest, untouched_since=stored.touched))
        await asyncio.to_thread(held.looked.wait)
        upload = asyncio.create_task(blobs.put(leaf()))
        await asyncio.sleep(0.1)
        assert not upload.done()
        held.go_on.set()
        assert await deletion is True
        assert await blobs.stat((await upload).digest) == await upload

    asyncio.run(scene())


def test_a_blob_removed_during_a_scan_is_left_out(tmp_path: Path) -> None:
    async def pieces(number: int) -> AsyncIterator[bytes]:
        yield b"%d" % number

    blobs = LocalBlobs(tmp_path)
    stored = sorted((asyncio.run(blobs.put(pieces(number))) for number in range(3)), key=lambda blob: blob.digest)
    scan = blobs.scan()
    assert next(scan) == stored[0]
    assert asyncio.run(blobs.delete(stored[1].digest, untouched_since=Millis(1 << 60)))
    assert list(scan) == [stored[2]]
    with pytest.raises(BlobMissing):
        asyncio.run(blobs.stat(stored[1].digest))
