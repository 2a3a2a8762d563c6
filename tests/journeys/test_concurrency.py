"""Several people and programs at once: one order of things comes out, everybody is told his part of it, and nothing is half of two."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from tests.conftest import Server
from tests.journeys.steps import Done, at_once, predict, python, wait_until

API = "/api/v1/p/default"
SECOND_MODEL = """
import numpy as np, pandas as pd, tilth
from sklearn.linear_model import LinearRegression
rows = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 2)), columns=["a", "b"])
for offset in (0.0, 100.0):
    tilth.log_model(LinearRegression().fit(rows, rows.a + rows.b + offset), name="sums", example=rows.head(3))
tilth.set_alias("sums", "champion", 1)
tilth.deploy("sums@champion", "sums")
"""


@pytest.fixture(scope="module")
def sums(tilth_server: Server, delays: Done) -> Server:
    """Model `sums`: version 1 adds its two inputs, version 2 adds 100 to that. Deployed by its alias."""
    python(tilth_server, SECOND_MODEL)
    return tilth_server


@pytest.fixture
def client(sums: Server) -> Iterator[httpx.Client]:
    with sums.client(timeout=60) as made:
        yield made


def answered(server: Server, name: str) -> float:
    answer = predict(server, {"instances": [[1, 2]]}, deployment=name)
    return round(float(answer.json()["predictions"][0]), 6) if answer.status_code == 200 else -1.0


def test_deploys_at_once_come_out_in_one_order_and_the_last_one_serves(sums: Server, client: httpx.Client) -> None:
    def deploy(number: int) -> httpx.Response:
        with sums.client(timeout=60) as own:
            return own.put(f"{API}/deployments/contested", json={"model": "sums", "version": 1 + number % 2})

    answers = at_once(8, deploy)
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    detail = client.get(f"{API}/deployments/contested").json()
    generations = [entry["generation"] for entry in detail["generations"]]
    assert generations == list(range(len(generations), 0, -1))
    versions = [entry["version"] for entry in reversed(detail["generations"])]
    assert all(one != other for one, other in itertools.pairwise(versions)), "a generation that changes nothing"
    last = detail["deployment"]["version"]
    assert last == versions[-1]
    wait_until(lambda: answered(sums, "contested") == (3.0 if last == 1 else 103.0), "the last version to serve")


def test_an_alias_that_moves_while_it_is_deployed_ends_where_the_deployment_does(sums: Server, client: httpx.Client) -> None:
    failed: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = predict(sums, {"instances": [[1, 2]]}, deployment="sums")
            if answer.status_code != 200:
                failed.append(answer.text)

    asking = threading.Thread(target=ask)
    asking.start()

    def change(number: int) -> httpx.Response:
        with sums.client(timeout=60) as own:
            if number % 2:
                return own.put(f"{API}/deployments/sums", json={"model": "sums", "alias": "champion"})
            return own.put(f"{API}/models/sums/aliases/champion", json={"version": 1 + number // 2 % 2})

    try:
        for answer in at_once(8, change):
            assert answer.is_success, answer.text
        named = client.get(f"{API}/models/sums/aliases/champion").json()["version"]
        expected = 3.0 if named == 1 else 103.0

        def settled() -> bool:
            view = client.get(f"{API}/deployments/sums").json()["deployment"]
            return view["version"] == named and view["status"]["state"] == "live" and answered(sums, "sums") == expected

        wait_until(settled, "the deployment to follow its alias")
    finally:
        done.set()
        asking.join()
    assert failed == []


def test_a_param_that_many_write_has_the_value_of_the_first_and_the_others_are_told(sums: Server, client: httpx.Client) -> None:
    run_id = client.post(f"{API}/runs", json={"name": "contested"}).json()["id"]

    def log(number: int) -> httpx.Response:
        with sums.client(timeout=60) as own:
            batch = {"params": {"depth": str(number)}, "metrics": [{"key": "tried", "value": number, "step": number}]}
            return own.post(f"{API}/runs/{run_id}/log", json=batch)

    answers = at_once(6, log)
    assert Counter(answer.is_success for answer in answers) == {True: 1, False: 5}
    (winner,) = [number for number, answer in enumerate(answers) if answer.is_success]
    for answer in answers:
        if not answer.is_success:
            assert answer.status_code == 409
            message = answer.json()["error"]["message"]
            assert "depth" in message
            assert f"{winner}" in message
    found = client.get(f"{API}/runs/{run_id}").json()
    assert found["params"] == {"depth": str(winner)}
    # A refused batch is refused whole.
    assert found["metrics"][0]["count"] == 1


def test_two_clients_upload_the_same_artifact_and_one_of_them_whole_is_there(sums: Server, client: httpx.Client) -> None:
    run_id = client.post(f"{API}/runs", json={"name": "uploads"}).json()["id"]
    contents = [hashlib.shake_128(b"%d" % number).digest(2_000_000) for number in range(2)] * 2

    def upload(number: int) -> httpx.Response:
        with sums.client(timeout=60) as own:
            return own.put(f"{API}/runs/{run_id}/artifacts/model.bin", content=contents[number])

    answers = at_once(4, upload)
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    (entry,) = client.get(f"{API}/runs/{run_id}/artifacts").json()["files"]
    found = client.get(f"{API}/runs/{run_id}/artifacts/model.bin").content
    assert found in contents
    assert entry["digest"] == hashlib.sha256(found).hexdigest()
    assert entry["digest"] in {answer.json()["digest"] for answer in answers}


def test_registering_one_model_many_times_at_once_makes_one_version(sums: Server, client: httpx.Client) -> None:
    page = client.get(f"{API}/logged-models").json()["logged_models"]
    model = next(entry["id"] for entry in page if entry["status"] == "ready")

    def register(number: int) -> httpx.Response:
        with sums.client(timeout=60) as own:
            return own.post(f"{API}/models/again/versions", json={"logged_model_id": model})

    made = client.post(f"{API}/models", json={"name": "again"})
    assert made.is_success, made.text
    answers = at_once(6, register)
    assert all(answer.is_success for answer in answers), [answer.text for answer in answers]
    assert {answer.json()["version"] for answer in answers} == {1}
