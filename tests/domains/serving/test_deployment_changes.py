"""Deployments as they change: pinned, following an alias, rolled back, removed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tilth.core.actors import Actor
from tilth.core.errors import Invalid, NotFound
from tilth.core.ids import ProjectId
from tilth.domains.models import actions as models
from tilth.domains.models import queries as model_queries
from tilth.domains.models.types import AliasMoved, UnknownAlias, UnknownModel, UnknownVersion, VersionInUse
from tilth.domains.serving import actions, queries
from tilth.domains.serving.rules.settings import InvalidDeploymentSettings
from tilth.domains.serving.types import NothingToRollBack, NotServable, TwoTargets, UnknownDeployment, UnknownGeneration
from tilth.wire.serving import DeploymentSettings

ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")


def moved(bench: Any, alias: str, version: int, model: str = "m") -> None:
    """Moves an alias and delivers the event that the outbox would."""
    previous = bench.do(models.set_alias, model, alias, version)
    model_id = bench.ask(model_queries.model_by_name, model).id
    event = AliasMoved(bench.project, model_id, model, alias, version, previous, "Anna")
    bench.db.write_blocking(lambda tx: actions.follow_alias(tx, event))


def test_a_deployment_of_a_version_stays_on_it(bench: Any) -> None:
    bench.version("m", "a")
    first = bench.do(actions.deploy, "d", model="m", version=1)
    bench.version("m", "b")
    assert (first.version, first.alias, first.generation) == (1, None, 1)
    assert bench.ask(queries.deployment_by_name, "d").version == 1


def test_neither_version_nor_alias_means_the_newest_version_pinned(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b")
    assert bench.do(actions.deploy, "d", model="m").version == 2
    latest = bench.do(actions.deploy, "e", model="m", alias="latest")
    assert (latest.version, latest.alias) == (2, None)


def test_a_deployment_of_an_alias_moves_with_it(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b")
    moved(bench, "champion", 1)
    bench.do(actions.deploy, "d", model="m", alias="champion")
    moved(bench, "champion", 2)
    found = bench.ask(queries.deployment_by_name, "d")
    assert (found.version, found.generation, found.alias) == (2, 2, "champion")
    history = bench.ask(queries.generations_of, found.id)
    assert [(g.generation, g.cause, g.from_version, g.version, g.note) for g in history] == [
        (2, "alias", 1, 2, "alias champion moved by Anna"),
        (1, "deploy", None, 1, ""),
    ]


def test_an_event_that_arrives_twice_or_late_changes_nothing(bench: Any) -> None:
    for seed in "abc":
        bench.version("m", seed)
    moved(bench, "champion", 1)
    bench.do(actions.deploy, "d", model="m", alias="champion")
    moved(bench, "champion", 3)
    model_id = bench.ask(model_queries.model_by_name, "m").id
    for version, previous in ((2, 1), (3, 2), (3, 2)):
        late = AliasMoved(bench.project, model_id, "m", "champion", version, previous, "Anna")
        assert bench.db.write_blocking(lambda tx, late=late: actions.follow_alias(tx, late)) == []
    assert bench.ask(queries.deployment_by_name, "d").generation == 2


def test_an_alias_on_a_version_that_cannot_be_served_leaves_what_serves_and_says_so(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b", servable=False)
    moved(bench, "champion", 1)
    bench.do(actions.deploy, "d", model="m", alias="champion")
    moved(bench, "champion", 2)
    found = bench.ask(queries.deployment_by_name, "d")
    assert (found.version, found.generation) == (1, 1)
    assert "names version 2, which cannot be served" in found.problem
    assert "version 1 serves on" in found.problem
    moved(bench, "champion", 1)
    assert bench.ask(queries.deployment_by_name, "d").problem == ""


def test_deploying_what_is_deployed_makes_no_generation(bench: Any) -> None:
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m", version=1)
    assert bench.do(actions.deploy, "d", model="m", version=1).generation == 1
    assert bench.do(actions.deploy, "d", model="m", version=1, settings={"max_body_bytes": 20_000_000}).generation == 2
    bigger = DeploymentSettings(max_body_bytes=20_000_000)
    assert bench.do(actions.deploy, "d", model="m", version=1).settings == bigger


def test_settings_that_are_left_out_stay_as_they_are(bench: Any) -> None:
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m", settings={"log_sync": "each"})
    made = bench.do(actions.deploy, "d", model="m", settings={"process": True, "max_processes": 4})
    assert made.settings == DeploymentSettings(log_sync="each", process=True, max_processes=4)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"proces": True}, "no setting 'proces'; did you mean 'process'"),
        ({"memory_mb": -1}, r"memory_mb"),
        ({"load": "sometimes"}, r"load"),
        ({"min_processes": 3}, "min_processes is 3, above max_processes, which is 1"),
        ({"python": "python3"}, "absolute path"),
        ({"python": "/usr/bin/python3", "environment": "model"}, "choose one"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_what_would(bench: Any, changes: dict[str, Any], why: str) -> None:
    bench.version("m", "a")
    with pytest.raises(InvalidDeploymentSettings, match=why):
        bench.do(actions.deploy, "d", model="m", settings=changes)


def test_a_rollback_serves_the_version_before_and_pins_it(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b")
    moved(bench, "champion", 1)
    bench.do(actions.deploy, "d", model="m", alias="champion")
    moved(bench, "champion", 2)
    back = bench.do(actions.rollback, "d")
    assert (back.version, back.generation, back.alias) == (1, 3, None)
    moved(bench, "champion", 1)
    moved(bench, "champion", 2)
    assert bench.ask(queries.deployment_by_name, "d").version == 1


def test_a_rollback_goes_to_a_named_generation_too(bench: Any) -> None:
    for seed in "abc":
        bench.version("m", seed)
    for version in (1, 2, 3):
        bench.do(actions.deploy, "d", model="m", version=version)
    assert bench.do(actions.rollback, "d", to_generation=1).version == 1
    with pytest.raises(UnknownGeneration, match="it has 1 to 4"):
        bench.do(actions.rollback, "d", to_generation=9)


def test_a_deployment_with_one_version_has_nothing_to_roll_back_to(bench: Any) -> None:
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m", version=1)
    with pytest.raises(NothingToRollBack, match="never served another version than 1"):
        bench.do(actions.rollback, "d")


def test_a_rollback_to_a_deleted_version_is_refused(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b")
    bench.do(actions.deploy, "d", model="m", version=1)
    bench.do(actions.deploy, "d", model="m", version=2)
    bench.do(models.delete_version, "m", 1)
    with pytest.raises(UnknownVersion):
        bench.do(actions.rollback, "d")
    bench.do(models.restore_version, "m", 1)
    assert bench.do(actions.rollback, "d").version == 1


def test_what_a_deployment_serves_is_held_until_it_serves_something_else(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b")
    bench.do(actions.deploy, "d", model="m", version=1)
    with pytest.raises(VersionInUse, match="deployment 'd'"):
        bench.do(models.delete_version, "m", 1)
    bench.do(actions.deploy, "d", model="m", version=2)
    bench.do(models.delete_version, "m", 1)
    bench.do(actions.undeploy, "d")
    bench.do(models.delete_version, "m", 2)


def test_an_undeployed_name_is_free_and_starts_anew(bench: Any) -> None:
    bench.version("m", "a")
    first = bench.do(actions.deploy, "d", model="m", version=1)
    bench.do(actions.undeploy, "d")
    with pytest.raises(UnknownDeployment):
        bench.ask(queries.deployment_by_name, "d")
    again = bench.do(actions.deploy, "d", model="m", version=1)
    assert again.id != first.id
    assert again.generation == 1


def test_what_cannot_be_deployed_says_why(bench: Any) -> None:
    bench.version("m", "a", servable=False)
    with pytest.raises(NotServable, match=r"logged without tilth.json .* log it with tilth.log_model"):
        bench.do(actions.deploy, "d", model="m")
    with pytest.raises(UnknownModel):
        bench.do(actions.deploy, "d", model="n")
    with pytest.raises(UnknownVersion):
        bench.do(actions.deploy, "d", model="m", version=7)
    with pytest.raises(UnknownAlias):
        bench.do(actions.deploy, "d", model="m", alias="champion")
    with pytest.raises(TwoTargets):
        bench.do(actions.deploy, "d", model="m", alias="champion", version=1)


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a b", "-a", "x" * 64])
def test_a_deployment_name_that_cannot_stand_in_an_address_is_refused(bench: Any, name: str) -> None:
    bench.version("m", "a")
    with pytest.raises(Invalid, match="deployment name"):
        bench.do(actions.deploy, name, model="m")


def test_deployments_of_one_project_are_unknown_in_another(bench: Any) -> None:
    bench.version("m", "a")
    bench.do(actions.deploy, "d", model="m")
    other = ProjectId("other")
    with pytest.raises(NotFound):
        bench.db.read_blocking(lambda tx: queries.deployment_by_name(tx, other, "d"))
    with pytest.raises(NotFound):
        bench.db.write_blocking(lambda tx: actions.deploy(tx, ANNA, other, "d", model="m"))
    with pytest.raises(NotFound):
        bench.db.write_blocking(lambda tx: actions.undeploy(tx, ANNA, other, "d"))


def test_every_change_of_a_deployment_is_audited_and_told(bench: Any) -> None:
    bench.version("m", "a")
    bench.version("m", "b")
    bench.do(actions.deploy, "d", model="m", version=1)
    bench.do(actions.deploy, "d", model="m", version=2, note="better on rain")
    bench.do(actions.rollback, "d")
    bench.do(actions.undeploy, "d")
    rows = bench.db.read_blocking(
        lambda tx: tx.all(text("SELECT action FROM audit_event WHERE action LIKE 'deployment.%' ORDER BY position"))
    )
    assert [row.action for row in rows] == [
        "deployment.created",
        "deployment.changed",
        "deployment.changed",
        "deployment.deleted",
    ]
    told = bench.db.read_blocking(
        lambda tx: tx.all(text("SELECT payload FROM outbox WHERE event = 'deployment.changed' ORDER BY id"))
    )
    assert len(told) == 4
