"""The page of A/B tests: what it shows, and what its forms do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.web.servable import P, register

from tilth.core.actors import SYSTEM
from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.domains.serving import actions
from tilth.web.ab_charts import course
from tilth.wire.ab import AbPoint
from tilth.wire.labels import ScoredRows

PAGE = "/p/default/deployments/d/ab"
API = f"{P}/deployments/d"
DESIGN: dict[str, Any] = {"arms": [{"version": 1, "percent": 50}, {"version": 2, "percent": 50}], "effect": 0.1, "baseline": 0.3}


@pytest.fixture
def client(app_client: httpx.Client) -> httpx.Client:
    for seed in "ab":
        register(app_client, seed)
    assert app_client.put(API, json={"model": "m", "version": 1}).status_code == 200
    return app_client


def answered(installation: Any, version: int, hits: int, callers: int) -> None:
    """Predictions that the version answered callers of its own, and what came true of them."""
    database, client = installation.system.database, installation.client
    found = client.get(API).json()["deployment"]
    project = ProjectId(client.get("/api/v1/projects").json()[0]["id"])
    ids, units = [new_id() for _ in range(callers)], [new_id() for _ in range(callers)]
    at = [now()] * callers
    block = ScoredRows(ids, [0] * callers, at, ["m"] * callers, [version] * callers, [0.5] * callers, units, [None] * callers)
    database.write_blocking(lambda tx: actions.keep_scores(tx, found["id"], block))
    rows = [{"prediction_id": id_, "label": place < hits} for place, id_ in enumerate(ids)]
    read = database.read_blocking(lambda tx: actions.read_labels(tx, project, "d", rows))
    database.write_blocking(lambda tx: actions.log_labels(tx, SYSTEM, project, "d", read))


def test_a_winner_is_shown_with_its_evidence_and_what_to_do_next(installation: Any, client: httpx.Client) -> None:
    client.post(f"{API}/ab", json=DESIGN | {"start": True})
    answered(installation, 1, 60, 300)
    answered(installation, 2, 150, 300)
    text = client.get(PAGE).text
    assert "There is a winner." in text
    assert "conclude it with version 2 as the winner" in text
    assert 'aria-label="Difference to the control as it developed. v2: +0.3' in text
    assert "Mean of each arm with its 95 % interval" in text
    assert '<option value="2" selected>' in text


def test_a_wrong_split_is_shown_as_such(installation: Any, client: httpx.Client) -> None:
    client.post(f"{API}/ab", json=DESIGN | {"start": True})
    answered(installation, 1, 60, 300)
    answered(installation, 2, 150, 500)
    text = client.get(PAGE).text
    assert "The split is wrong." in text
    assert "There is a winner." not in text


def test_without_a_test_the_page_says_how_to_begin(client: httpx.Client) -> None:
    text = client.get(PAGE).text
    assert "No A/B test yet" in text
    assert "tilth ab create d --arm 1=50 --arm 2=50" in text


def test_a_test_is_made_and_steered_by_forms(client: httpx.Client) -> None:
    form = {
        "control": "1", "version": "2", "percent": "20", "metric": "label", "goal": "lower", "effect": "0,05",
        "baseline": "0.3", "hypothesis": "fewer <complaints>", "start": "1",
    }  # fmt: skip
    made = client.post(PAGE, data=form, follow_redirects=False)
    assert made.headers["location"] == f"{PAGE}/1?done=created"
    test = client.get(f"{API}/ab/1").json()
    assert ([arm["percent"] for arm in test["arms"]], test["goal"], test["effect"], test["state"]) == (
        [80, 20],
        "lower",
        0.05,
        "running",
    )
    text = client.get(f"{PAGE}/1").text
    assert "test 1 running" in text
    assert "fewer &lt;complaints&gt;" in text
    assert "Too early to say." in text
    assert client.post(f"{PAGE}/1/conclude", data={"winner": "2", "note": "done"}, follow_redirects=False).status_code == 303
    assert "v2 won." in client.get(PAGE).text
    assert client.post(f"{PAGE}/1/stop", data={"note": ""}, follow_redirects=False).status_code == 409


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"control": "1", "version": "2", "percent": "much", "metric": "label", "effect": "0.1"}, "is no number"),
        ({"control": "1", "version": "2", "percent": "50", "metric": "clicks", "effect": "0.1"}, "cannot be made"),
        (
            {"control": "1", "version": "1", "percent": "50", "metric": "label", "goal": "higher", "effect": "0.1"},
            "stands in two arms",
        ),
        (
            {"control": "1", "version": "2", "percent": "100", "metric": "label", "goal": "higher", "effect": "0.1"},
            "shall have 0 %",
        ),
    ],
)
def test_a_form_that_makes_no_test_is_refused_in_words(client: httpx.Client, form: dict[str, str], says: str) -> None:
    refused = client.post(PAGE, data=form, follow_redirects=False)
    assert refused.status_code == 400
    assert says in refused.text


@pytest.mark.parametrize("path", ["/9", "/0", "/99999999999999999999", "/1/explode"])
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.post(f"{PAGE}{path}", data={"note": ""}) if path.count("/") > 1 else client.get(f"{PAGE}{path}")
    assert answer.status_code == 404


def points(*units: int) -> list[AbPoint]:
    return [AbPoint(2, now(), count, 0.05, 0.05 - 20 / count, 0.05 + 20 / count) for count in units]


def test_the_course_of_a_test_is_a_line_in_a_band_with_its_limits() -> None:
    drawn = str(course(points(200, 400, 800), 0.02))
    assert drawn.count('class="band thin"') == 1
    assert drawn.count('class="ideal"') == 2
    assert 'aria-label="Difference to the control as it developed. v2: +0.05, +0.025 to +0.075"' in drawn


@pytest.mark.parametrize("looks", [(200,), (200, 200)])
def test_the_course_of_one_place_is_a_whisker_however_often_it_was_looked_at(looks: tuple[int, ...]) -> None:
    drawn = str(course(points(*looks), 0.02))
    assert "<circle" in drawn
    assert "whisker" in drawn
    assert "band" not in drawn


def test_the_page_of_labels_shows_coverage_and_outcomes(installation: Any, client: httpx.Client) -> None:
    page = PAGE.replace("/ab", "/labels")
    assert "No labels yet" in client.get(page).text
    answered(installation, 1, 60, 100)
    answered(installation, 2, 30, 100)
    text = client.get(page).text
    assert "every one has found its prediction" in text
    assert text.count("m v1") == text.count("m v2") == 1
    assert "brier" in text
    assert client.get("/p/default/deployments/none/labels").status_code == 404
