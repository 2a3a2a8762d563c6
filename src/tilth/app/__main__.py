"""`python -m tilth.app`: one control process. `tilth up` starts it; by hand it binds its own port."""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop

from tilth.app.bootstrap import ensure_local_identity
from tilth.app.control import create_app
from tilth.app.home import lock_home, prepare_home, remove_server_file, starting_alone, write_server_file
from tilth.app.schema import prepare_database
from tilth.app.server import adopt, bind, last_words, serve
from tilth.app.settings import Settings, load_settings
from tilth.app.wiring import build
from tilth.core.clock import now
from tilth.core.errors import TilthError
from tilth.core.home import ServerFile

STARTUP_ERROR = 3
"""Exit code that tells the supervisor: starting again would fail the same way; the last line of stderr says why."""
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2


def main() -> int:
    # Started by hand, this process has the umask of a shell, which may let others into folders made without a mode.
    os.umask(0o077)
    arguments = _arguments()
    _die_with_parent()
    try:
        settings = load_settings(arguments.home, flags={"port": arguments.port, "serve_port": arguments.serve_port})
        logging.basicConfig(
            level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        for talkative in ("httpx", "alembic"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        listening = adopt(arguments.fd) if arguments.fd is not None else bind(settings.host, settings.port)
        _run(settings, listening, arguments.ready_fd, supervised=arguments.fd is not None)
    except TilthError as error:
        sys.stderr.write(f"error: {error}\n")
        return STARTUP_ERROR
    except OSError as error:
        sys.stderr.write(f"error: cannot start: {error.strerror or error} {error.filename or ''}".rstrip() + "\n")
        return STARTUP_ERROR
    return 0


def _run(settings: Settings, listening: socket.socket, ready_fd: int | None, *, supervised: bool) -> None:
    home = prepare_home(settings.home, on_sqlite=settings.on_sqlite)
    # On SQLite one process owns the file; on PostgreSQL several control processes may share a home.
    lock = lock_home(home) if settings.on_sqlite else None
    port = listening.getsockname()[1]
    control_url = _address(settings.scheme, settings.host, port)
    serve_url = _address("http", settings.serve_host, settings.serve_port)
    prepare_database(settings)
    system = build(settings, control_url=control_url, serve_url=serve_url)
    try:
        app = create_app(system)
        with starting_alone(home):
            local = ensure_local_identity(system.database, home, settings.project_name)
            write_server_file(home, ServerFile(control_url, serve_url, local.token, local.project.name, os.getpid(), now()))
    except BaseException:
        last_words(system)
        raise
    try:
        uvloop.run(serve(system, app, listening, ready_fd))
    finally:
        # The supervisor starts this process again at the same address; it takes the file away when it ends itself.
        if not supervised:
            remove_server_file(home, os.getpid())
        if lock is not None:
            lock.release()


def _address(scheme: str, host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{scheme}://{shown}:{port}"


def _die_with_parent() -> None:
    """The kernel ends this process when the supervisor ends, however it ends.

    The supervisor arms SIGKILL before it starts us, which a process that hangs cannot ignore: that one stays.
    """
    libc, armed = ctypes.CDLL(None, use_errno=True), ctypes.c_int(0)
    libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(armed))
    if not armed.value:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tilth.app", description="The control process of a Tilth home.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--serve-port", type=int)
    parser.add_argument("--fd", type=int, help="a listening socket to answer on, instead of binding --port")
    parser.add_argument("--ready-fd", type=int, help="where to write one byte once requests are answered")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
