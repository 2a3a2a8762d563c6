"""Comparing runs from a program."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import quote

from tilth.core.errors import NotFound
from tilth.sdk.connection import Connection, connection
from tilth.sdk.differences import MAX_RUNS, Comparison, NothingToCompare, compared, package_versions
from tilth.wire.tracking import RunDetail, RunRow


class OpenRun(Protocol):
    """A run of this program."""

    id: str

    @property
    def is_open(self) -> bool: ...

    @property
    def sends_at_once(self) -> bool: ...

    def flush(self) -> None: ...


def compare(*runs: str | OpenRun | RunRow) -> Comparison:
    """Puts runs side by side: ids, runs of this program, or rows of `tilth.runs()`. Raises NothingToCompare, UnknownRun."""
    if not 2 <= len(runs) <= MAX_RUNS:
        raise NothingToCompare(len(runs))
    for run in runs:
        if not isinstance(run, str | RunRow) and run.is_open and run.sends_at_once:
            run.flush()
    target = connection()
    found = [target.http.call("GET", f"{target.api}/runs/{quote(_id(run), safe='')}", RunDetail) for run in runs]
    packages = [_packages(target, one.run.id) for one in found]
    return compared(found, packages)


def _id(run: str | OpenRun | RunRow) -> str:
    if isinstance(run, RunRow):
        return run.run.id
    return run if isinstance(run, str) else run.id


def _packages(target: Connection, run_id: str) -> dict[str, str]:
    """Nothing where they were not kept."""
    try:
        return package_versions(target.http.send("GET", f"{target.api}/runs/{run_id}/artifacts/environment/packages.txt").text)
    except NotFound:
        return {}
