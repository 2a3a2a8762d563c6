"""Bare processes that seal models, publish deployments or log predictions in a home, and say what they were told is safe.

This one only forks them, since it takes seconds to import all that they need: a line of input is a JSON list [home, what, how, kill at,
output file], the answer is the exit code. how: `honest` is the product; each of the others has one fault that the tests must find.
Every line of output is a JSON list ["ack", kind, name, durable]. durable: whether what was synced until then is all that a power cut
would have to leave.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from tilth.app.bootstrap import ensure_local_identity
from tilth.app.settings import load_settings
from tilth.app.wiring import System, build
from tilth.backends.sql import Tx
from tilth.core import killpoints
from tilth.core.actors import Actor
from tilth.core.hashing import FileEntry, Manifest
from tilth.core.ids import ProjectId, new_id
from tilth.domains.models import actions as models
from tilth.domains.serving import actions as serving
from tilth.domains.serving.jobs import plane as jobs
from tilth.plane.prediction_log import PredictionLog
from tilth.wire import predictions
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PREDICTIONS_FOLDER, STATE_PATH
from tilth.wire.signature import Column, Signature

ROUNDS = 5
FRAMES = 24
ANNA = Actor(id="anna", name="Anna", kind="user", via="test")
DOCUMENT = ModelDocument(
    flavour="sklearn",
    signature=Signature(inputs=(Column("x", "double"),), outputs=(Column("y", "double"),)),
    method="predict",
    model_path="model.pkl",
)

SYNCED: dict[int, int] = {}
"""Size of each file, by inode, when it was synced last."""
NAMES: dict[str, dict[str, int]] = {}
"""What each folder held, by name, when it was synced last."""


def watch_syncs(how: str) -> None:
    def watched(honest: Callable[[int], None]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            found = os.fstat(fd)
            if how == ("skips_sync_of_folders" if stat.S_ISDIR(found.st_mode) else "skips_sync_of_files"):
                return
            honest(fd)
            if stat.S_ISDIR(found.st_mode):
                folder = os.readlink(f"/proc/self/fd/{fd}")
                with os.scandir(folder) as entries:
                    NAMES[folder] = {entry.name: entry.inode() for entry in entries}
            else:
                SYNCED[found.st_ino] = found.st_size

        return sync

    os.fsync, os.fdatasync = watched(os.fsync), watched(os.fdatasync)  # type: ignore[assignment]


def durable(path: Path) -> bool:
    found = path.stat()
    return NAMES.get(str(path.parent), {}).get(path.name) == found.st_ino and SYNCED.get(found.st_ino) == found.st_size


def say(kind: str, name: str, *, safe: bool = True) -> None:
    # One write of the file descriptor: nothing stays in a buffer that a kill would take along.
    os.write(1, json.dumps(["ack", kind, name, safe]).encode() + b"\n")


def around(how: str, kind: str, name: str, work: Callable[[], Any], path: Path | None = None) -> None:
    """Does the work and tells that it is safe; the other way round for the fault `acknowledges_early`."""
    if how == "acknowledges_early":
        say(kind, name)
    work()
    if how != "acknowledges_early":
        say(kind, name, safe=path is None or durable(path))


async def piece(data: bytes) -> AsyncIterator[bytes]:
    yield data


def put(system: System, path: str, data: bytes) -> FileEntry:
    stored = asyncio.run(system.blobs.put(piece(data)))
    return FileEntry(path, stored.digest, stored.size)


def seal_and_deploy(system: System, project: ProjectId, how: str, name: str) -> None:
    write = system.database.write_blocking
    contents = {"MLmodel": b"flavors: {sklearn: {}}", "model.pkl": name.encode(), "tilth.json": msgspec.json.encode(DOCUMENT)}
    entries = [put(system, path, data) for path, data in contents.items()]

    def open_model(tx: Tx) -> str:
        made = models.create_logged_model(tx, ANNA, project, name=name)
        for entry in entries:
            models.add_file(tx, project, made.id, entry)
        return made.id

    model = write(open_model)
    around(
        how,
        "sealed",
        model,
        lambda: write(lambda tx: models.seal(tx, ANNA, project, model, Manifest.of(entries), DOCUMENT, "sklearn")),
    )

    def deploy(tx: Tx) -> None:
        models.register_version(tx, ANNA, project, name, model)
        serving.deploy(tx, ANNA, project, name, model=name)

    write(deploy)
    around(how, "published", name, system.publisher.publish_if_changed, system.home / STATE_PATH)


def rename_first(path: Path, content: bytes) -> None:
    """Fault: the state has its name before it has its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{new_id()}")
    with partial.open("wb") as stream:
        os.replace(partial, path)
        stream.write(content[: len(content) // 2])
        stream.flush()
        killpoints.reach("state_after_rename")
        stream.write(content[len(content) // 2 :])


def log_predictions(home: Path, how: str) -> None:
    """Segments of a few frames, so that they are closed while others are written."""
    log = PredictionLog(home / PREDICTIONS_FOLDER, "w0", segment_bytes=600)

    def write(frame: bytes) -> None:
        log.write([frame], sync=True)

    for number in range(FRAMES):
        id_ = new_id()
        frame = predictions.encode(
            predictions.PredictionFrame(id_, number, "d", "m/1", "application/json", "", b"{}", b"x" * number)
        )
        if how == "acknowledges_early":
            say("predicted", id_)
        write(frame)
        if how != "acknowledges_early":
            newest = max((home / PREDICTIONS_FOLDER).glob("w0-*.log"), key=lambda path: path.name)
            say("predicted", id_, safe=durable(newest))
        if number % 8 == 7:
            log._finish_retired()
    log.close()


def write_models(home: Path, how: str) -> None:
    if how == "renames_first":
        jobs.write_synced = rename_first
    system = build(load_settings(home, environ={}), control_url="http://127.0.0.1:1", serve_url="http://127.0.0.1:2")
    project = ensure_local_identity(system.database, home, "default").project.id
    for _ in range(ROUNDS):
        seal_and_deploy(system, project, how, f"m{new_id()}")
    system.database.close()


def child(home: str, what: str, how: str, kill_at: str, output: str) -> None:
    """What a process of its own does; TILTH_KILL_AT was read when this one was imported."""
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
    killpoints._name, _, nth = kill_at.partition(":")
    killpoints._left = int(nth or 1)
    watch_syncs(how)
    {"models": write_models, "predictions": log_predictions}[what](Path(home), how)


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                child(*json.loads(line))
            except BaseException:  # noqa: BLE001 a copy of the parent must not live on, whatever happened
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
