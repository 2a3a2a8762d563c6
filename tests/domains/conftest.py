from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tilth.backends.sql import Database, create_tables, open_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table; tests copy it, since making the tables takes most of a second."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    create_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def db(empty_database: Path, tmp_path: Path) -> Iterator[Database]:
    """A SQLite database of the test's own."""
    shutil.copy(empty_database, tmp_path / "domain.db")
    database = open_database(f"sqlite:///{tmp_path / 'domain.db'}")
    yield database
    database.close()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind, shared by the tests of one file: each test works in a project of its own, or with names of its own."""
    if request.param == "sqlite":
        yield from _opened(f"sqlite:///{tmp_path_factory.mktemp('either') / 'domain.db'}")
        return
    with request.getfixturevalue("new_postgres")() as url:
        yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    create_tables(url)
    database = open_database(url)
    yield database
    database.close()
