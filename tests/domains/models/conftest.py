from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

import tilth.domains.models.queries
import tilth.domains.tracking.tables  # noqa: F401  its tables must be declared before they are made
from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import ProjectId
from tilth.domains.models import actions
from tilth.wire.models import CompiledEngine, ModelDocument, Parity
from tilth.wire.signature import Column, Signature

PROJECT = ProjectId("p1")
ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")
MLMODEL = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n"


def document_of(passed: bool = True) -> ModelDocument:
    parity = Parity(
        rows=2000,
        max_difference=0.25 if not passed else 1e-9,
        tolerance=1e-6,
        flips=3 if not passed else 0,
        missing_checked=True,
        categories_checked=True,
        passed=passed,
        reason="" if passed else "outputs differ by 0.25",
    )
    return ModelDocument(
        flavour="sklearn",
        signature=Signature(
            inputs=(Column("distance", "double", nullable=True), Column("origin", "string", categories=("EWR", "JFK", "LGA"))),
            outputs=(Column("late", "double"),),
        ),
        method="predict_proba",
        model_path="model.pkl",
        classes=("0", "1"),
        frameworks={"scikit-learn": "1.9.0"},
        compiled=(CompiledEngine("treelite", "model.tl", parity),),
    )


def contents_of(document: ModelDocument | None) -> dict[str, bytes]:
    files = {"MLmodel": MLMODEL, "model.pkl": b"not really a pickle", "model.tl": b"nor trees"}
    return files if document is None else {**files, "tilth.json": msgspec.json.encode(document)}


@pytest.fixture
def logged(db: Database) -> Callable[..., str]:
    """logged(document=..., name=...) -> id of a sealed logged model."""

    def make(document: ModelDocument | None = None, *, name: str = "flight-delay", seed: str = "") -> str:
        document = document or document_of()
        files = {**contents_of(document), "seed.txt": seed.encode()}
        entries = [FileEntry(path, content_address(data), len(data)) for path, data in files.items()]

        def write(tx: Tx) -> str:
            model = actions.create_logged_model(tx, ANNA, PROJECT, name=name, params={"depth": "7"})
            for entry in entries:
                actions.add_file(tx, PROJECT, model.id, entry)
            return actions.seal(tx, ANNA, PROJECT, model.id, Manifest.of(entries), document, document.flavour).id

        return db.write_blocking(write)

    return make
