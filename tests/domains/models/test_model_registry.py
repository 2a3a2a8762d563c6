"""Registered models, versions, aliases and what holds them, against a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from tilth.backends.sql import Database, Tx, blob_use
from tilth.core.actors import Actor
from tilth.core.errors import Conflict, Invalid, NotFound
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import ProjectId
from tilth.core.names import InvalidName
from tilth.domains.models import actions, queries
from tilth.domains.models.types import (
    ModelExists,
    ModelNotReady,
    ModelSealed,
    ReservedAlias,
    UnknownAlias,
    UnknownLoggedModel,
    UnknownModel,
    UnknownVersion,
    VersionInUse,
)

T = TypeVar("T")
PROJECT = ProjectId("p1")
OTHER = ProjectId("p2")
ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")
Logged = Callable[..., str]


@pytest.fixture
def do(db: Database) -> Callable[..., Any]:
    """do(action, ...) runs `action(tx, ANNA, PROJECT, ...)` in a write transaction of its own."""

    def run(action: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return db.write_blocking(lambda tx: action(tx, ANNA, PROJECT, *args, **kwargs))

    return run


@pytest.fixture
def ask(db: Database) -> Callable[..., Any]:
    def run(query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return db.read_blocking(lambda tx: query(tx, PROJECT, *args, **kwargs))

    return run


def test_versions_count_up_and_seal_the_manifest_of_their_logged_model(logged: Logged, do: Any, ask: Any) -> None:
    first, second = logged(seed="a"), logged(seed="b")
    assert do(actions.register_version, "flight-delay", first).version == 1
    assert do(actions.register_version, "flight-delay", second).version == 2
    assert ask(queries.version_view, "flight-delay", 1).manifest_digest == ask(queries.logged_model_by_id, first).manifest_digest
    detail = ask(queries.model_detail, "flight-delay")
    assert [view.version for view in detail.versions] == [2, 1]
    assert detail.model.newest == 2


def test_registering_the_same_logged_model_again_gives_the_version_it_has(logged: Logged, do: Any) -> None:
    id_ = logged()
    assert do(actions.register_version, "m", id_).version == do(actions.register_version, "m", id_).version == 1
    assert do(actions.register_version, "m", id_, again=True).version == 2


def test_a_number_is_never_given_twice_even_after_a_deletion(logged: Logged, do: Any) -> None:
    do(actions.register_version, "m", logged(seed="a"))
    do(actions.delete_version, "m", 1)
    assert do(actions.register_version, "m", logged(seed="b")).version == 2


def test_a_model_whose_upload_is_not_finished_is_not_registered(db: Database, do: Any) -> None:
    pending = do(actions.create_logged_model, name="half")
    with pytest.raises(ModelNotReady, match="is pending, not ready"):
        do(actions.register_version, "m", pending.id)
    with pytest.raises(UnknownModel):
        db.read_blocking(lambda tx: queries.model_view(tx, PROJECT, "m"))


def test_a_sealed_model_takes_no_more_files(db: Database, logged: Logged) -> None:
    id_ = logged()
    entry = FileEntry("more.txt", content_address(b"more"), 4)
    with pytest.raises(ModelSealed, match="log the changed model as a new one"):
        db.write_blocking(lambda tx: actions.add_file(tx, PROJECT, id_, entry))


def test_a_file_that_came_between_check_and_seal_is_noticed(db: Database, do: Any) -> None:
    model = do(actions.create_logged_model, name="m")
    seen = FileEntry("MLmodel", content_address(b"x"), 1)
    db.write_blocking(lambda tx: actions.add_file(tx, PROJECT, model.id, seen))
    late = FileEntry("MLmodel", content_address(b"y"), 1)
    db.write_blocking(lambda tx: actions.add_file(tx, PROJECT, model.id, late))
    with pytest.raises(ModelSealed):
        do(actions.seal, model.id, Manifest.of([seen]), None, "sklearn")


def test_sealing_twice_with_the_same_files_changes_nothing(db: Database, do: Any) -> None:
    model = do(actions.create_logged_model, name="m")
    entry = FileEntry("MLmodel", content_address(b"x"), 1)
    db.write_blocking(lambda tx: actions.add_file(tx, PROJECT, model.id, entry))
    first = do(actions.seal, model.id, Manifest.of([entry]), None, "sklearn")
    assert do(actions.seal, model.id, Manifest.of([entry]), None, "sklearn") == first


def test_bytes_are_claimed_while_a_logged_model_needs_them_and_let_go_with_it(db: Database, logged: Logged, do: Any) -> None:
    id_ = logged()
    digests = [f.digest for f in db.read_blocking(lambda tx: queries.files_of(tx, PROJECT, id_))]
    assert db.read_blocking(lambda tx: blob_use.claimed(tx, digests)) == set(digests)
    do(actions.delete_logged_model, id_)
    assert db.read_blocking(lambda tx: blob_use.claimed(tx, digests)) == set()
    with pytest.raises(UnknownLoggedModel):
        db.read_blocking(lambda tx: queries.logged_model_view(tx, PROJECT, id_))


def test_a_replaced_file_lets_go_of_its_former_bytes(db: Database, do: Any) -> None:
    model = do(actions.create_logged_model, name="m")
    old, new = content_address(b"old"), content_address(b"new")
    for digest in (old, new, new):
        db.write_blocking(lambda tx, digest=digest: actions.add_file(tx, PROJECT, model.id, FileEntry("a", digest, 3)))
    assert db.read_blocking(lambda tx: blob_use.claimed(tx, [old, new])) == {new}


def test_a_logged_model_behind_a_version_cannot_be_deleted(logged: Logged, do: Any) -> None:
    id_ = logged()
    do(actions.register_version, "m", id_)
    with pytest.raises(VersionInUse, match="m version 1"):
        do(actions.delete_logged_model, id_)


def test_an_alias_moves_and_its_moves_are_kept(db: Database, logged: Logged, do: Any, ask: Any) -> None:
    do(actions.register_version, "m", logged(seed="a"))
    do(actions.register_version, "m", logged(seed="b"))
    assert do(actions.set_alias, "m", "champion", 1) is None
    assert do(actions.set_alias, "m", "champion", 2) == 1
    assert do(actions.set_alias, "m", "champion", 2) == 2
    assert ask(queries.resolve, "m", alias="champion").version == 2
    moves = db.read_blocking(lambda tx: queries.alias_moves(tx, queries.model_by_name(tx, PROJECT, "m")))
    assert [(m.previous, m.version, m.by) for m in moves] == [(1, 2, "Anna"), (None, 1, "Anna")]


def test_an_alias_that_somebody_else_moved_meanwhile_is_not_overwritten(logged: Logged, do: Any) -> None:
    for seed in "abc":
        do(actions.register_version, "m", logged(seed=seed))
    do(actions.set_alias, "m", "champion", 1, expected=0)
    do(actions.set_alias, "m", "champion", 2, expected=1)
    with pytest.raises(Conflict, match="names version 2 by now, not version 1"):
        do(actions.set_alias, "m", "champion", 3, expected=1)


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v3", "V12"])
def test_aliases_with_a_meaning_of_their_own_are_reserved(logged: Logged, do: Any, alias: str) -> None:
    do(actions.register_version, "m", logged())
    with pytest.raises(ReservedAlias, match="choose a word such as 'champion'"):
        do(actions.set_alias, "m", alias, 1)


@pytest.mark.parametrize("alias", ["", "a b", "a/b", "x" * 256, "a\n"])
def test_odd_aliases_are_refused(logged: Logged, do: Any, alias: str) -> None:
    do(actions.register_version, "m", logged())
    with pytest.raises(InvalidName):
        do(actions.set_alias, "m", alias, 1)


def test_latest_and_v_numbers_resolve_without_being_set(logged: Logged, do: Any, ask: Any) -> None:
    do(actions.register_version, "m", logged(seed="a"))
    do(actions.register_version, "m", logged(seed="b"))
    assert ask(queries.resolve, "m", alias="latest").version == 2
    assert ask(queries.resolve, "m", alias="v1").version == 1
    assert ask(queries.resolve, "m").version == 2


def test_an_unknown_alias_or_version_says_what_there_is(logged: Logged, do: Any, ask: Any) -> None:
    do(actions.register_version, "m", logged())
    do(actions.set_alias, "m", "champion", 1)
    with pytest.raises(UnknownAlias, match="it has: champion"):
        ask(queries.resolve, "m", alias="challenger")
    with pytest.raises(UnknownVersion, match="its newest is 1"):
        ask(queries.resolve, "m", version=9)
    with pytest.raises(UnknownModel, match="no model 'n'"):
        ask(queries.resolve, "n")


def test_a_version_with_an_alias_is_not_deleted(logged: Logged, do: Any) -> None:
    do(actions.register_version, "m", logged())
    do(actions.set_alias, "m", "champion", 1)
    with pytest.raises(VersionInUse, match="has the alias champion; move or remove the alias first"):
        do(actions.delete_version, "m", 1)
    assert do(actions.remove_alias, "m", "champion") == 1
    do(actions.delete_version, "m", 1)


def test_a_version_that_somebody_holds_is_not_deleted_and_its_alias_not_removed(
    db: Database, logged: Logged, do: Any, ask: Any
) -> None:
    do(actions.register_version, "m", logged())
    do(actions.set_alias, "m", "champion", 1)
    version = ask(queries.resolve, "m", alias="champion")

    def hold(tx: Tx) -> None:
        actions.hold_versions(tx, PROJECT, version.model_id, {1: "champion"}, holder="d1", label="deployment 'flights'")

    db.write_blocking(hold)
    for action, args, more in (
        (actions.remove_alias, ("m", "champion"), {}),
        (actions.delete_version, ("m", 1), {}),
        (actions.delete_model, ("m",), {"may_loosen": False}),
    ):
        with pytest.raises(VersionInUse, match="deployment 'flights'"):
            do(action, *args, **more)
    db.write_blocking(lambda tx: actions.release_versions(tx, PROJECT, "d1"))
    do(actions.remove_alias, "m", "champion")


def test_a_deleted_version_comes_back(logged: Logged, do: Any, ask: Any) -> None:
    do(actions.register_version, "m", logged())
    do(actions.delete_version, "m", 1)
    with pytest.raises(UnknownVersion):
        ask(queries.version_view, "m", 1)
    do(actions.restore_version, "m", 1)
    assert ask(queries.version_view, "m", 1).version == 1


def test_a_deleted_model_frees_its_name_and_comes_back_when_the_name_is_free(logged: Logged, do: Any, ask: Any) -> None:
    do(actions.register_version, "m", logged())
    do(actions.set_alias, "m", "champion", 1)
    do(actions.delete_model, "m", may_loosen=False)
    do(actions.create_model, "m")
    with pytest.raises(ModelExists):
        do(actions.restore_model, "m")
    do(actions.change_model, "m", new_name="m2")
    do(actions.restore_model, "m")
    assert ask(queries.resolve, "m", alias="champion").version == 1
    assert ask(queries.models_page).total == 2


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "..", "x" * 251, "a\0b"])
def test_a_model_name_that_could_not_stand_in_a_uri_is_refused(do: Any, name: str) -> None:
    with pytest.raises(Invalid):
        do(actions.create_model, name)


def test_tags_and_descriptions_change_and_a_null_tag_goes(logged: Logged, do: Any, ask: Any) -> None:
    do(actions.register_version, "m", logged(), tags={"team": "ops"})
    do(actions.change_version, "m", 1, description="first", tags={"team": None, "stage": "test"})
    do(actions.change_model, "m", description="delays", tags={"owner": "anna"})
    view = ask(queries.version_view, "m", 1)
    assert (view.description, view.tags) == ("first", {"stage": "test"})
    assert ask(queries.model_view, "m").tags == {"owner": "anna"}


def test_nothing_of_one_project_is_seen_in_another(db: Database, logged: Logged, do: Any) -> None:
    id_ = logged()
    do(actions.register_version, "m", id_)
    questions: list[Callable[[Tx], Any]] = [
        lambda tx: queries.model_view(tx, OTHER, "m"),
        lambda tx: queries.logged_model_view(tx, OTHER, id_),
        lambda tx: queries.resolve(tx, OTHER, "m", version=1),
        lambda tx: queries.version_detail(tx, OTHER, "m", 1),
    ]
    for question in questions:
        with pytest.raises(NotFound):
            db.read_blocking(question)
    assert db.read_blocking(lambda tx: queries.models_page(tx, OTHER)).total == 0


def test_every_change_leaves_an_audit_row(db: Database, logged: Logged, do: Any) -> None:
    do(actions.register_version, "m", logged())
    do(actions.set_alias, "m", "champion", 1)
    do(actions.fill_card, "m", 1, {"intended_use": "warn travellers"})
    rows = db.read_blocking(lambda tx: tx.all(text("SELECT action FROM audit_event ORDER BY position")))
    assert [row.action for row in rows] == [
        "logged_model.created",
        "logged_model.sealed",
        "model.created",
        "model_version.registered",
        "model_alias.moved",
        "model_card.changed",
    ]
