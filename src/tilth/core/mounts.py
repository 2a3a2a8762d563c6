"""What kind of file system a path lies on, by the kernel's table of mounts."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
_PLAIN = "nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs ncpfs afs ceph glusterfs lustre gpfs beegfs ocfs2 gfs2 davfs 9p"
_FUSED = "sshfs s3fs rclone gcsfuse glusterfs ceph davfs2 goofys mount-s3"
NETWORK_FILE_SYSTEMS = frozenset((*_PLAIN.split(), *(f"fuse.{name}" for name in _FUSED.split())))
"""Where two machines may each believe that they hold one lock: SQLite loses data there."""


def file_system_of(path: Path, mounts: Path = MOUNTS) -> str:
    """Type of the file system that holds `path`, which need not exist, as the kernel names it; empty where there is no table of mounts."""
    try:
        table = mounts.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    real = path.resolve()
    best, kind = -1, ""
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Spaces, tabs, newlines and backslashes are written as \040 and so on.
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        # Of two mounts on one point the later hides the earlier.
        if real.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind
