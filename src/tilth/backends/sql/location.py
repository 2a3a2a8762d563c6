"""Whether a place on disk can carry a SQLite database."""

from __future__ import annotations

import re
from pathlib import Path

from tilth.backends.sql.errors import NetworkFileSystem

MOUNTS = Path("/proc/mounts")
NETWORK_KINDS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "fuse.sshfs"}
    | {"fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.mount-s3", "fuse.goofys"}
)


def check_sqlite_location(path: Path, mounts: Path = MOUNTS) -> None:
    """Raises NetworkFileSystem if `path` (which need not exist yet) lies on one. Says nothing where /proc/mounts is missing."""
    try:
        table = mounts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    kind = _kind_of(path.resolve(), table)
    if kind in NETWORK_KINDS:
        raise NetworkFileSystem(
            f"{path} lies on a network file system ({kind}), where SQLite loses or damages data: "
            "choose a home on a local disk (--home or TILTH_HOME), or use PostgreSQL ([server] database_url)"
        )


def _kind_of(path: Path, table: str) -> str:
    """File system type of the deepest mount point above `path`; a later mount on the same point hides an earlier one."""
    best, kind = -1, ""
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Spaces, tabs, newlines and backslashes are written as \040 and so on.
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind
