"""Where Tilth lives on this machine, and how a client on it finds the server.

A home is one folder: database, blobs, prediction logs, process logs. `server.json` in it says where the server of this home answers.
Everything here takes the environment and the working folder as arguments, so that it can be tested without touching either.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tilth.core.clock import Millis
from tilth.core.errors import Damaged, Invalid, NotFound

HOME_FOLDER = ".tilth"
SERVER_FILE = "server.json"
SETTINGS_FILE = "tilth.toml"
LOCK_FILE = "lock"
UP_LOCK_FILE = "up.lock"
DATABASE_FILE = "tilth.db"
LOGS_FOLDER = "logs"


class NoServer(NotFound):
    """Nothing says where a Tilth server answers."""


class DamagedServerFile(Damaged):
    """server.json is there and cannot be read as what it should be."""


@dataclass(frozen=True, slots=True)
class ServerFile:
    """What `server.json` says. url: API and pages; serve_url: predictions; token: the local owner's; started: moment in ms."""

    url: str
    serve_url: str
    token: str
    project: str
    pid: int
    started: Millis

    def to_json(self) -> str:
        fields = ("url", "serve_url", "token", "project", "pid", "started")
        return json.dumps({name: getattr(self, name) for name in fields}, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Target:
    """The server that a command talks to. serve_url is empty where only TILTH_URL is known; home is None then, too."""

    url: str
    token: str
    project: str
    serve_url: str = ""
    home: Path | None = None


def find_home(explicit: str | Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The home: `explicit` (--home), else TILTH_HOME, else the nearest `.tilth` folder upwards of `cwd`, else `~/.tilth`.

    It need not exist. The path is absolute; links are kept as they are.
    """
    named = explicit or environ.get("TILTH_HOME")
    if named:
        return Path(os.path.abspath(cwd / Path(named).expanduser()))
    for folder in (cwd, *cwd.parents):
        if (folder / HOME_FOLDER).is_dir():
            return folder / HOME_FOLDER
    return Path(environ.get("HOME") or Path.home()) / HOME_FOLDER


def read_server_file(home: Path) -> ServerFile | None:
    """What the home's `server.json` says; None if there is none. Raises DamagedServerFile, Invalid (not ours to read)."""
    path = home / SERVER_FILE
    try:
        found = json.loads(path.read_bytes())
        return ServerFile(
            url=str(found["url"]),
            serve_url=str(found.get("serve_url", "")),
            token=str(found["token"]),
            project=str(found.get("project", "")),
            pid=int(found.get("pid", 0)),
            started=Millis(int(found.get("started", 0))),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise Invalid(
            f"{path} belongs to another user; set TILTH_URL and TILTH_TOKEN, or name a home of yours by --home"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedServerFile(f"{path} is not what Tilth wrote ({error!r}); delete it and run `tilth up` again") from error


def find_target(
    environ: Mapping[str, str],
    cwd: Path,
    *,
    home: str | Path | None = None,
    url: str | None = None,
    token: str | None = None,
    project: str | None = None,
) -> Target:
    """The server to talk to: `url`, else the home named by `home`, else TILTH_URL, else the home found by `find_home`.

    The local owner's token in `server.json` is sent only to the address written beside it. Raises NoServer.
    """
    address = url or (None if home else environ.get("TILTH_URL"))
    found_home = find_home(home, environ, cwd)
    server = read_server_file(found_home) if home or not address else _server_file_or_none(found_home)
    if address:
        address = address.rstrip("/")
        same = server is not None and server.url.rstrip("/") == address
        secret = token or environ.get("TILTH_TOKEN") or (server.token if server and same else "")
        serve = environ.get("TILTH_SERVE_URL") or (server.serve_url if server and same else "")
        chosen = project or environ.get("TILTH_PROJECT") or (server.project if server and same else "") or "default"
        return Target(address, secret, chosen, serve.rstrip("/"), found_home if same else None)
    if server is None:
        raise NoServer(
            f"no Tilth server found: TILTH_URL is not set and {found_home / SERVER_FILE} does not exist; "
            "start one with `tilth up`, or name its home with --home or its address with --url"
        )
    own_token = token or (
        environ.get("TILTH_TOKEN") if environ.get("TILTH_URL", "").rstrip("/") == server.url.rstrip("/") else None
    )
    return Target(
        url=server.url.rstrip("/"),
        token=own_token or server.token,
        project=project or environ.get("TILTH_PROJECT") or server.project or "default",
        serve_url=server.serve_url.rstrip("/"),
        home=found_home,
    )


def _server_file_or_none(home: Path) -> ServerFile | None:
    try:
        return read_server_file(home)
    except (Damaged, Invalid):
        return None
