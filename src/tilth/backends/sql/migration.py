"""Migrations through alembic: on a copy first, after a backup, all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from tilth.backends.sql.errors import DatabaseTooNew, MigrationFailed
from tilth.backends.sql.opening import sqlite_path
from tilth.backends.sql.schema import metadata
from tilth.backends.sql.schema_state import MigrationReport
from tilth.backends.sql.sqlite import connected, raw, sqlite_engine, translate
from tilth.core.clock import iso, now
from tilth.core.errors import TilthError
from tilth.core.ids import new_id

ADVISORY_LOCK = 0x74696C7468
"""Taken on PostgreSQL while migrating, so that of several servers that start together one does it and the others wait."""


def apply_pending(database_url: str, scripts_folder: Path, backups_folder: Path, *, dry_run: bool = False) -> MigrationReport:
    """See upgrade.migrate."""
    plan = _Scripts(scripts_folder)
    path = sqlite_path(database_url)
    if path is None:
        return _migrate_postgres(database_url, plan, dry_run=dry_run)
    try:
        return _migrate_sqlite(path, plan, backups_folder, dry_run=dry_run)
    except sqlite3.Error as error:
        raise translate(error) or error from error


def differences(database_url: str) -> list[str]:
    """What in the database differs from the declared tables, in alembic's words; empty if nothing does."""
    path = sqlite_path(database_url)
    engine = sqlite_engine(path, read_only=True) if path is not None else _postgres(database_url)[0]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [repr(difference) for difference in compare_metadata(context, metadata)]


class _Scripts:
    """The migrations that this program knows."""

    def __init__(self, folder: Path) -> None:
        self.config = Config()
        # The options are read with %-interpolation.
        self.config.set_main_option("script_location", str(folder).replace("%", "%%"))
        self.config.set_main_option("path_separator", "os")
        self._scripts = ScriptDirectory.from_config(self.config)

    @property
    def head(self) -> str | None:
        return self._scripts.get_current_head()

    def pending(self, before: str | None) -> tuple[str, ...]:
        """ "revision message" of what comes after `before`, oldest first. Raises DatabaseTooNew."""
        if self.head is None and before is None:
            return ()
        try:
            steps = list(self._scripts.iterate_revisions(self.head or "base", before or "base"))
        except (CommandError, RevisionError) as unknown:
            raise DatabaseTooNew(
                f"the database has schema {before}, which this program (schema {self.head}) does not know: "
                "install the newer Tilth that wrote it, or put back a backup that this one made"
            ) from unknown
        return tuple(f"{step.revision} {step.doc}" for step in reversed(steps))

    def apply(self, connection: Connection) -> None:
        """Inside the caller's transaction. Raises MigrationFailed."""
        self.config.attributes["connection"] = connection
        try:
            command.upgrade(self.config, "head")
        except TilthError:
            raise
        except Exception as error:
            raise MigrationFailed(
                f"the database could not be brought to schema {self.head} ({error}); it is as it was: report this, "
                "and go on with the version of Tilth that you had"
            ) from error


def _migrate_sqlite(path: Path, plan: _Scripts, backups: Path, *, dry_run: bool) -> MigrationReport:
    there = path.exists() and path.stat().st_size > 0
    before = _revision_of(path) if there else None
    pending = plan.pending(before)
    if not pending:
        return MigrationReport(before, before, (), None, dry_run)
    backup = None
    if there or dry_run:
        backups.mkdir(parents=True, exist_ok=True)
        _rehearse(path if there else None, plan, backups)
    if dry_run:
        return MigrationReport(before, plan.head, pending, None, dry_run=True)
    if there:
        moment = iso(now()).replace(":", "").replace(".", "")
        backup = backups / f"{path.stem}-{before or 'empty'}-{moment}.db"
        copy_sqlite(path, backup)
    _upgrade_sqlite(path, plan)
    return MigrationReport(before, plan.head, pending, backup, dry_run=False)


def _revision_of(path: Path) -> str | None:
    with sqlite_engine(path, read_only=True).connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _rehearse(path: Path | None, plan: _Scripts, folder: Path) -> None:
    copy = folder / f"rehearsal-{new_id()}.db"
    try:
        if path is not None:
            copy_sqlite(path, copy)
        _upgrade_sqlite(copy, plan)
    finally:
        for leftover in folder.glob(f"{copy.name}*"):
            leftover.unlink()


def copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a database that may be in use. Raises sqlite3 errors and leaves no half of a copy."""
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            target.chmod(0o600)
            old.backup(new, pages=4096)
    except sqlite3.Error:
        target.unlink(missing_ok=True)
        raise


def _upgrade_sqlite(path: Path, plan: _Scripts) -> None:
    connection = connected(sqlite_engine(path))
    database = raw(connection)
    try:
        # A batch migration drops and renames tables: with foreign keys on, the rows that point to them would go, too.
        database.execute("PRAGMA foreign_keys=OFF")
        database.execute("BEGIN IMMEDIATE")
        plan.apply(connection)
        broken = database.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise MigrationFailed(
                f"after the migration {len(broken)} rows would point nowhere (first: {broken[0]}); the database is as it was: report this"
            )
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    finally:
        connection.close()


def _migrate_postgres(url: str, plan: _Scripts, *, dry_run: bool) -> MigrationReport:
    engine, begin = _postgres(url)
    connection = begin(engine)
    try:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        before = _revision(connection)
        pending = plan.pending(before)
        if pending:
            plan.apply(connection)
        connection.exec_driver_sql("ROLLBACK" if dry_run else "COMMIT")
        return MigrationReport(before, plan.head if pending else before, pending, None, dry_run)
    finally:
        connection.invalidate()
        connection.close()


def _postgres(url: str) -> tuple[Engine, Callable[[Engine], Connection]]:
    # psycopg is an optional extra, so its adapter is imported only by those who ask for it.
    from tilth.backends.sql import postgres

    return postgres.postgres_engine(url), postgres.connected


def write_migration(scratch: Path, scripts_folder: Path, message: str) -> Path:
    """Writes the next migration from what separates the declared tables from those that the present migrations make.

    scratch: a SQLite file that is made for the comparison. Returns the path of the new script.
    """
    plan = _Scripts(scripts_folder)
    _upgrade_sqlite(scratch, plan)
    number = f"{int(plan.head or 0) + 1:04d}"
    with connected(sqlite_engine(scratch)) as connection:
        plan.config.attributes["connection"] = connection
        script = command.revision(plan.config, message, autogenerate=True, rev_id=number)
    if script is None or isinstance(script, list):
        raise MigrationFailed("alembic wrote no single script: look at its messages above")
    return Path(script.path)
