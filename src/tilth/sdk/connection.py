"""Which server and project this process talks to."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from tilth.core.errors import Invalid
from tilth.core.home import NoServer, Target, find_home, find_target
from tilth.sdk.http import Http

Mode = Literal["auto", "online", "offline"]


class UnknownMode(Invalid):
    def __init__(self, given: str) -> None:
        super().__init__(
            f"mode {given[:40]!r} is not known; choose `auto`, `online` or `offline` (argument mode=, or TILTH_MODE)"
        )


class Connection:
    """A server and a project on it.

    mode: `auto` goes on in a journal on disk while the server is away, `online` needs it at the start of a run and waits for it in
    memory, `offline` never asks for it.
    """

    def __init__(self, target: Target, mode: Mode = "auto") -> None:
        self.target = target
        self.mode: Mode = mode
        self.http = Http(target.url, target.token)
        self.serving = Http(target.serve_url, target.token)

    @property
    def url(self) -> str:
        return self.target.url

    @property
    def project(self) -> str:
        return self.target.project

    @property
    def api(self) -> str:
        """Path of this project's API."""
        return f"/api/v1/p/{quote(self.project, safe='')}"

    def page(self, *segments: str) -> str:
        """Address of a page of this project, for people."""
        return "/".join([self.url, "p", *(quote(segment, safe="") for segment in (self.project, *segments))])

    def __repr__(self) -> str:
        return f"<Tilth at {self.url}, project {self.project!r}>"


_current: Connection | None = None


def init(
    project: str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
    home: str | Path | None = None,
    mode: Mode | None = None,
) -> Connection:
    """Chooses server and project for this process. Without arguments: TILTH_URL and TILTH_TOKEN, else the nearest home.

    Calling it is only needed to choose something else. mode: see Connection; else TILTH_MODE, else `auto`. Raises NoServer, UnknownMode.
    """
    global _current
    if _current is None:
        # Registered before any run is, so that it comes after the last run has sent its rest.
        atexit.register(forget)
    chosen = _mode(mode or os.environ.get("TILTH_MODE") or "auto")
    try:
        target = find_target(os.environ, Path.cwd(), home=home, url=url, token=token, project=project)
    except NoServer:
        target = _nowhere(chosen, home, project)
    _current = Connection(target, chosen)
    return _current


def _mode(text: str) -> Mode:
    match text:
        case "auto" | "online" | "offline":
            return text
    raise UnknownMode(text)


def _nowhere(mode: Mode, home: str | Path | None, project: str | None) -> Target:
    """Runs of a home whose server is stopped wait in its journal, and with mode `offline` no server need be known. Raises NoServer."""
    found = find_home(home, os.environ, Path.cwd())
    wanted = project or os.environ.get("TILTH_PROJECT") or ""
    if mode == "offline" or (mode == "auto" and found.is_dir()):
        return Target("", "", wanted, home=found if found.is_dir() else None)
    raise NoServer(
        f"no Tilth server found: TILTH_URL is not set and {found} holds none; start one with `tilth up`, name its home with home= or "
        "its address with url=, or track without one: TILTH_MODE=offline, and `tilth sync` afterwards"
    )


def connection() -> Connection:
    """The chosen one, or the one that is found from here."""
    return _current if _current is not None else init()


def forget() -> None:
    """The next call finds the server anew."""
    global _current
    if _current is not None:
        _current.http.close()
        _current.serving.close()
    _current = None
