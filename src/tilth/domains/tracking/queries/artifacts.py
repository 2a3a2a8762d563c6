"""Artifacts of a run, folder by folder."""

from __future__ import annotations

from sqlalchemy import select

from tilth.backends.sql import Tx
from tilth.domains.tracking.tables import artifact
from tilth.wire.tracking import ArtifactEntry

MAX_ENTRIES = 10_000

_COLUMNS = [artifact.c[name] for name in ("path", "digest", "size", "content_type", "created")]


def artifact_entry(tx: Tx, project_id: str, run_id: str, path: str) -> ArtifactEntry | None:
    row = tx.one(
        select(*_COLUMNS).where(artifact.c.project_id == project_id, artifact.c.run_id == run_id, artifact.c.path == path)
    )
    return None if row is None else ArtifactEntry(row.path, False, row.size, row.digest, row.content_type, row.created)


def artifacts_of(tx: Tx, project_id: str, run_id: str, *, folder: str = "", recursive: bool = False) -> list[ArtifactEntry]:
    """What lies in `folder` ("" is the root): its files and folders, or with `recursive` every file below it. At most 10,000 files."""
    prefix = f"{folder}/" if folder else ""
    wanted = [artifact.c.project_id == project_id, artifact.c.run_id == run_id]
    if prefix:
        # "0" follows "/" in the order of code points: these are the paths that begin with the prefix.
        wanted += [artifact.c.path > prefix, artifact.c.path < f"{folder}0"]
    found = tx.all(select(*_COLUMNS).where(*wanted).order_by(artifact.c.path).limit(MAX_ENTRIES))
    entries: dict[str, ArtifactEntry] = {}
    for row in found:
        inner = row.path[len(prefix) :]
        if recursive or "/" not in inner:
            entries[row.path] = ArtifactEntry(row.path, False, row.size, row.digest, row.content_type, row.created)
        else:
            path = prefix + inner.split("/", 1)[0]
            entries.setdefault(path, ArtifactEntry(path, True))
    return sorted(entries.values(), key=lambda entry: (not entry.is_dir, entry.path))
