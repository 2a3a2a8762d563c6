"""`tilth model delete`: what a person sees who takes back a version, a model, or an import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tilth.cli.main import cli

P = "/api/v1/p/default"


@pytest.fixture
def tilth(installation: Any) -> Callable[..., Result]:
    environment = {"TILTH_URL": installation.url, "TILTH_TOKEN": installation.owner_token, "TILTH_PROJECT": "default"}
    return lambda *arguments: CliRunner().invoke(cli, arguments, env=environment)


@pytest.fixture
def versions(installation: Any) -> list[str]:
    """Two versions of the model `churn`, as the ids of their logged models."""
    client, made = installation.client, []
    for text in (b"one", b"two"):
        logged = client.post(f"{P}/logged-models", json={"name": "m"}).json()["id"]
        for path, content in (("MLmodel", b"flavors: {}\n"), ("m.pkl", text)):
            assert client.put(f"{P}/logged-models/{logged}/files/{path}", content=content).status_code == 201
        assert client.post(f"{P}/logged-models/{logged}/finalize", json={}).status_code == 200
        assert client.post(f"{P}/models/churn/versions", json={"logged_model_id": logged}).status_code == 201
        made.append(logged)
    return made


def left(installation: Any) -> list[int]:
    return [version["version"] for version in installation.client.get(f"{P}/models/churn").json()["versions"]]


def test_a_deleted_version_comes_back_by_the_command_that_is_told(tilth, versions, installation) -> None:
    done = tilth("model", "delete", "churn/1")
    assert done.exit_code == 0, done.output
    assert "`tilth trash restore churn/1` takes it back" in done.stdout
    assert left(installation) == [2]
    assert tilth("trash", "restore", "churn/1").exit_code == 0
    assert left(installation) == [2, 1]


def test_a_model_goes_with_all_its_versions(tilth, versions, installation) -> None:
    assert tilth("model", "delete", "churn").exit_code == 0
    assert installation.client.get(f"{P}/models/churn").status_code == 404
    assert tilth("trash", "restore", "churn").exit_code == 0
    assert left(installation) == [2, 1]


def test_a_version_with_an_alias_is_refused_with_what_to_do(tilth, versions, installation) -> None:
    installation.client.put(f"{P}/models/churn/aliases/champion", json={"version": 2})
    for named in ("churn/2", "churn@champion"):
        refused = tilth("model", "delete", named)
        assert refused.exit_code == 1
        assert "has the alias champion; move or remove the alias first" in str(refused.exception)
    assert left(installation) == [2, 1]


def test_the_files_of_an_import_go_for_good_by_the_id_of_the_logged_model(tilth, versions, installation) -> None:
    assert "delete the version first" in str(tilth("model", "delete", versions[0]).exception)
    assert tilth("model", "delete", "churn/1").exit_code == 0
    assert tilth("trash", "empty", "--yes").exit_code == 0
    done = tilth("model", "delete", versions[0])
    assert done.exit_code == 0, done.output
    assert "for good" in done.stdout
    assert installation.client.get(f"{P}/logged-models/{versions[0]}").status_code == 404


def test_the_pages_of_a_version_and_of_a_model_have_a_button_for_it(versions, installation) -> None:
    client = installation.client
    client.follow_redirects = False
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert 'action="/p/default/models/churn/versions/1/delete"' in client.get("/p/default/models/churn/versions/1").text
    gone = client.post("/p/default/models/churn/versions/1/delete", headers=form)
    assert (gone.status_code, gone.headers["location"]) == (303, "/p/default/models/churn?done=trashed")
    assert "tilth trash restore takes it back" in client.get(gone.headers["location"]).text
    gone = client.post("/p/default/models/churn/delete", headers=form)
    assert (gone.status_code, gone.headers["location"]) == (303, "/p/default/models?done=trashed")
    viewer = installation.as_(installation.member("vera", "viewer"))
    assert "Delete" not in viewer.get("/p/default/models").text
