"""What can go wrong between an action and the database, in words that a caller can act on."""

from __future__ import annotations

from tilth.core.errors import Conflict, Damaged, Denied, Invalid, OutOfSpace, Unavailable


class WriterBusy(Unavailable):
    """More writes wait than the bound allows, or another program holds the database. Nothing of the request was kept."""

    retry_after_s = 1.0


class ReadersBusy(Unavailable):
    """More reads wait than the bound allows."""

    retry_after_s = 1.0


class WriteConflict(Unavailable):
    """Concurrent writes kept getting in each other's way until the retries ran out (PostgreSQL only)."""

    retry_after_s = 0.2


class StatementTooSlow(Unavailable):
    """A query was ended because it took too long; others need the connection, too."""

    retry_after_s = 5.0


class DatabaseUnreachable(Unavailable):
    """The database cannot be opened, or the connection to it broke."""

    retry_after_s = 5.0


class DatabaseClosed(Unavailable):
    """The process is stopping and takes no more work."""


class DatabaseFull(OutOfSpace):
    """The disk under the database is full; nothing of the request was kept."""

    retry_after_s = 30.0


class DatabaseReadOnly(Denied):
    """A reading job tried to write, or this user has no right to write the database."""


class DatabaseDamaged(Damaged):
    """The database file is not one, or its pages contradict each other."""


class DuplicateRow(Conflict):
    """A row with the same key is there already."""


class MissingReference(Conflict):
    """A row points to one that is not there, or one that is still pointed to was to be removed."""


class RowRefused(Invalid):
    """A value is missing or breaks a rule of its column."""


class InvalidText(Invalid):
    """Text or JSON with a NUL character, a lone surrogate, or a number that JSON does not know."""


class NumberOutOfRange(Invalid):
    """An integer does not fit into 64 bits."""


class NetworkFileSystem(Invalid):
    """SQLite on a network file system loses or damages data: file locks and shared memory do not work there."""


class DatabaseTooNew(Conflict):
    """The database was written by a newer program."""


class MigrationFailed(Conflict):
    """A migration was refused by the database, or did not pass its dry run. The database is as it was before."""
