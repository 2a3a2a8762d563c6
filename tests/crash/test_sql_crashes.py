"""A process that writes rows is killed at each place that matters, and its power is cut at each acknowledgement.

What it acknowledged is there, and no half of a job is. Each planted fault makes the same checks fail.
"""

import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from .disk_model import Event, after_cut
from .harness import acknowledged, run_writer

WRITER = Path(__file__).parent / "sql_writer.py"
POINTS = [f"{name}:{nth}" for name in ("mid_group", "before_commit", "after_commit") for nth in (1, 4, 9)]


def problems(database: Path, safe: set[int]) -> list[str]:
    """What is wrong with the database, given the numbers that were acknowledged."""
    with closing(sqlite3.connect(database)) as found:
        (verdict,) = found.execute("PRAGMA integrity_check").fetchone()
        if not found.execute("SELECT 1 FROM sqlite_master WHERE name = 'left_half'").fetchone():
            return [f"lost {sorted(safe)}"] if safe else []
        left = {n for (n,) in found.execute("SELECT n FROM left_half")}
        right = {n for (n,) in found.execute("SELECT n FROM right_half")}
        (total,) = found.execute("SELECT coalesce(sum(n), 0) FROM total").fetchone()
    wrong = [] if verdict == "ok" else [verdict]
    if safe - (left & right):
        wrong.append(f"lost {sorted(safe - (left & right))}")
    if left != right:
        wrong.append(f"half written {sorted(left ^ right)}")
    if total != len(left):
        wrong.append(f"{len(left)} rows, but {total} counted")
    return wrong


def after_kill(folder: Path, how: str, kill_at: str) -> list[str]:
    database = folder / f"{kill_at.replace(':', '-')}.db"
    return problems(database, acknowledged(run_writer(WRITER, str(database), how, kill_at=kill_at)))


def after_cuts(folder: Path, how: str) -> list[str]:
    """Problems after power cuts at each acknowledgement, of one run of the writer."""
    record = folder / "record"
    done = subprocess.run(
        [sys.executable, str(WRITER), str(folder / "cut.db"), how, str(record)], capture_output=True, check=False
    )
    if done.returncode == 77:
        pytest.skip("Python's SQLite is not a shared library here, so its writes cannot be recorded")
    assert done.returncode == 0, done.stderr.decode()
    events: list[Event] = pickle.loads(record.read_bytes())
    wrong: list[str] = []
    cuts = [index for index, event in enumerate(events) if event[0] == "ack"]
    assert len(cuts) == 48
    for index in cuts:
        rest = folder / f"cut-{index}"
        rest.mkdir()
        after_cut(events[: index + 1], rest)
        wrong += problems(rest / "cut.db", {event[1] for event in events[: index + 1] if event[0] == "ack"})
    return wrong


@pytest.mark.parametrize("kill_at", POINTS)
def test_a_kill_loses_no_acknowledged_row_and_leaves_no_half_of_a_job(tmp_path: Path, kill_at: str) -> None:
    assert after_kill(tmp_path, "honest", kill_at) == []


def test_a_power_cut_after_any_acknowledgement_loses_no_acknowledged_row(tmp_path: Path) -> None:
    assert after_cuts(tmp_path, "honest") == []


def test_an_acknowledgement_before_the_commit_is_found(tmp_path: Path) -> None:
    assert any("lost" in problem for kill_at in POINTS[:6] for problem in after_kill(tmp_path, "acknowledge_early", kill_at))


def test_a_job_split_over_two_transactions_is_found(tmp_path: Path) -> None:
    assert any(
        "half written" in problem for kill_at in POINTS[6:] for problem in after_kill(tmp_path, "two_transactions", kill_at)
    )


@pytest.mark.parametrize("how", ["sync_off", "sync_normal"])
def test_a_skipped_sync_is_found(tmp_path: Path, how: str) -> None:
    assert any("lost" in problem for problem in after_cuts(tmp_path, how))
