"""The state that control publishes for the model servers, and the statuses it reads from them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tilth.core.clock import Millis
from tilth.core.hashing import FileEntry, Manifest
from tilth.domains.serving import actions
from tilth.domains.serving.jobs import PlanePublisher, StatusReader
from tilth.wire.plane import STATE_PATH, STATUS_FOLDER, PlaneState, PlaneToken, WorkerStatus

TOKEN = PlaneToken(sha256="ab" * 32, principal_id="anna", projects=("p1",), expires=None)


class FakeClock:
    def __init__(self) -> None:
        self.moment = 1_000_000

    def __call__(self) -> Millis:
        return Millis(self.moment)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def publisher_for(bench: Any, clock: FakeClock, tokens: list[PlaneToken] | None = None) -> PlanePublisher:
    given = [TOKEN] if tokens is None else tokens
    return PlanePublisher(bench.db, bench.home, clock, "http://127.0.0.1:8700", tokens=lambda tx: list(given))


def state_in(home: Path) -> PlaneState:
    return msgspec.json.decode((home / STATE_PATH).read_bytes(), type=PlaneState)


def test_the_state_holds_all_that_a_worker_needs_to_serve(bench: Any, clock: FakeClock) -> None:
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m")
    assert publisher_for(bench, clock).publish_if_changed()
    state = state_in(bench.home)
    deployment = state.deployments[0]
    version = deployment.versions[0]
    assert (deployment.project, deployment.name, deployment.generation) == ("flights", "d", 1)
    assert [(route.version, route.weight) for route in deployment.routes] == [("m/1", 10_000)]
    assert version.key == "m/1"
    files = Manifest.of(FileEntry(file.path, file.digest, file.size) for file in version.files)  # type: ignore[arg-type]
    assert files.digest == version.manifest_digest
    assert state.tokens == (TOKEN,)
    assert (bench.home / STATE_PATH).stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_while_nothing_changes(bench: Any, clock: FakeClock) -> None:
    publisher = publisher_for(bench, clock)
    assert publisher.publish_if_changed()
    clock.moment += 5000
    assert not publisher.publish_if_changed()
    assert not publisher_for(bench, clock).publish_if_changed()


def test_each_change_grows_the_sequence_over_restarts_and_clock_jumps(bench: Any, clock: FakeClock) -> None:
    bench.version("m", "a")
    seen = []
    for name in ("one", "two", "three"):
        bench.do(actions.deploy, name, model="m")
        assert publisher_for(bench, clock).publish_if_changed()
        seen.append(state_in(bench.home).sequence)
        clock.moment -= 100
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("damage", [b"", b"{", b'{"sequence": "x"}', None])
def test_a_lost_or_damaged_state_is_written_anew_with_a_higher_sequence(
    bench: Any, clock: FakeClock, damage: bytes | None
) -> None:
    publisher_for(bench, clock).publish_if_changed()
    before = state_in(bench.home).sequence
    clock.moment += 1
    if damage is None:
        (bench.home / STATE_PATH).unlink()
    else:
        (bench.home / STATE_PATH).write_bytes(damage)
    assert publisher_for(bench, clock).publish_if_changed()
    assert state_in(bench.home).sequence > before


def test_a_running_publisher_replaces_a_state_that_somebody_deleted(bench: Any, clock: FakeClock) -> None:
    publisher = publisher_for(bench, clock)
    publisher.publish_if_changed()
    (bench.home / STATE_PATH).unlink()
    assert publisher.publish_if_changed()


def test_a_revoked_token_and_an_undeployed_name_leave_the_state(bench: Any, clock: FakeClock) -> None:
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m")
    tokens = [TOKEN]
    publisher = PlanePublisher(bench.db, bench.home, clock, "http://c", tokens=lambda tx: list(tokens))
    publisher.publish_if_changed()
    tokens.clear()
    bench.do(actions.undeploy, "d")
    assert publisher.publish_if_changed()
    assert (state_in(bench.home).tokens, state_in(bench.home).deployments) == ((), ())


def test_readers_never_see_half_a_state(bench: Any, clock: FakeClock) -> None:
    bench.version("m", "a")
    publisher = publisher_for(bench, clock)
    publisher.publish_if_changed()
    done, bad = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            try:
                state_in(bench.home)
            except (msgspec.MsgspecError, OSError) as error:
                bad.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        bench.do(actions.deploy, f"d{number}", model="m")
        publisher.publish_if_changed()
    done.set()
    reader.join()
    assert bad == []
    assert [path.name for path in (bench.home / "plane").iterdir()] == ["state.json"]


def test_a_change_wakes_the_publisher(bench: Any) -> None:
    woken = threading.Event()
    bench.db.listen("plane", woken.set)
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m")
    assert woken.wait(5)


def test_statuses_of_dead_workers_and_damaged_files_do_not_count(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / STATUS_FOLDER
    reader = StatusReader(tmp_path, clock)
    assert reader.read() == []
    folder.mkdir(parents=True)
    for name, age in (("w1", 9_999), ("w0", 0), ("w2", 10_000)):
        status = WorkerStatus(name, 1, 0, clock.moment - age, 1, ())
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(status))
    (folder / "w3.json").write_bytes(b"{half")
    (folder / ".w4.json").write_bytes(b"")
    assert [status.worker for status in reader.read()] == ["w0", "w1"]
    assert [status.worker for status in reader.read_all()] == ["w0", "w1", "w2"]
