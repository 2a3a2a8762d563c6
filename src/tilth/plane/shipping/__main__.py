"""`python -m tilth.plane.shipping --home DIR [--ready-fd N]`: ships the prediction log of a home, at low priority."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from tilth.plane.parent import die_with_parent
from tilth.plane.shipping.loop import Shipping

NICENESS = 10


def main() -> None:
    arguments = _arguments()
    if arguments.ready_fd is not None:
        die_with_parent(signal.SIGTERM)
        os.write(arguments.ready_fd, b"1")
        os.close(arguments.ready_fd)
    os.nice(NICENESS)
    # One thread: what is shipped must not take the cores of what answers.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopped.set())
    Shipping(arguments.home.resolve()).run(stopped)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tilth.plane.shipping", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the installation")
    parser.add_argument("--ready-fd", type=int, help="gets one byte at the start")
    return parser.parse_args()


if __name__ == "__main__":
    main()
