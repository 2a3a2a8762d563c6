"""A database is brought to the schema of the program: rehearsed, backed up, all or nothing."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tilth.app.migrations import SCRIPTS
from tilth.app.migrations.tables import declared_tables
from tilth.backends.sql import DatabaseTooNew, MigrationFailed, migrate, open_database
from tilth.backends.sql.migration import differences
from tilth.backends.sql.schema_state import latest

HEAD = """
from alembic import op
import sqlalchemy as sa

revision = "{number}"
down_revision = {before}
"""
STEPS = {
    "0001": """
def upgrade():
    op.create_table("field", sa.Column("id", sa.Text, primary_key=True))
    op.create_table("row", sa.Column("field", sa.Text, sa.ForeignKey("field.id", ondelete="CASCADE", name="fk_row_field")))
    op.execute("INSERT INTO field VALUES ('north')")
    op.execute("INSERT INTO row VALUES ('north')")
""",
    "0002": """
def upgrade():
    with op.batch_alter_table("field") as field:
        field.add_column(sa.Column("area", sa.Integer))
        field.alter_column("id", type_=sa.String(40))
""",
    "bad": """
def upgrade():
    op.execute("INSERT INTO field (id) VALUES ('lost')")
    op.execute("INSERT INTO nowhere VALUES (1)")
""",
    "dangling": """
def upgrade():
    op.execute("DELETE FROM field")
""",
}

Scripts = Callable[..., Path]


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    """A folder with the named steps as migrations 0001, 0002, ..."""

    def make(*names: str) -> Path:
        folder = tmp_path / "scripts"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "versions").mkdir(parents=True)
        for name in ("env.py", "script.py.mako"):
            shutil.copy(SCRIPTS / name, folder)
        before = None
        for index, name in enumerate(names, start=1):
            number = f"{index:04d}"
            head = HEAD.format(number=number, before=repr(before))
            (folder / "versions" / f"{number}_{name}.py").write_text(f'"""{name}"""\n{head}\n{STEPS[name]}')
            before = number
        return folder

    return make


def fields(url: str) -> list[str]:
    db = open_database(url)
    try:
        return db.read_blocking(lambda tx: [found.id for found in tx.all(text("SELECT id FROM field ORDER BY id"))])
    finally:
        db.close()


def test_an_empty_database_gets_every_migration_and_the_second_time_none(
    database_url: str, scripts: Scripts, tmp_path: Path
) -> None:
    folder = scripts("0001", "0002")
    first = migrate(database_url, folder, tmp_path / "backups")
    assert (first.before, first.after, first.applied, first.backup) == (None, "0002", ("0001 0001", "0002 0002"), None)
    second = migrate(database_url, folder, tmp_path / "backups")
    assert (second.before, second.after, second.applied) == ("0002", "0002", ())
    assert fields(database_url) == ["north"]


def test_a_dry_run_reports_the_steps_and_changes_nothing(database_url: str, scripts: Scripts, tmp_path: Path) -> None:
    folder = scripts("0001")
    migrate(database_url, folder, tmp_path / "backups")
    folder = scripts("0001", "0002")
    report = migrate(database_url, folder, tmp_path / "backups", dry_run=True)
    assert (report.applied, report.after, report.dry_run) == (("0002 0002",), "0002", True)
    assert migrate(database_url, folder, tmp_path / "backups").applied == ("0002 0002",)


@pytest.mark.parametrize("broken", ["bad", "dangling"])
def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database_url: str, scripts: Scripts, tmp_path: Path, broken: str
) -> None:
    if broken == "dangling" and database_url.startswith("postgresql"):
        pytest.skip("PostgreSQL itself keeps the references while migrating")
    migrate(database_url, scripts("0001"), tmp_path / "backups")
    with pytest.raises(MigrationFailed, match="as it was"):
        migrate(database_url, scripts("0001", broken), tmp_path / "backups")
    assert fields(database_url) == ["north"]
    assert migrate(database_url, scripts("0001"), tmp_path / "backups").applied == ()


def test_a_database_of_a_newer_program_is_refused_with_the_way_out(database_url: str, scripts: Scripts, tmp_path: Path) -> None:
    migrate(database_url, scripts("0001", "0002"), tmp_path / "backups")
    with pytest.raises(DatabaseTooNew, match=r"schema 0002, which this program \(schema 0001\) does not know: install the newer"):
        migrate(database_url, scripts("0001"), tmp_path / "backups")


def test_the_file_is_backed_up_before_a_migration_and_its_rows_survive_the_rebuilt_table(
    sqlite_url: str, scripts: Scripts, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    migrate(sqlite_url, scripts("0001"), backups)
    report = migrate(sqlite_url, scripts("0001", "0002"), backups)
    assert report.backup is not None
    assert list(backups.iterdir()) == [report.backup], "the rehearsal leaves nothing behind"
    assert report.backup.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(report.backup)) as old, closing(sqlite3.connect(tmp_path / "tilth.db")) as new:
        assert [column[1] for column in old.execute("PRAGMA table_info(field)")] == ["id"]
        assert [column[1] for column in new.execute("PRAGMA table_info(field)")] == ["id", "area"]
        assert new.execute("SELECT * FROM row").fetchall() == [("north",)], "rebuilding a table must not cascade to others"


def test_the_migrated_schema_is_the_declared_one(database_url: str, tmp_path: Path) -> None:
    if latest(SCRIPTS) is None:
        pytest.skip("there is no migration yet")
    declared_tables()
    migrate(database_url, SCRIPTS, tmp_path / "backups")
    assert differences(database_url) == []
