"""Model folders on this machine: fetched by digest from the control process, verified, kept across restarts.

One folder per manifest digest. A folder appears whole or not at all (temporary folder, fsync, rename), workers of one machine share
it under a file lock, and it is verified again each time a model is loaded from it: a damaged one is thrown away and fetched anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tilth.core import clock
from tilth.core.errors import Damaged
from tilth.core.hashing import FileEntry, Manifest, is_digest
from tilth.core.ids import Digest, new_id
from tilth.core.names import check_artifact_path
from tilth.plane.fetching import ModelSource
from tilth.wire.plane import PlaneVersion

UNUSED_FOR = clock.HOUR
"""A folder that no deployment names is removed this long after it was last used."""


class ArtifactDamaged(Damaged):
    """The bytes of a model are not those that were sealed when it was registered. It is not served."""


class ModelCache:
    """Blocking: called from the loading thread only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def folder_of(self, version: PlaneVersion, source: ModelSource) -> Path:
        """The verified folder of a version. Raises ArtifactDamaged, and Unavailable if it must be fetched and cannot be."""
        entries = _sealed_entries(version)
        place = self._folder / version.manifest_digest
        with self._locked(version.manifest_digest):
            if place.is_dir() and not _matches(place, entries):
                shutil.rmtree(place)
            if not place.is_dir():
                self._fetch(version, entries, source, place)
            os.utime(place)
        return place

    def prune(self, wanted: Collection[str], now: clock.Millis) -> None:
        """Removes folders that are not wanted (by manifest digest) and were last used over an hour ago, and what crashes left."""
        for place in self._folder.iterdir():
            try:
                idle_since = place.stat().st_mtime * 1000
            except FileNotFoundError:  # another worker of this machine was quicker
                continue
            if place.name in wanted or now - idle_since < UNUSED_FOR:
                continue
            if place.name.startswith(".fetch-"):
                shutil.rmtree(place, ignore_errors=True)
            elif place.is_dir() and is_digest(place.name):
                with self._locked(place.name):
                    shutil.rmtree(place, ignore_errors=True)

    def _fetch(self, version: PlaneVersion, entries: Manifest, source: ModelSource, place: Path) -> None:
        fresh = self._folder / f".fetch-{new_id()}"
        fresh.mkdir()
        try:
            for entry in entries.files:
                _write_verified(fresh / entry.path, entry, source, version.logged_model_id)
            for folder in {fresh, *(path for path in fresh.rglob("*") if path.is_dir())}:
                _sync_folder(folder)
            fresh.rename(place)
            _sync_folder(self._folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    @contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        # Two workers of one machine want the same model at the same moment: one fetches, the other finds it there.
        with (self._folder / f".lock-{digest[:2]}").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _sealed_entries(version: PlaneVersion) -> Manifest:
    for file in version.files:
        check_artifact_path(file.path)
    entries = Manifest.of(FileEntry(file.path, Digest(file.digest), file.size) for file in version.files)
    if entries.digest != version.manifest_digest:
        raise ArtifactDamaged(
            f"the list of files of {version.key} does not have the digest it was sealed with; register the version again"
        )
    return entries


def _matches(place: Path, entries: Manifest) -> bool:
    """Exactly the sealed files, nothing beside them: a file more could change what loading does."""
    if any(path.is_symlink() for path in place.rglob("*")):
        return False
    return Manifest.of_folder(place) == entries


def _write_verified(path: Path, entry: FileEntry, source: ModelSource, logged_model_id: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as out:
        for piece in source.pieces(logged_model_id, entry.path):
            size += len(piece)
            if size > entry.size:
                break
            digest.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    if size != entry.size or digest.hexdigest() != entry.digest:
        raise ArtifactDamaged(
            f"{entry.path} of {logged_model_id} does not have the bytes it was sealed with "
            f"({entry.size} bytes, sha256 {entry.digest[:12]}...): restore it from a backup or register the model again"
        )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
