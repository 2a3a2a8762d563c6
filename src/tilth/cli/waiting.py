"""Waiting for something that another process does."""

from __future__ import annotations

import time
from collections.abc import Callable

from tilth.core import clock


def wait_until(happened: Callable[[], bool], within_s: float, every_s: float = 0.1) -> bool:
    """True as soon as `happened` says so, False after `within_s` seconds. Asks at least once."""
    deadline = clock.monotonic() + within_s
    while not happened():
        if clock.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True
