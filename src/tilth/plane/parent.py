"""A process that must not outlive the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2


def die_with_parent(number: signal.Signals) -> None:
    """Asks the kernel for a signal when the thread that started this process ends. Linux only; elsewhere the parent's clean-up must do.

    Whatever the parent armed already stays: it may be SIGKILL, which a process that hangs cannot ignore.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    libc, armed = ctypes.CDLL(None), ctypes.c_int(0)
    libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(armed), 0, 0, 0)
    if not armed.value:
        libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
