"""How many threads the numeric libraries of this process use: told to those that read no environment, where `threadpoolctl` is there."""

from __future__ import annotations

import contextlib


def hold_to(threads: int) -> None:
    """Call it after a model is loaded: libraries count from when they are loaded. Lasts for the life of the process."""
    with contextlib.suppress(ImportError):
        import threadpoolctl  # type: ignore[import-untyped]

        threadpoolctl.threadpool_limits(limits=threads)
