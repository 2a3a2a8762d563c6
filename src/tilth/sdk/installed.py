"""The packages of a Python. Standard library alone: other interpreters run this file as a program, to tell of theirs."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from urllib.parse import urlsplit, urlunsplit


def packages() -> str:
    """Every installed distribution as a line of a requirements file, in order: `name==version`, or where it was taken from.

    What was installed from a local folder stands in a comment: no other machine can install it from there.
    """
    found = [(dist.metadata["Name"], dist) for dist in metadata.distributions()]
    lines = {name.lower(): _requirement(name, dist) for name, dist in found if name}
    return "".join(f"{line}\n" for _, line in sorted(lines.items()))


def without_credentials(remote: str) -> str:
    """`https://user:secret@host/x.git` becomes `https://host/x.git`; `git@host:x.git` stays."""
    if "://" not in remote:
        return remote
    try:
        parts = urlsplit(remote)
        address = parts.hostname or ""
        host = f"{address}:{parts.port}" if parts.port else address
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _requirement(name: str, dist: metadata.Distribution) -> str:
    try:
        origin = json.loads(dist.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    url = without_credentials(str(origin.get("url", "")))
    if "vcs_info" in origin:
        return f"{name} @ {origin['vcs_info'].get('vcs', 'git')}+{url}@{origin['vcs_info'].get('commit_id', '')}"
    if url.startswith("file:"):
        return f"# {name}=={dist.version} was installed from a folder of that machine"
    return f"{name} @ {url}" if url else f"{name}=={dist.version}"


if __name__ == "__main__":
    sys.stdout.write(packages())
