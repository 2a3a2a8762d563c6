"""The registry and deployments keep their promises on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec

import tilth.domains.tracking.tables  # noqa: F401  its tables must be declared before they are made
from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import ProjectId
from tilth.domains.identity import actions as identity
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.models.types import AliasMoved
from tilth.domains.serving import actions as serving
from tilth.domains.serving import queries as serving_queries
from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

SETUP = Actor(id="setup", name="setup", kind="system", via="system")
DOCUMENT = ModelDocument("sklearn", Signature((Column("x", "double"),), (Column("y", "double"),)), "predict", "model.pkl")


def make_project(tx: Tx) -> tuple[Actor, ProjectId]:
    anna = identity.create_principal(tx, SETUP, "anna")
    owner = Actor(id=anna.id, name=anna.name, kind="user", via="token:t1")
    return owner, ProjectId(identity.create_project(tx, owner, "flights").id)


def register(tx: Tx, actor: Actor, project: ProjectId, seed: str) -> int:
    contents = {"MLmodel": b"flavors: {}", "model.pkl": seed.encode(), "tilth.json": msgspec.json.encode(DOCUMENT)}
    entries = [FileEntry(path, content_address(data), len(data)) for path, data in contents.items()]
    made = models.create_logged_model(tx, actor, project, name="m", params={"depth": "7"}, tags={"team": "ops"})
    for entry in entries:
        models.add_file(tx, project, made.id, entry)
    models.seal(tx, actor, project, made.id, Manifest.of(entries), DOCUMENT, "sklearn")
    return models.register_version(tx, actor, project, "m", made.id).version


def test_writers_at_the_same_time_get_versions_without_gap_or_double(database: Database) -> None:
    actor, project = database.write_blocking(make_project)
    database.write_blocking(lambda tx: models.create_model(tx, actor, project, "m"))

    def one(number: int) -> int:
        return database.write_blocking(lambda tx: register(tx, actor, project, f"seed {number}"))

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(one, range(16)))
    assert sorted(given) == list(range(1, 17))


def test_an_alias_carries_its_deployments_and_a_rollback_brings_them_back(database: Database) -> None:
    actor, project = database.write_blocking(make_project)
    for seed in "ab":
        database.write_blocking(lambda tx, seed=seed: register(tx, actor, project, seed))

    def follow(tx: Tx) -> None:
        models.set_alias(tx, actor, project, "m", "champion", 1)
        serving.deploy(tx, actor, project, "d", model="m", alias="champion")
        models.set_alias(tx, actor, project, "m", "champion", 2)
        model_id = model_queries.model_by_name(tx, project, "m").id
        serving.follow_alias(tx, AliasMoved(project, model_id, "m", "champion", 2, 1, "anna"))

    database.write_blocking(follow)
    published = database.read_blocking(serving_queries.plane_deployments_across_projects)
    assert [(each.generation, each.routes[0].version, len(each.versions[0].files)) for each in published] == [(2, "m/2", 3)]
    back = database.write_blocking(lambda tx: serving.rollback(tx, actor, project, "d"))
    assert (back.version, back.generation, back.alias) == (1, 3, None)


def test_a_document_comes_back_as_it_was_sealed(database: Database) -> None:
    actor, project = database.write_blocking(make_project)
    database.write_blocking(lambda tx: register(tx, actor, project, "a"))
    detail = database.read_blocking(lambda tx: model_queries.version_detail(tx, project, "m", 1))
    assert detail.logged_model.document == DOCUMENT
    assert (detail.logged_model.params, detail.logged_model.tags) == ({"depth": "7"}, {"team": "ops"})
