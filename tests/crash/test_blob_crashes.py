"""A process that puts blobs is killed at each place that matters; what it acknowledged is there, and nothing partial is.

A kill shows the order of steps but not a missing sync, since the kernel still writes what a dead process left. For that the writer tells
its system calls, and a model of a disk says what a power cut at each acknowledgement would have left.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tilth.backends.blobs.local import LocalBlobs
from tilth.core.errors import TilthError
from tilth.core.ids import Digest

WRITER = Path(__file__).parent / "blob_writer.py"
POINTS = ["blob_mid_write", "blob_after_fsync", "blob_before_rename", "blob_after_rename", "blob_after_folder_fsync"]
BLOBS = 6


def run_writer(folder: Path, fault: str, *, kill_at: str = "", trace: bool = False) -> list[list[Any]]:
    """What the writer said until it ended, or was killed where it was told to be."""
    done = subprocess.run(
        [sys.executable, str(WRITER), str(folder), fault, *(["trace"] if trace else [])],
        capture_output=True,
        env=os.environ | {"TILTH_KILL_AT": kill_at},
        check=False,
    )
    assert done.returncode == (-signal.SIGKILL if kill_at else 0), done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def acknowledged(said: list[list[Any]]) -> list[Digest]:
    return [Digest(words[1]) for words in said if words[0] == "ack"]


async def _read(blobs: LocalBlobs, digest: Digest) -> None:
    async for _ in blobs.open(digest):
        pass


def violations(folder: Path, digests: list[Digest]) -> list[str]:
    """What is wrong after a restart: an acknowledged blob that is gone or damaged, or any blob that is partial."""
    blobs = LocalBlobs(folder)
    found = [f"left behind: {path.name}" for path in (folder / "incoming").iterdir()]
    for digest in {*digests, *(blob.digest for blob in blobs.scan())}:
        try:
            asyncio.run(_read(blobs, digest))
        except TilthError as error:
            found.append(f"{type(error).__name__}: {digest}")
    return found


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_acknowledged_blobs_are_whole_and_no_partial_one_is_seen(tmp_path: Path, point: str, nth: int) -> None:
    said = run_writer(tmp_path, "honest", kill_at=f"{point}:{nth}")
    assert len(acknowledged(said)) < BLOBS
    assert violations(tmp_path, acknowledged(said)) == []
    again = acknowledged(run_writer(tmp_path, "honest"))
    assert len(again) == BLOBS
    assert violations(tmp_path, again) == []


def test_the_harness_finds_a_writer_that_renames_first(tmp_path: Path) -> None:
    said = run_writer(tmp_path, "renames_first", kill_at="blob_mid_write:3")
    assert any(found.startswith("BlobDamaged") for found in violations(tmp_path, acknowledged(said)))


@pytest.mark.parametrize("point", ["blob_mid_write", "blob_after_fsync", "blob_before_rename"])
def test_the_harness_finds_a_writer_that_acknowledges_early(tmp_path: Path, point: str) -> None:
    said = run_writer(tmp_path, "acknowledges_early", kill_at=point)
    assert any(found.startswith("BlobMissing") for found in violations(tmp_path, acknowledged(said)))


@dataclass
class Inode:
    """A file or folder on a disk that keeps only what was synced."""

    size: int = 0
    synced_size: int = 0
    entries: dict[str, "Inode"] = field(default_factory=dict)
    synced_entries: dict[str, "Inode"] = field(default_factory=dict)


class Disk:
    """What a power cut leaves of the steps that a writer told. `root` itself is taken to be durable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = Inode()

    def apply(self, step: str, path: str, *rest: Any) -> None:
        match step:
            case "create":
                parent, name = self._place(path)
                parent.entries.setdefault(name, Inode())
            case "write":
                self._at(path).size += rest[0]
            case "sync":
                inode = self._at(path)
                inode.synced_size, inode.synced_entries = inode.size, dict(inode.entries)
            case "rename":
                source, name = self._place(path)
                target, new_name = self._place(rest[0])
                target.entries[new_name] = source.entries.pop(name)

    def size_after_power_cut(self, digest: str) -> int | None:
        """Bytes that the blob has, None if it has no name."""
        inode: Inode | None = self._top
        for name in ("blobs", digest[:2], digest[2:4], digest):
            if inode is not None:
                inode = inode.synced_entries.get(name)
        return None if inode is None else inode.synced_size

    def _place(self, path: str) -> tuple[Inode, str]:
        *folders, name = Path(path).relative_to(self._root).parts
        inode = self._top
        for folder in folders:
            inode = inode.entries[folder]
        return inode, name

    def _at(self, path: str) -> Inode:
        if Path(path) == self._root:
            return self._top
        parent, name = self._place(path)
        return parent.entries[name]


def lost_at_power_cut(root: Path, said: list[list[Any]]) -> list[str]:
    """The blobs that a power cut right after their acknowledgement takes away or cuts, or that a cut at any step leaves partial."""
    disk = Disk(root)
    lost = []
    sizes: dict[str, int] = {words[1]: words[2] for words in said if words[0] == "ack"}
    for step, subject, *rest in said:
        if step != "ack":
            disk.apply(step, subject, *rest)
        elif disk.size_after_power_cut(subject) != rest[0]:
            lost.append(f"acknowledged and lost: {subject}")
        lost += [f"partial: {digest}" for digest, size in sizes.items() if disk.size_after_power_cut(digest) not in (None, size)]
    return lost


def test_a_power_cut_takes_no_acknowledged_blob_and_leaves_no_partial_one(tmp_path: Path) -> None:
    said = run_writer(tmp_path / "blobs", "honest", trace=True)
    assert len(acknowledged(said)) == BLOBS
    assert lost_at_power_cut(tmp_path, said) == []


@pytest.mark.parametrize("fault", ["skips_sync_of_files", "skips_sync_of_folders", "renames_first", "acknowledges_early"])
def test_the_model_of_a_disk_finds_a_writer_that(tmp_path: Path, fault: str) -> None:
    said = run_writer(tmp_path / "blobs", fault, trace=True)
    assert lost_at_power_cut(tmp_path, said)
