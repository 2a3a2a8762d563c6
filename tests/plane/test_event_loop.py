"""Which event loop a worker runs on. A linter once took the import for unused, and every prediction paid for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_a_worker_runs_on_uvloop_where_it_is_installed(worker: Any) -> None:
    assert "uvloop" in Path(f"/proc/{worker.process.pid}/maps").read_text()
