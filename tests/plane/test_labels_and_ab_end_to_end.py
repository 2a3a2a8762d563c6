"""From a caller's request to the verdict of an A/B test: model servers, shipper, labels, command line."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.conftest import Server

import tilth
from tilth.sdk.connection import forget

PROJECT = "labels-end-to-end"
WAIT_S = 60.0


@pytest.fixture
def server(tilth_server: Server) -> Iterator[Server]:
    """With a deployment `shop` of two versions of a model, and this process connected to it."""
    with tilth_server.client() as client:
        assert client.post("/api/v1/projects", json={"name": PROJECT}).status_code == 201
    tilth.init(project=PROJECT, url=tilth_server.url, token=tilth_server.token, home=tilth_server.home)
    draw = random.Random(0)
    rows = pd.DataFrame({"price": [draw.gauss(15, 3) for _ in range(200)], "visits": [draw.randrange(9) for _ in range(200)]})
    for threshold in (3, 5):
        model = LogisticRegression().fit(rows, (rows["visits"] > threshold).astype(int))
        tilth.log_model(model, name="offer", example=rows.head())
    tilth.deploy("offer/1", name="shop")
    yield tilth_server
    forget()


def ask(server: Server, callers: int) -> list[dict[str, Any]]:
    """One request of each caller; what came of it."""
    draw, answers = random.Random(1), []
    headers = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.serve_url, headers=headers, timeout=30) as client:
        for caller in range(callers):
            body = {"dataframe_records": [{"price": draw.gauss(15, 3), "visits": draw.randrange(9)}]}
            path = f"/p/{PROJECT}/deployments/shop/invocations"
            answer = client.post(path, json=body, headers={"x-route-key": f"customer-{caller}"})
            assert answer.status_code == 200, answer.text
            answers.append({"caller": f"customer-{caller}", **answer.json()})
    return answers


def until_counted(wanted: int) -> None:
    """Predictions reach the control process some seconds after they were answered."""
    deadline = time.monotonic() + WAIT_S
    while tilth.labels.coverage("shop").predictions < wanted:
        assert time.monotonic() < deadline, tilth.labels.coverage("shop")
        time.sleep(0.2)


def command(server: Server, *arguments: str) -> Any:
    done = server.tilth(*arguments, "--project", PROJECT, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_callers_are_split_labelled_and_judged(server: Server, tmp_path: Path) -> None:
    made = command(
        server, "ab", "create", "shop", "--arm", "1=50", "--arm", "2=50", "--effect", "0.2", "--baseline", "0.3", "--start"
    )
    assert made["state"] == "running"
    command(server, "labels", "key", "shop", "route_key")
    with server.client() as client:
        assert client.get(f"/api/v1/p/{PROJECT}/deployments/shop/wait", params={"timeout_s": 30}, timeout=40).json()["status"][
            "live"
        ]
    answers = ask(server, 600)
    again = {answer["caller"]: answer["version"] for answer in ask(server, 50)}
    assert all(again[answer["caller"]] == answer["version"] for answer in answers[:50])

    bought = [str(answer["version"]) == "2" for answer in answers]
    path = tmp_path / "sales.csv"
    halfway = 300
    lines = [f"{answer['prediction_id']},{int(label)}" for answer, label in zip(answers[:halfway], bought[:halfway], strict=True)]
    path.write_text("prediction_id,label\n" + "\n".join(lines) + "\n")
    assert command(server, "labels", "log", "shop", str(path))["new"] == halfway
    rest = zip(answers[halfway:], bought[halfway:], strict=True)
    by_key = pd.DataFrame([{"route_key": answer["caller"], "label": label} for answer, label in rest])
    until_counted(650)
    logged = tilth.labels.log("shop", by_key)
    assert (logged.new, logged.matched) == (300, 300)
    assert (
        tilth.labels.log("shop", pd.DataFrame({"prediction_id": [answers[0]["prediction_id"]], "label": [bought[0]]})).unchanged
        == 1
    )

    coverage = command(server, "labels", "coverage", "shop")
    assert (coverage["predictions"], coverage["labelled"], coverage["waiting"]) == (650, 600, 0)
    shown = command(server, "ab", "show", "shop", "1")
    assert sum(arm["units"] for arm in shown["evidence"]["arms"]) == 600
    assert shown["evidence"]["crossed"] == 0
    assert (shown["evidence"]["verdict"]["outcome"], shown["evidence"]["verdict"]["winner"]) == ("better", 2)
    done = command(server, "ab", "conclude", "shop", "1", "--winner", "2")
    assert (done["state"], done["winner"]) == ("concluded", 2)
    outcomes = {each.version: each for each in tilth.labels.outcomes("shop").versions}
    assert set(outcomes) == {1, 2}
