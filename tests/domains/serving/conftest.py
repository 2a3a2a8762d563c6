from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

import tilth.domains.serving.tables
import tilth.domains.tracking.tables  # noqa: F401  its tables must be declared before they are made
from tilth.backends.sql import Database, Tx, open_database
from tilth.core.actors import Actor
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import ProjectId
from tilth.domains.identity import actions as identity
from tilth.domains.models import actions as models
from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

T = TypeVar("T")
ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")
DOCUMENT = ModelDocument(
    flavour="sklearn",
    signature=Signature(inputs=(Column("x", "double"),), outputs=(Column("y", "double"),)),
    method="predict",
    model_path="model.pkl",
)


class Workbench:
    """A database with one project, and short ways to put models and deployments into it."""

    def __init__(self, db: Database, home: Path, project: ProjectId) -> None:
        self.db, self.home, self.project = db, home, project

    def do(self, action: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self.db.write_blocking(lambda tx: action(tx, ANNA, self.project, *args, **kwargs))

    def ask(self, query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self.db.read_blocking(lambda tx: query(tx, self.project, *args, **kwargs))

    def version(self, model: str, seed: str, *, servable: bool = True) -> int:
        """Registers a version whose bytes depend on `seed`."""
        contents = {"MLmodel": b"flavors: {sklearn: {}}", "model.pkl": seed.encode()}
        if servable:
            contents["tilth.json"] = msgspec.json.encode(DOCUMENT)
        entries = [FileEntry(path, content_address(data), len(data)) for path, data in contents.items()]

        def write(tx: Tx) -> int:
            made = models.create_logged_model(tx, ANNA, self.project, name=model)
            for entry in entries:
                models.add_file(tx, self.project, made.id, entry)
            document = DOCUMENT if servable else None
            models.seal(tx, ANNA, self.project, made.id, Manifest.of(entries), document, "sklearn")
            return models.register_version(tx, ANNA, self.project, model, made.id).version

        return self.db.write_blocking(write)


@pytest.fixture
def bench(empty_database: Path, tmp_path: Path) -> Iterator[Workbench]:
    shutil.copy(empty_database, tmp_path / "serving.db")
    url = f"sqlite:///{tmp_path / 'serving.db'}"
    db = open_database(url)
    yield Workbench(db, tmp_path / "home", db.write_blocking(_make_project))
    db.close()


def _make_project(tx: Tx) -> ProjectId:
    anna = identity.create_principal(tx, ANNA, "anna")
    owner = Actor(id=anna.id, name=anna.name, kind="user", via="token:t1")
    return ProjectId(identity.create_project(tx, owner, "flights").id)


@pytest.fixture
def register(app_client: httpx.Client) -> Callable[[str], int]:
    """register(seed) makes the next version of model `m`."""

    def make(seed: str) -> int:
        id_ = app_client.post("/api/v1/p/default/logged-models", json={"name": "m"}).json()["id"]
        files = {"MLmodel": b"flavors: {sklearn: {}}", "model.pkl": seed.encode(), "tilth.json": msgspec.json.encode(DOCUMENT)}
        for path, data in files.items():
            app_client.put(f"/api/v1/p/default/logged-models/{id_}/files/{path}", content=data)
        app_client.post(f"/api/v1/p/default/logged-models/{id_}/finalize", json={})
        return int(app_client.post("/api/v1/p/default/models/m/versions", json={"logged_model_id": id_}).json()["version"])

    return make
