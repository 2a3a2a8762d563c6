"""Content addresses of bytes and folders. Everything stored under a digest is checked against it when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tilth.core.ids import Digest

CHUNK_BYTES = 1 << 20


def content_address(data: bytes) -> Digest:
    """SHA-256 of `data`, 64 hexadecimal digits."""
    return Digest(hashlib.sha256(data).hexdigest())


def is_digest(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def chunks(stream: BinaryIO, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    while piece := stream.read(size):
        yield piece


def address_of_file(path: Path) -> Digest:
    """Digest of a file, read in pieces of 1 MiB."""
    with path.open("rb") as stream:
        return Digest(hashlib.file_digest(stream, "sha256").hexdigest())


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One file of a folder: its path relative to the folder (`/` between segments), digest and size in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a folder, sorted by path. Two folders with equal contents have equal manifests and digests."""

    files: tuple[FileEntry, ...]

    @classmethod
    def of(cls, files: Iterable[FileEntry]) -> Manifest:
        return cls(tuple(sorted(files)))

    @classmethod
    def of_folder(cls, folder: Path) -> Manifest:
        """Reads every file below `folder`; links are not followed out of it."""
        found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
        return cls.of(
            FileEntry(path.relative_to(folder).as_posix(), address_of_file(path), path.stat().st_size) for path in found
        )

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files)

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON list of [path, digest, size]."""
        return content_address(canonical_json([[f.path, f.digest, f.size] for f in self.files]))


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys, no spaces and UTF-8 text: equal values give equal bytes. NaN and infinities are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
