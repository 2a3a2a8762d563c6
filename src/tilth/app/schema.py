"""The schema at start: migrations that the database does not have yet are applied, after a backup."""

from __future__ import annotations

from tilth.app.migrations import SCRIPTS
from tilth.app.settings import Settings
from tilth.backends.sql import MigrationReport, migrate


def prepare_database(settings: Settings, *, dry_run: bool = False) -> MigrationReport:
    """Brings the database to this program's schema. Raises DatabaseTooNew, MigrationFailed, NetworkFileSystem, DatabaseUnreachable."""
    return migrate(settings.database, SCRIPTS, settings.home / "backups", dry_run=dry_run)
