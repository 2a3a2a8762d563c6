"""The page of a rollout says what was measured and why it went as it went, and its buttons steer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.domains.serving.rollout_bench import ALWAYS_THE_SAME, Rollouts, deployed, tally
from tests.web.servable import register

from tilth.core.ids import ProjectId
from tilth.web.score_charts import limit_bar, score_bars
from tilth.wire.rollouts import ScoreBin

PAGE = "/p/default/deployments/d/rollouts"


@pytest.fixture
def served(installation: Any) -> Rollouts:
    client = installation.client
    project = client.get("/api/v1/projects").json()[0]["id"]
    return deployed(installation.system.database, ProjectId(project), lambda seed: register(client, seed))


@pytest.fixture
def browser(installation: Any) -> httpx.Client:
    """Signed in by a token, as programs that read pages are; forms go out as a browser sends them."""
    client: httpx.Client = installation.client
    return client


def test_before_the_first_rollout_the_page_says_how_to_begin(served: Rollouts, browser: httpx.Client) -> None:
    shown = browser.get(PAGE)
    assert shown.status_code == 200
    assert "No rollout yet" in shown.text
    assert "tilth rollout start m/3 --name d" in shown.text
    assert "New rollout" in shown.text


def test_a_rolled_back_rollout_shows_why(served: Rollouts, browser: httpx.Client) -> None:
    served.start(2)
    served.judge(tally(2, 500, scores=ALWAYS_THE_SAME), tally(1, 5000))
    shown = browser.get(PAGE).text
    assert "Rolled back at 5 %." in shown
    assert shown.count("<span>not taken</span>") == 2
    assert "Score shift (PSI)" in shown
    assert "Shares of the scores of v1, champion and v2, candidate" in shown
    assert 'hx-trigger="every 2s"' not in shown


def test_forms_start_and_steer_a_rollout(served: Rollouts, browser: httpx.Client) -> None:
    fields = {
        "version": "2",
        "steps": "5:1m, 50, 100",
        "bake": "10m",
        "min_requests": "50",
        "max_p99_ms": "",
        "max_error_rate": "2,5",
    }
    begun = browser.post(PAGE, data=fields)
    assert begun.status_code == 303
    here = begun.headers["location"].partition("?")[0]
    known = served.detail().rollout
    assert [step.bake_s for step in known.steps] == [60, 600, 600]
    assert (known.guardrails.max_p99_ms, known.guardrails.max_error_rate, known.min_requests) == (None, 0.025, 50)
    assert 'hx-trigger="every 2s"' in browser.get(here).text
    for verb, state in (("pause", "paused"), ("resume", "running"), ("promote", "running"), ("rollback", "rolled_back")):
        assert browser.post(f"{here}/{verb}", data={"note": "by hand"}).status_code == 303, verb
        assert served.detail().rollout.state == state
    assert browser.post(f"{here}/rollback", data={"note": ""}).status_code == 409
    assert browser.post(f"{here}/dance", data={"note": ""}).status_code == 404
    assert [route.version for route in served.deployment.routes] == [1]


@pytest.mark.parametrize(
    ("field", "text"),
    [("version", "two"), ("steps", "5;100"), ("min_requests", "nan"), ("bake", "soon"), ("max_score_psi", "-1")],
)
def test_a_form_that_makes_no_rollout_is_refused_with_words(
    served: Rollouts, browser: httpx.Client, field: str, text: str
) -> None:
    fields = {"version": "2", "steps": "5,100", "bake": "10m", "min_requests": "50"} | {field: text}
    refused = browser.post(PAGE, data=fields)
    assert refused.status_code == 400
    assert "Traceback" not in refused.text


def test_a_viewer_sees_the_rollout_without_its_buttons(installation: Any, served: Rollouts) -> None:
    served.start(2)
    viewer = installation.as_(installation.member("rollout-viewer", "viewer"))
    shown = viewer.get(PAGE).text
    assert "Step 1 of 3, 5 %." in shown
    assert "Roll back</button>" not in shown
    assert viewer.post(f"{PAGE}/latest/rollback", data={}).status_code == 403


def test_unknown_rollouts_are_not_found(served: Rollouts, browser: httpx.Client) -> None:
    served.start(2)
    assert browser.get(f"{PAGE}/0123").status_code == 404
    assert browser.get("/p/default/deployments/elsewhere/rollouts").status_code == 404


def test_bars_of_scores_name_the_side_and_the_share() -> None:
    bins = (ScoreBin(None, 0.2, 0.9, 0.5), ScoreBin(0.2, None, 0.1, 0.4), ScoreBin(None, None, 0, 0.1, missing=True))
    drawn = score_bars(bins, "v2 <b>", "v1")
    assert "v1: 50 % of the scores up to 0.2" in drawn
    assert "v2 &lt;b&gt;: 10 % of the scores above 0.2" in drawn
    assert "v1: 10 % of the scores that are no number" in drawn


def test_a_bar_says_its_value_and_limit() -> None:
    assert 'aria-label="5.26, limit 0.25' in limit_bar(5.257, 0.25, broken=True)
