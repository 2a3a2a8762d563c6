"""What must be there before the first request: the schema, the local owner, the first project, and the tokens of this machine."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.identity import actions, queries
from tilth.domains.identity.types import MODEL_SERVER, PrincipalRecord
from tilth.domains.tracking import actions as tracking
from tilth.guard import ProjectRef
from tilth.wire.plane import TOKEN_PATH

OWNER_TOKEN_FILE = "token"


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """The local owner, his token, and the project that a request without one goes to."""

    owner: PrincipalRecord
    token: str
    project: ProjectRef


def ensure_local_identity(database: Database, home: Path, project_name: str) -> LocalIdentity:
    """Makes what is missing and keeps what is there; a token stays the same from start to start while it is good."""
    known_owner, known_plane = _read_secret(home / OWNER_TOKEN_FILE), _read_secret(home / TOKEN_PATH)

    def ensure(tx: Tx) -> tuple[PrincipalRecord, str, str, ProjectRef]:
        owner = actions.ensure_local_owner(tx, local_user_name())
        token = actions.renew_system_token(tx, owner, "local", known_owner)
        service = actions.ensure_service(tx, MODEL_SERVER)
        plane_token = actions.renew_system_token(tx, service, "plane", known_plane)
        return owner, token, plane_token, _first_project(tx, owner, project_name)

    owner, token, plane_token, project = database.write_blocking(ensure)
    write_secret(home / OWNER_TOKEN_FILE, token)
    write_secret(home / TOKEN_PATH, plane_token)
    return LocalIdentity(owner, token, project)


def local_user_name() -> str:
    """Name of the operating system's user, fit for a principal; `owner` where it has none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:60] or "owner"


def write_secret(path: Path, secret: str) -> None:
    """Writes by replacement with mode 0600, so that nobody ever reads a part or through wider rights."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secret)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def _read_secret(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _first_project(tx: Tx, owner: PrincipalRecord, name: str) -> ProjectRef:
    """The project of `tilth.toml`; made if nobody made it yet. Its experiment `Default` is there from the first moment."""
    found = queries.project_named(tx, name)
    if found is None:
        actor = Actor(owner.id, owner.name, "user", via="system")
        found = actions.create_project(tx, actor, name)
        tracking.create_default_experiment(tx, ProjectId(found.id))
    reference = queries.project_ref(tx, found.id)
    assert reference is not None
    return reference
