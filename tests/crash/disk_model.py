"""What a power cut leaves of a SQLite database: what was synced, and nothing that was only written.

A kill cannot show a missing sync, since the kernel still writes what a dead process left. So the writer's own SQLite library is
made to tell each write and sync of the database and its WAL (by replacing functions of its virtual file system), and `after_cut`
builds the files as a disk would hold them that lost everything unsynced.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

Event = tuple[Any, ...]
MAIN_DB, WAL = 0x100, 0x80000

# Positions in sqlite3_io_methods after iVersion: close, read, write, truncate, sync.
_WRITE, _TRUNCATE, _SYNC = 2, 3, 4
_METHODS = 18
_WRITE_TYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_TRUNCATE_TYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_SYNC_TYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
# The name goes through as a pointer: SQLite keeps it for as long as the file is open.
_OPEN_TYPE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)


class _IoMethods(ctypes.Structure):
    _fields_ = (("version", ctypes.c_int), ("methods", ctypes.c_void_p * _METHODS))


class _File(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_IoMethods)),)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("file_bytes", ctypes.c_int),
        ("max_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
    )


class Recorder:
    """From `start` on, every write, truncation and sync of databases opened in this process is appended to `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._kept: list[Any] = []

    def start(self) -> None:
        """Raises OSError where Python's SQLite is not a shared library whose functions can be reached."""
        library = ctypes.CDLL(_library_of_sqlite())
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        vfs = library.sqlite3_vfs_find(None).contents
        really_open = _OPEN_TYPE(vfs.open)

        def opened(own: int, name: int, file: int, flags: int, out: Any) -> int:
            code: int = really_open(own, name, file, flags, out)
            if code == 0 and flags & (MAIN_DB | WAL):
                self._listen(file, ctypes.string_at(name).decode())
            return code

        replacement = _OPEN_TYPE(opened)
        self._kept.append(replacement)
        vfs.open = ctypes.cast(replacement, ctypes.c_void_p).value

    def _listen(self, file: int, path: str) -> None:
        handle = _File.from_address(file)
        old = handle.methods.contents
        new = _IoMethods(old.version, old.methods)
        write, cut, sync = (
            _WRITE_TYPE(old.methods[_WRITE]),
            _TRUNCATE_TYPE(old.methods[_TRUNCATE]),
            _SYNC_TYPE(old.methods[_SYNC]),
        )

        def written(own: int, data: int, size: int, at: int) -> int:
            self.events.append(("write", path, at, ctypes.string_at(data, size)))
            return int(write(own, data, size, at))

        def truncated(own: int, size: int) -> int:
            self.events.append(("truncate", path, size))
            return int(cut(own, size))

        def synced(own: int, flags: int) -> int:
            code = int(sync(own, flags))
            self.events.append(("sync", path))
            return code

        wrapped: list[tuple[int, Any]] = [
            (_WRITE, _WRITE_TYPE(written)),
            (_TRUNCATE, _TRUNCATE_TYPE(truncated)),
            (_SYNC, _SYNC_TYPE(synced)),
        ]
        for position, function in wrapped:
            new.methods[position] = ctypes.cast(function, ctypes.c_void_p).value
        self._kept += [new, *(function for _, function in wrapped)]
        handle.methods = ctypes.pointer(new)


def _library_of_sqlite() -> str:
    assert sqlite3.sqlite_version
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "libsqlite3" in path:
            return path
    raise OSError("Python's SQLite is not a shared library here")


def after_cut(events: list[Event], folder: Path) -> None:
    """Writes into `folder` the files that a power cut after the last of `events` would have left."""
    synced: dict[str, bytearray] = {}
    waiting: dict[str, list[Callable[[bytearray], None]]] = {}
    for event in events:
        match event:
            case ["write", path, at, data]:
                waiting.setdefault(path, []).append(lambda file, at=at, data=data: _write(file, at, data))
            case ["truncate", path, size]:
                waiting.setdefault(path, []).append(lambda file, size=size: _truncate(file, size))
            case ["sync", path]:
                file = synced.setdefault(path, bytearray())
                for change in waiting.pop(path, []):
                    change(file)
    for path, content in synced.items():
        (folder / Path(path).name).write_bytes(content)


def _write(file: bytearray, at: int, data: bytes) -> None:
    if len(file) < at:
        file.extend(bytes(at - len(file)))
    file[at : at + len(data)] = data


def _truncate(file: bytearray, size: int) -> None:
    del file[size:]
