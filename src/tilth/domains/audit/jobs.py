"""Sealing, signed checkpoints and verification of the chain."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tilth.backends.sql import Database
from tilth.core.clock import Clock
from tilth.core.ids import new_id
from tilth.domains.audit import queries
from tilth.domains.audit.rules import checkpoint_message, verify
from tilth.domains.audit.types import Broken, Checkpoint, Verdict


class Checkpoints:
    """Signed heads of the chain, one JSON line each, in a folder outside the database. The key is made at first use (mode 0600).

    Several control processes may sign into one folder.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    @property
    def _file(self) -> Path:
        return self._folder / "checkpoints.jsonl"

    def write(self, position: int, head: str) -> None:
        """Appends a checkpoint unless the last one already names this position."""
        if position == 0:
            return
        with self._alone():
            known = self._lines()
            if known and known[-1].position >= position:
                return
            at = self._clock()
            signature = self._private_key().sign(checkpoint_message(position, head, at)).hex()
            self._append(json.dumps(asdict(Checkpoint(position, head, at, signature))) + "\n")

    def read(self) -> list[Checkpoint] | Broken:
        """All checkpoints with good signatures, or the first that is not what its signature covers."""
        if not self._file.exists():
            return []
        public = self._public_key()
        checkpoints = self._lines()
        for checkpoint in checkpoints:
            message = checkpoint_message(checkpoint.position, checkpoint.hash, checkpoint.at)
            try:
                public.verify(bytes.fromhex(checkpoint.signature), message)
            except (InvalidSignature, ValueError):
                return Broken(checkpoint.position, None, f"a checkpoint in {self._file.name} was changed after it was signed")
        return checkpoints

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time, by a lock on the folder, which the kernel drops when its holder ends, however it ends."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _lines(self) -> list[Checkpoint]:
        """A torn last line (power cut in the middle of writing) counts as not written."""
        if not self._file.exists():
            return []
        complete = self._file.read_bytes().rpartition(b"\n")[0]
        return [Checkpoint(**json.loads(line)) for line in complete.splitlines() if line.strip()]

    def _append(self, line: str) -> None:
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as stream:
            # A torn last line goes first: the new one would become a part of it, and neither could be read.
            stream.truncate(stream.read().rfind(b"\n") + 1)
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _private_key(self) -> Ed25519PrivateKey:
        path = self._folder / "checkpoint.key"
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            # The public one first: a kill between the two leaves one that signed nothing, never a key without its counterpart.
            self._keep("checkpoint.pub", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex().encode())
            self._keep(path.name, key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())

    def _keep(self, name: str, content: bytes) -> None:
        partial = self._folder / f".{name}.{new_id()}"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._folder / name)

    def _public_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex((self._folder / "checkpoint.pub").read_text().strip()))


def seal(database: Database) -> int:
    """PostgreSQL: seals what has been committed. Returns how many rows; 0 on SQLite, where rows are sealed as they are written."""
    if database.dialect == "sqlite":
        return 0
    return database.write_blocking(queries.seal_committed_across_projects)


def write_checkpoint(database: Database, checkpoints: Checkpoints) -> None:
    """Signs the present head; called once a minute while there is something new, and at a clean stop."""
    position, head = database.read_blocking(queries.chain_head)
    checkpoints.write(position, head)


def verify_chain(database: Database, checkpoints: Checkpoints) -> Verdict:
    """Walks every row and every checkpoint. Needs read access only (and, on PostgreSQL, that rows have been sealed)."""
    signed = checkpoints.read()
    if isinstance(signed, Broken):
        return signed
    return verify(queries.pages(database.read_blocking), signed)
