"""`python -m tilth.plane --home DIR --worker w0 (--fd N | --port P) [--ready-fd M]`: one worker of the model server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import tilth.plane.one_thread  # noqa: F401 first, before numpy
from tilth.plane.event_loop import new_event_loop
from tilth.plane.parent import die_with_parent
from tilth.plane.server import Worker, listen, serve


def main() -> None:
    arguments = _arguments()
    if arguments.fd is not None:
        die_with_parent(signal.SIGTERM)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    listener = socket.socket(fileno=arguments.fd) if arguments.fd is not None else listen(arguments.host, arguments.port)
    worker = Worker(arguments.home.resolve(), arguments.worker, listener, arguments.ready_fd, arguments.memory_budget_mb)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(worker))
        # All is answered and durable; a model still loading in its thread would hold up the end for as long as it likes.
        sys.stderr.flush()
        os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tilth.plane", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the installation")
    parser.add_argument("--worker", default="w0", help="name of this worker, unique within the home")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--fd", type=int, help="listening socket, opened by the supervisor")
    where.add_argument("--port", type=int, help="port to open oneself; several workers may share it")
    parser.add_argument("--host", default="127.0.0.1", help="address to open the port on")
    parser.add_argument("--memory-budget-mb", type=int, default=0, help="what lazy versions may take together; 0 is unbounded")
    parser.add_argument("--ready-fd", type=int, help="gets one byte once requests are accepted")
    return parser.parse_args()


if __name__ == "__main__":
    main()
