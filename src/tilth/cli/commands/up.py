"""`tilth up` and `tilth stop`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from tilth.app.home import lock_holder, lock_home, prepare_home
from tilth.app.settings import LOG_LEVELS, Settings, load_settings
from tilth.cli.caller import Caller, shared
from tilth.cli.waiting import wait_until
from tilth.core.errors import Conflict, Unavailable
from tilth.core.home import UP_LOCK_FILE

MOST_WORKERS = 32
STOP_WITHIN_S = 10.0


class NotRunning(Conflict):
    """There is no `tilth up` on this home."""


class NotStopped(Unavailable):
    """A process did not end in time."""


@click.command(
    epilog="""\b
Examples:
  tilth up
  tilth up --home ./.tilth --port 9000 --serve-port 9001
  tilth up --port 0 --serve-port 0        any free ports; `ready <url>` says which
"""
)
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the server (default: TILTH_HOME, .tilth, ~/.tilth).")
@click.option("--host", help="Address to listen on (127.0.0.1); others need TLS or trusted_proxies.")
@click.option("--port", type=int, help="Port of pages and API (8700).")
@click.option("--serve-port", type=int, help="Port of predictions (8701).")
@click.option("--serve-workers", type=int, help="Model-server processes (one per core).")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="How much the logs say (info).")
def up(home: Path | None, **flags: Any) -> None:
    """Start Tilth here: pages and API on one port, predictions on another.

    Prints `ready <url>` once both answer and stays until Ctrl-C. Logs go to <home>/logs.
    """
    folder = Caller(home, None, None, None, False).home_folder()
    settings = load_settings(folder, os.environ, flags)
    prepare_home(folder, on_sqlite=settings.on_sqlite)
    lock = lock_home(folder, UP_LOCK_FILE)
    for key, value in flags.items():
        if value is not None and key not in ("port", "serve_port"):
            os.environ[f"TILTH_{key.upper()}"] = str(value)
    # Replaces this process: what stays must be small, and the lock stays with it.
    os.set_inheritable(lock.descriptor, True)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tilth.cli.supervisor", *_supervisor_options(settings, lock.descriptor)])


@click.command(epilog="\b\nExample:\n  tilth stop --home ./.tilth\n")
@shared(project=False, server=False)
def stop(caller: Caller) -> None:
    """Stop the Tilth that `tilth up` started on this home, and wait until it has ended."""
    home = caller.home_folder()
    pid = lock_holder(home, UP_LOCK_FILE)
    if not pid:
        raise NotRunning(f"no `tilth up` runs on home {home}; `tilth status` shows what answers")
    os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: lock_holder(home, UP_LOCK_FILE) != pid, STOP_WITHIN_S):
        raise NotStopped(f"process {pid} has not ended within {STOP_WITHIN_S:.0f} s; end it with `kill -9 {pid}`")
    caller.done(f"stopped process {pid}", {"pid": pid, "home": str(home)})


def cores(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may use: the scheduler's mask, further bounded by a container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cgroup.read_text().split()
        allowed = min(allowed, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return allowed


def _supervisor_options(settings: Settings, lock: int) -> list[str]:
    options = {
        "--home": settings.home,
        "--host": settings.host,
        "--port": settings.port,
        "--serve-host": settings.serve_host,
        "--serve-port": settings.serve_port,
        "--controls": settings.control_processes,
        "--workers": settings.serve_workers or min(cores(), MOST_WORKERS),
        "--memory-budget-mb": settings.memory_budget_mb,
        "--scheme": settings.scheme,
        "--lock-fd": lock,
    }
    return [text for option, value in options.items() for text in (option, str(value))]
