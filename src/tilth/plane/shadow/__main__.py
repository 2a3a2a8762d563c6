"""`python -m tilth.plane.shadow --home DIR [--ready-fd N]`: lets versions in the shadow answer what a home logs, at low priority."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.plane.parent import die_with_parent
from tilth.plane.shadow.loop import Shadows

NICENESS = 15
"""Below the shipper: what is compared can wait for what is kept."""


def main() -> None:
    arguments = _arguments()
    if arguments.ready_fd is not None:
        die_with_parent(signal.SIGTERM)
        os.write(arguments.ready_fd, b"1")
        os.close(arguments.ready_fd)
    os.nice(NICENESS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopped.set())
    Shadows(arguments.home.resolve()).run(stopped)
    sys.stderr.flush()
    # A model that still computes in a thread of its own would hold up the end.
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tilth.plane.shadow", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the installation")
    parser.add_argument("--ready-fd", type=int, help="gets one byte at the start")
    return parser.parse_args()


if __name__ == "__main__":
    main()
