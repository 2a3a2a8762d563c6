"""Named places at which a crash test may kill the process.

Kills at random times almost never hit the narrow windows that matter (between write and sync, between sync and rename).
A place in the code that the tests care about calls `reach("after_fsync")`; unless TILTH_KILL_AT names it, that is one comparison.
TILTH_KILL_AT is `name` or `name:N`: the N-th time the place is reached (1 if not given), the process ends by SIGKILL.
"""

from __future__ import annotations

import os
import signal

_name, _, _nth = os.environ.get("TILTH_KILL_AT", "").partition(":")
_left = int(_nth or 1)


def reach(name: str) -> None:
    """Marks the place. Never returns if it is the armed one and its turn has come."""
    if name == _name:
        _die_in_turn()


def _die_in_turn() -> None:
    global _left
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
