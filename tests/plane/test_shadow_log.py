"""The process of the shadows follows the log: every frame once, over renames, deletions and restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.ids import new_id
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.shadow import tail
from tilth.plane.shadow.tail import Tail
from tilth.wire import predictions
from tilth.wire.predictions import PredictionFrame


def frame(number: int, size: int = 10) -> PredictionFrame:
    return PredictionFrame(new_id(), number, "d", "m/1", "application/json", "", b"x" * size, b"{}", 1)


def write(path: Path, *numbers: int, mode: str = "ab") -> None:
    with path.open(mode) as out:
        out.write(b"".join(predictions.encode(frame(number)) for number in numbers))


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Tail]]:
    """Follows the folder of the test, from places where it was left."""
    opened: list[Tail] = []

    def made(places: dict[str, int] | None = None) -> Tail:
        opened.append(Tail(tmp_path, places or {}))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


def read(found: Tail) -> list[int]:
    return [one.moment for one in found.frames()]


def test_what_is_written_is_read_once_in_the_order_of_segments(tmp_path: Path, follow: Callable[..., Tail]) -> None:
    first, second = tmp_path / f"w0-{new_id()}.log", tmp_path / f"w1-{new_id()}.log"
    write(first, 1, 2)
    found = follow()
    assert read(found) == [1, 2]
    write(first, 3)
    write(second, 4)
    assert read(found) == [3, 4]
    assert read(found) == []


def test_a_segment_that_is_closed_and_shipped_meanwhile_is_read_to_its_end(tmp_path: Path, follow: Callable[..., Tail]) -> None:
    path = tmp_path / f"w0-{new_id()}.log"
    write(path, 1)
    found = follow()
    assert read(found) == [1]
    write(path, 2)
    path.rename(path.with_suffix(".closed"))
    path.with_suffix(".closed").unlink()
    assert read(found) == [2]
    assert found.places() == {}


def test_a_frame_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path, follow: Callable[..., Tail]) -> None:
    path = tmp_path / f"w0-{new_id()}.log"
    data = predictions.encode(frame(7))
    path.write_bytes(data[:9])
    found = follow()
    assert read(found) == []
    path.write_bytes(data)
    assert read(found) == [7]


def test_a_restart_goes_on_where_it_was_left(tmp_path: Path, follow: Callable[..., Tail]) -> None:
    path, done = tmp_path / f"w0-{new_id()}.log", tmp_path / f"w0-{new_id()}.closed"
    write(path, 1, 2)
    write(done, 3)
    found = follow()
    taken = found.frames()
    assert next(taken).moment == 1
    again = follow(found.places())
    assert read(again) == [2, 3]
    third = follow(again.places())
    write(path, 4)
    assert read(third) == [4]


def test_its_own_answers_are_not_answered_again(tmp_path: Path, follow: Callable[..., Tail]) -> None:
    log = PredictionLog(tmp_path, "shadow")
    log.write([predictions.encode(frame(1))])
    assert read(follow()) == []
    log.close()


def test_what_is_too_far_behind_is_left_out_oldest_first_and_told(tmp_path: Path, follow: Callable[..., Tail]) -> None:
    old, young = tmp_path / f"w0-{new_id()}.log", tmp_path / f"w0-{new_id()}.log"
    with old.open("wb") as out:
        out.truncate(tail.MOST_BEHIND_BYTES + 1)
    write(young, 5)
    found = follow()
    assert read(found) == [5]
    assert found.dropped_bytes == tail.MOST_BEHIND_BYTES + 1
    assert found.behind_bytes() == 0


@given(st.lists(st.sampled_from(["write", "read", "restart", "rotate"]), max_size=25))
def test_nothing_is_missed_or_doubled_whatever_the_order(tmp_path_factory, steps: list[str]) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("tail")
    path, found, seen, number = folder / f"w0-{new_id()}.log", Tail(folder, {}), [], 0
    for step in steps:
        match step:
            case "write":
                number += 1
                write(path, number)
            case "read":
                seen += read(found)
            case "restart":
                places = found.places()
                found.close()
                found = Tail(folder, places)
            case "rotate":
                if path.exists():
                    path.rename(path.with_suffix(".closed"))
                path = folder / f"w0-{new_id()}.log"
    seen += read(found)
    found.close()
    assert seen == list(range(1, number + 1))
