"""The prediction log keeps whole frames only, hands on closed segments and says when it cannot be written."""

from __future__ import annotations

import contextlib
import io
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tilth.plane.prediction_log import LogFailed, LogFull, PredictionLog
from tilth.wire.predictions import PredictionFrame, encode, iterate


def frame(number: int, size: int = 10) -> bytes:
    return encode(PredictionFrame(f"p{number}", number, "d1", "m/1", "application/json", "", b"x" * size, b"{}"))


def read(folder: Path, pattern: str = "*") -> list[str]:
    segments = (io.BytesIO(path.read_bytes()) for path in sorted(folder.glob(pattern)))
    return [found.prediction_id for segment in segments for found in iterate(segment)]


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """A full disk for this process: no file grows beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_written_is_readable_at_once_and_closed_at_the_end(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w0")
    log.write([frame(1), frame(2)])
    log.write([frame(3)], sync=True)
    assert read(tmp_path, "w0-*.log") == ["p1", "p2", "p3"]
    log.close()
    assert read(tmp_path, "*.closed") == ["p1", "p2", "p3"]
    assert not list(tmp_path.glob("*.log"))


def test_segments_change_by_size_and_by_age_without_losing_a_frame(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w0", segment_bytes=1000)
    for number in range(20):
        log.write([frame(number, 300)])
    log.close()
    assert len(list(tmp_path.glob("*.closed"))) > 4
    assert sorted(read(tmp_path)) == sorted(f"p{number}" for number in range(20))
    old = PredictionLog(tmp_path / "old", "w0", segment_age_s=0.0)
    for number in range(3):
        old.write([frame(number)])
    old.rotate_if_old()
    old.close()
    assert len(list((tmp_path / "old").glob("*.closed"))) == 3


def test_segments_of_a_killed_worker_are_closed_by_its_successor_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    (tmp_path / "w0-dead.log").write_bytes(frame(1) + frame(2)[:-3])
    other = PredictionLog(tmp_path, "w1")
    other.write([frame(3)])
    PredictionLog(tmp_path, "w1").close()
    PredictionLog(tmp_path, "w0").close()
    assert read(tmp_path, "w0-*.closed") == ["p1"]
    assert read(tmp_path, "w1-*.log") == ["p3"]
    other.close()


def test_a_write_that_falls_short_leaves_no_torn_frame_and_the_next_one_fits(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w0")
    log.write([frame(1)])
    with file_size_limit(4096), pytest.raises(LogFull, match="no room"):
        log.write([frame(2, 3000), frame(3, 3000)])
    log.write([frame(4)])
    log.close()
    assert read(tmp_path) == ["p1", "p4"]


def test_a_large_frame_in_pieces_stays_whole_or_leaves_nothing(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w0")
    pieces = [bytes([each]) for each in frame(2, 3_000_000)[:40]] + [frame(2, 3_000_000)[40:]]
    with file_size_limit(100_000), pytest.raises(LogFull, match="no room"):
        log.write(pieces)
    log.write([frame(1), *pieces, frame(3)])
    log.close()
    assert read(tmp_path) == ["p1", "p2", "p3"]


def test_a_folder_that_went_away_is_a_failure_that_may_be_mended(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = PredictionLog(folder, "w0")
    folder.rmdir()
    with pytest.raises(LogFailed, match="cannot be written"):
        log.write([frame(1)])
    folder.mkdir()
    log.write([frame(2)])
    log.close()
    assert read(folder) == ["p2"]


def test_segments_are_for_the_owner_only(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "w0")
    log.write([frame(1)])
    assert [os.stat(path).st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
    log.close()
