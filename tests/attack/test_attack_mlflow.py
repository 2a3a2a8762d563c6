"""MLflow's addresses as a way into a project of others: by header against prefix, by ids, by sources, by uploads in parts."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from attack_steps import Place, Things, done, make_things

API, FILES = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts"


@pytest.fixture(scope="module")
def place(tilth_server) -> Iterator[Place]:
    place = Place(tilth_server)
    yield place
    place.close()


@pytest.fixture(scope="module")
def prey(place) -> Things:
    done(place.client.post("/api/v1/projects", json={"name": "prey"}))
    return make_things(place.client, "prey", name="hidden owl")


@pytest.fixture(scope="module")
def stranger(place) -> httpx.Client:
    """Owner of the project `den`, where requests without a project go."""
    done(place.client.post("/api/v1/projects", json={"name": "den"}))
    return place.as_(place.member("stranger", "owner", "den"))


@pytest.fixture(scope="module")
def number(place, prey) -> str:
    """MLflow's id of the experiment of the prey's run."""
    return str(done(place.client.get(f"/p/prey{API}/runs/get?run_id={prey.run}"))["run"]["info"]["experiment_id"])


WAYS = [("", {}), ("", {"x-mlflow-workspace": "prey"}), ("/p/den", {"x-mlflow-workspace": "prey"}), ("/p/prey", {})]
"""Prefix and headers by which a stranger asks; the prefix goes before the header."""


@pytest.mark.parametrize(("prefix", "headers"), [*WAYS, ("/p/prey", {"x-mlflow-workspace": "den"})])
def test_no_address_of_mlflow_leads_to_things_of_another_project(place, prey, stranger, number, prefix, headers):
    run, model = prey.run, prey.logged_model
    asked = [
        ("GET", f"{API}/runs/get?run_id={run}", None),
        ("GET", f"{API}/metrics/get-history?run_id={run}&metric_key=auc", None),
        ("GET", f"{API}/artifacts/list?run_id={run}", None),
        ("GET", f"{API}/logged-models/{model}", None),
        ("GET", f"{API}/logged-models/{model}/artifacts/directories", None),
        ("GET", f"{API}/registered-models/get?name=m", None),
        ("GET", f"{API}/model-versions/get?name=m&version=1", None),
        ("GET", f"{FILES}/artifacts/{number}/{run}/artifacts/note.txt", None),
        ("GET", f"{FILES}/artifacts/{number}/models/{model}/artifacts/model.pkl", None),
        ("POST", f"{API}/runs/log-batch", {"run_id": run, "tags": [{"key": "a", "value": "b"}]}),
        ("POST", f"{API}/runs/delete", {"run_id": run}),
        ("POST", f"{API}/model-versions/create", {"name": "m", "source": f"runs:/{run}/x", "run_id": run}),
        ("POST", f"{FILES}/mpu/create/{number}/{run}/artifacts", {"path": "x", "num_parts": 1}),
        ("PUT", f"{FILES}/artifacts/{number}/{run}/artifacts/note.txt", {}),
        ("DELETE", f"{FILES}/artifacts/{number}/{run}/artifacts/note.txt", None),
    ]
    for method, path, body in asked:
        answer = stranger.request(method, prefix + path, json=body, headers=headers)
        assert answer.status_code in (400, 404), (method, path, answer.text)
        assert "secret of prey" not in answer.text
    for path in (f"{API}/runs/search", f"{API}/logged-models/search"):
        answer = stranger.post(prefix + path, json={"experiment_ids": [number]}, headers=headers)
        assert answer.status_code == 404 or run not in answer.text
    assert place.client.get(f"/p/prey{FILES}/artifacts/{number}/{run}/artifacts/note.txt").content == b"secret of prey"


@pytest.mark.parametrize(
    "uri", ["models:/m/1", "models:/m@champion", "models:/{model}", "mlflow-artifacts:/1/models/{model}/artifacts"]
)
def test_a_version_is_made_of_no_model_in_another_project(prey, stranger, uri):
    stranger.post(f"{API}/registered-models/create", json={"name": "taken"})
    wanted = {"name": "taken", "source": uri.format(model=prey.logged_model), "model_id": prey.logged_model}
    answer = stranger.post(f"{API}/model-versions/create", json=wanted)
    assert answer.status_code in (400, 404), answer.text


@pytest.mark.parametrize("uri", ["runs:/{}/artifacts", "mlflow-artifacts:/1/{}/artifacts"])
def test_a_version_that_names_a_run_of_another_project_holds_and_shows_nothing_of_it(prey, stranger, uri):
    """As in MLflow, the run behind a version may be gone, or never have been here."""
    stranger.post(f"{API}/registered-models/create", json={"name": "named"})
    own = done(stranger.post("/api/v1/p/den/runs", json={"name": "own run"}))["id"]
    done(stranger.put(f"/api/v1/p/den/runs/{own}/artifacts/artifacts/MLmodel", content=b"flavors: {}"))
    done(stranger.put(f"/api/v1/p/den/runs/{own}/artifacts/MLmodel", content=b"flavors: {}"))
    for run, holds in ((prey.run, False), (own, True)):
        wanted = {"name": "named", "source": uri.format(run), "run_id": run}
        made = done(stranger.post(f"{API}/model-versions/create", json=wanted))["model_version"]
        version = f"/api/v1/p/den/models/named/versions/{made['version']}"
        assert (done(stranger.get(version))["version"]["logged_model_id"] is not None) is holds
        for address in (version, f"{version}/card", f"/p/den/models/named/versions/{made['version']}"):
            assert "secret of prey" not in (text := stranger.get(address).text)
            assert "hidden owl" not in text, address


def test_parts_of_an_upload_are_taken_from_nobody_else_and_for_no_other_project(place, prey, stranger, number):
    here = f"/p/prey{FILES}/mpu"
    target = f"{number}/{prey.run}/artifacts"
    upload = done(place.client.post(f"{here}/create/{target}", json={"path": "big.bin", "num_parts": 1}))["upload_id"]
    colleague = place.as_(place.member("colleague", "developer", "prey"))
    wanted = {"path": "big.bin", "upload_id": upload, "parts": [{"part_number": 1}]}
    for who, start in ((colleague, here), (stranger, here), (stranger, f"{FILES}/mpu")):
        assert who.put(f"{start}/parts/{upload}/1", content=b"other bytes").status_code == 404
        assert who.post(f"{start}/complete/{target}", json=wanted).status_code == 404
    assert place.client.put(f"{here}/parts/{upload}/1", content=b"own bytes").is_success
    assert place.client.post(f"{here}/complete/{target}", json=wanted).is_success
    assert place.client.get(f"{prey.api}/runs/{prey.run}/artifacts/big.bin").content == b"own bytes"


def test_an_upload_that_was_begun_before_a_version_was_made_changes_it_no_more(place, prey, number):
    logged = done(place.client.post(f"{prey.api}/logged-models", json={"name": "raced"}))["id"]
    done(place.client.put(f"{prey.api}/logged-models/{logged}/files/MLmodel", content=b"flavors: {sklearn: {}}"))
    target, here = f"{number}/models/{logged}/artifacts", f"/p/prey{FILES}/mpu"
    upload = done(place.client.post(f"{here}/create/{target}", json={"path": "late.bin", "num_parts": 1}))["upload_id"]
    assert place.client.put(f"{here}/parts/{upload}/1", content=b"late").is_success
    done(place.client.post(f"{prey.api}/logged-models/{logged}/finalize", json={}))
    done(place.client.post(f"{prey.api}/models/raced/versions", json={"logged_model_id": logged}))
    wanted = {"path": "late.bin", "upload_id": upload, "parts": [{"part_number": 1}]}
    assert place.client.post(f"{here}/complete/{target}", json=wanted).status_code == 409
    assert place.client.get(f"{prey.api}/logged-models/{logged}/files/late.bin").status_code == 404
