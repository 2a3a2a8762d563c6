"""Starts a bare writer, kills it at a named place, and hands over what it said until then.

A writer is a script that prints one JSON list per line, in one write, such as ["ack", 7] for a number that it was told is safe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_writer(script: Path, *arguments: str, kill_at: str = "") -> list[list[Any]]:
    """Everything that the writer said until it ended, or died at `kill_at` (`name:N`, see tilth.core.killpoints).

    Fails if it ended in another way: a place that is never reached must not pass as one that was survived.
    """
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        env=os.environ | {"TILTH_KILL_AT": kill_at},
        timeout=60,
        check=False,
    )
    wanted = -signal.SIGKILL if kill_at else 0
    assert done.returncode == wanted, f"the writer ended with {done.returncode}, not {wanted}:\n{done.stderr.decode()}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def acknowledged(said: list[list[Any]]) -> set[int]:
    return {line[1] for line in said if line[0] == "ack"}
