"""Which server and project this process talks to."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from urllib.parse import quote

from tilth.core.home import Target, find_target
from tilth.sdk.http import Http


class Connection:
    """A server and a project on it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.http = Http(target.url, target.token)

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
    project: str | None = None, *, url: str | None = None, token: str | None = None, home: str | Path | None = None
) -> Connection:
    """Chooses server and project for this process. Without arguments: TILTH_URL and TILTH_TOKEN, else the nearest home.

    Calling it is only needed to choose something else. Raises NoServer.
    """
    global _current
    if _current is None:
        # Registered before any run is, so that it comes after the last run has sent its rest.
        atexit.register(forget)
    _current = Connection(find_target(os.environ, Path.cwd(), home=home, url=url, token=token, project=project))
    return _current


def connection() -> Connection:
    """The chosen one, or the one that is found from here."""
    return _current if _current is not None else init()


def forget() -> None:
    """The next call finds the server anew."""
    global _current
    if _current is not None:
        _current.http.close()
    _current = None
