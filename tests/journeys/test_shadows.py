"""A version in the shadow of a deployment on a whole server: its answers, its report, its end; and a replay of what was kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conftest import Server
from tests.journeys.steps import tilth as call
from tests.journeys.steps import wait_until

import tilth
from tilth.sdk.connection import forget

NAME = "shadowed"


@pytest.fixture(scope="module")
def frame(tilth_server: Server) -> Iterator[Any]:
    """Rows, and a deployment of version 1 (twice a); version 2 says 10 more from a = 20 on; version 3 takes another column."""
    sklearn = pytest.importorskip("sklearn.tree")
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame({"a": [float(n) for n in range(40)]})
    other = rows.rename(columns={"a": "b"})
    tilth.init(home=tilth_server.home)
    doubled = rows["a"] * 2
    for data, truth in ((rows, doubled), (rows, doubled + 10 * (rows["a"] >= 20)), (other, doubled)):
        tilth.log_model(sklearn.DecisionTreeRegressor().fit(data, truth), name=NAME, example=data.head())
    tilth.deploy(f"{NAME}/1")
    yield rows
    forget()


def told(server: Server, *arguments: str) -> Any:
    code, out, err = call(server, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def shadows(server: Server) -> dict[int, dict[str, Any]]:
    with server.client() as client:
        found = client.get(f"/api/v1/p/default/deployments/{NAME}/shadows").json()["shadows"]
    return {each["version"]: each for each in found}


def test_a_shadow_answers_unseen_is_compared_and_ends(frame: Any, tilth_server: Server) -> None:
    tilth.predict(NAME, frame.head(3))  # before its time
    told(tilth_server, "deployment", "shadow", NAME, "2")
    told(tilth_server, "deployment", "shadow", NAME, "3")
    wait_until(lambda: all(each["running"] for each in shadows(tilth_server).values()), "both shadows")
    given = [tilth.predict(NAME, frame.iloc[at : at + 10]) for at in range(0, 40, 10)]
    assert [round(value) for answer in given for value in answer] == [2 * n for n in range(40)]
    wait_until(lambda: shadows(tilth_server)[2]["requests"] == 4, "answers of the shadow")
    wait_until(lambda: shadows(tilth_server)[3]["skipped"] == 4, "requests that version 3 does not take")
    assert "'b'" in shadows(tilth_server)[3]["error"]

    tilth.predictions(NAME, flush=True)
    wait_until(lambda: len(tilth.predictions(NAME, shadow=True)) == 40, "its rows")
    said = tilth.predictions(NAME, shadow=True)
    assert said["out_prediction"].round().to_list() == [2 * n + (10 if n >= 20 else 0) for n in range(40)]
    assert said["shadow"].all()
    report = told(tilth_server, "deployment", "shadow-report", NAME, "2")
    found = report["agreement"]
    assert (found["rows"], found["answered"], found["coverage"], report["against"]) == (40, 40, 1.0, [1])
    assert (found["same"], found["max_difference"]) == (0.5, pytest.approx(10))
    assert found["candidate"]["p50_ms"] > 0
    worst = found["disagreements"][0]["row_id"].partition(".")[0]
    detail = told(tilth_server, "predictions", "show", NAME, worst)
    assert len(detail["shadows"]) == len(detail["rows"]) == 10
    code, out, _ = call(tilth_server, "deployment", "shadow-report", NAME, "2")
    assert (code, "50.00%" in out) == (0, True)

    with tilth_server.client() as client:
        page = client.get(f"/p/default/deployments/{NAME}/shadow").text
        assert "Its scores" in page
        assert f"{worst}" in page
        gone = client.delete(f"/api/v1/p/default/models/{NAME}/versions/2")
        assert (gone.status_code, "shadow of deployment" in gone.text) == (409, True)
    told(tilth_server, "deployment", "shadow", NAME, "2", "--stop")
    told(tilth_server, "deployment", "shadow", NAME, "3", "--stop")
    assert shadows(tilth_server) == {}
    code, _, err = call(tilth_server, "deployment", "shadow", NAME, "2", "--stop")
    assert (code, "does not run in the shadow" in err) == (1, True)
    code, _, err = call(tilth_server, "deployment", "shadow", NAME, "1")
    assert (code, "answers for deployment" in err) == (1, True)


def test_what_was_kept_is_answered_again_by_another_version(frame: Any, tilth_server: Server) -> None:
    tilth.predict(NAME, frame)
    found = told(tilth_server, "deployment", "replay", NAME, "2", "--since", "1h")
    assert found["coverage"] == 1.0
    assert found["max_difference"] == pytest.approx(10)
    code, _, err = call(tilth_server, "deployment", "replay", NAME, "3")
    assert (code, "'b'" in err) == (1, True)
    code, _, err = call(tilth_server, "deployment", "replay", NAME, "2", "--until", "2h")
    assert (code, "no predictions" in err) == (1, True)
