"""What is said about models from elsewhere is kept alike on both databases."""

from __future__ import annotations

import pytest

import tilth.domains.tracking.tables  # noqa: F401  its tables must be declared before they are made
from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.ids import ProjectId
from tilth.domains.identity import actions as identity
from tilth.domains.models import actions as models
from tilth.domains.models import queries
from tilth.domains.models.types import NotImported
from tilth.wire.provenance import RecordProvenance

SETUP = Actor(id="setup", name="setup", kind="system", via="system")


def make_projects(tx: Tx) -> tuple[Actor, ProjectId, ProjectId]:
    anna = identity.create_principal(tx, SETUP, "anna")
    owner = Actor(id=anna.id, name=anna.name, kind="user", via="token:t1")
    return owner, *(ProjectId(identity.create_project(tx, owner, name).id) for name in ("flights", "trains"))


def said(verdict: str = "not-scannable") -> RecordProvenance:
    return RecordProvenance("m.pkl", "b" * 64, "pickle", True, verdict, ["it imports from sklearn"])  # type: ignore[arg-type]


def test_what_is_said_again_replaces_what_was_said_and_ends_a_trust(database: Database) -> None:
    actor, project, _ = database.write_blocking(make_projects)

    def tell(tx: Tx) -> str:
        made = models.create_logged_model(tx, actor, project, name="m").id
        models.record_provenance(tx, actor, project, made, said())
        models.trust_model(tx, actor, project, made, "ours")
        return made

    made = database.write_blocking(tell)
    view = database.read_blocking(lambda tx: queries.logged_model_view(tx, project, made)).provenance
    assert view is not None
    assert (view.trusted_by, view.findings, view.runs_code) == ("anna", ["it imports from sklearn"], True)
    database.write_blocking(lambda tx: models.record_provenance(tx, actor, project, made, said("flagged")))
    view = database.read_blocking(lambda tx: queries.logged_model_view(tx, project, made)).provenance
    assert view is not None
    assert (view.verdict, view.trusted) == ("flagged", None)


def test_nobody_trusts_what_was_not_imported(database: Database) -> None:
    actor, project, _ = database.write_blocking(make_projects)
    made = database.write_blocking(lambda tx: models.create_logged_model(tx, actor, project, name="m").id)
    with pytest.raises(NotImported):
        database.write_blocking(lambda tx: models.trust_model(tx, actor, project, made, "ours"))
