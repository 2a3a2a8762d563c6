"""Whether a place on disk can carry a SQLite database."""

from __future__ import annotations

from pathlib import Path

from tilth.backends.sql.errors import NetworkFileSystem
from tilth.core.mounts import MOUNTS, NETWORK_FILE_SYSTEMS, file_system_of


def check_sqlite_location(path: Path, mounts: Path = MOUNTS) -> None:
    """Raises NetworkFileSystem if `path` (which need not exist yet) lies on one. Says nothing where there is no table of mounts."""
    kind = file_system_of(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise NetworkFileSystem(
            f"{path} lies on a network file system ({kind}), where SQLite loses or damages data: "
            "choose a home on a local disk (--home or TILTH_HOME), or use PostgreSQL ([server] database_url)"
        )
