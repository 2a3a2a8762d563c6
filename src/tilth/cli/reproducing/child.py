"""Git and installers: run to their end, their words kept, and not outliving the command that started them."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def run_child(
    command: Sequence[str], folder: Path, *, given: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """given: its stdin. environment: None for this process's own. Raises OSError where it cannot be started."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        check=False,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


def last_words(done: subprocess.CompletedProcess[bytes], lines: int) -> str:
    """The end of what it said of its trouble, indented, without control characters."""
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    return "\n".join("  " + "".join(c if c.isprintable() else " " for c in line) for line in said[-lines:])


def _die_with_parent() -> None:
    # A killed command must not leave somebody behind who writes into a folder that the next call takes up.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
