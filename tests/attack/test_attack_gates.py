"""Ways around gates and approvals: by import, by renaming, by deleting and making anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from attack_steps import Place, Things, done, make_things

GATE = {"expression": "auc >= 0.9", "aliases": ["champion"]}


@dataclass(frozen=True)
class Guarded:
    """A project with the model `m`, version 1 of which nobody evaluated or approved, and who may try something."""

    things: Things
    owner: httpx.Client
    maintainer: httpx.Client
    developer: httpx.Client

    @property
    def model(self) -> str:
        return f"{self.things.api}/models/m"

    def aliases(self) -> dict[str, int]:
        return dict(done(self.owner.get(self.model))["model"]["aliases"])


@pytest.fixture(scope="module")
def place(tilth_server) -> Iterator[Place]:
    place = Place(tilth_server)
    yield place
    place.close()


@pytest.fixture
def guarded(place, request) -> Guarded:
    name = f"g{abs(hash(request.node.name)) % 10**8}"
    done(place.client.post("/api/v1/projects", json={"name": name}))
    things = make_things(place.client, name)
    done(place.client.delete(f"{things.api}/deployments/live"))
    done(place.client.post(f"{things.api}/models/m/gates", json=GATE))
    people = [place.as_(place.member(f"{role}-{name}", role, name)) for role in ("maintainer", "developer")]
    return Guarded(things, place.client, *people)


def test_an_import_sets_no_alias_that_a_gate_or_a_missing_approval_keeps_out(guarded):
    done(guarded.owner.put(f"{guarded.things.api}/model-policy", json={"approval_for": ["production"]}))
    wanted = {"name": "m", "created": 0, "aliases": {"champion": 1, "production": 1, "candidate": 1}}
    landed = done(guarded.maintainer.post(f"{guarded.things.api}/import/models", json=wanted))
    assert (landed["aliases"], landed["refused"]) == (["candidate"], ["champion", "production"])
    assert guarded.aliases() == {"candidate": 1}


def test_an_import_brings_a_new_model_with_the_aliases_that_nothing_guards(guarded):
    version = {"version": 3, "created": 5, "source": "s3://elsewhere/m"}
    wanted = {"name": "moved", "created": 0, "versions": [version], "aliases": {"champion": 3}}
    landed = done(guarded.maintainer.post(f"{guarded.things.api}/import/models", json=wanted))
    assert (landed["aliases"], landed["refused"]) == (["champion"], [])


@pytest.mark.parametrize("own_policy", [False, True])
def test_the_name_of_a_guarded_model_is_given_up_by_an_owner_alone(guarded, own_policy):
    if own_policy:
        done(guarded.owner.put(f"{guarded.model}/policy", json={"approval_for": ["production"]}))
        done(guarded.owner.delete(f"{guarded.model}/gates/1"))
    registered, header = "/api/2.0/mlflow/registered-models", {"x-mlflow-workspace": guarded.things.project}
    for who in (guarded.maintainer, guarded.developer):
        assert who.patch(guarded.model, json={"name": "old"}).status_code == 403
        assert who.delete(guarded.model).status_code == 403
        body = {"name": "m", "new_name": "old"}
        assert who.post(f"{registered}/rename", json=body, headers=header).json()["error_code"] == "PERMISSION_DENIED"
        assert who.request("DELETE", f"{registered}/delete", json={"name": "m"}, headers=header).status_code == 403
        assert who.patch(guarded.model, json={"description": "words are free"}).status_code == 200
    assert guarded.owner.patch(guarded.model, json={"name": "old"}).status_code == 200
    assert guarded.owner.delete(f"{guarded.things.api}/models/old").status_code == 204


def test_a_model_without_guards_is_renamed_by_a_developer_and_deleted_by_a_maintainer(guarded):
    done(guarded.developer.post(f"{guarded.things.api}/models", json={"name": "free"}))
    assert guarded.developer.patch(f"{guarded.things.api}/models/free", json={"name": "freer"}).status_code == 200
    assert guarded.maintainer.delete(f"{guarded.things.api}/models/freer").status_code == 204
