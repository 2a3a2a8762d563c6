"""The life of a version as people see it: evaluated, judged by gates, approved, named; and two versions side by side."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.browser.test_pages_in_a_browser import CONTRAST, MAX_BYTES, MAX_NODES, MAX_SCRIPT_BYTES, NAMELESS

import tilth
from tilth.sdk.connection import forget

pytestmark = pytest.mark.browser

BASE = "/p/default/models/judged"


def flights(seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"hour": draw.uniform(0, 24, 400), "wind": draw.normal(10, 5, 400)})
    frame["origin"] = draw.choice(["EWR", "JFK"], 400)
    frame["late"] = (frame["hour"] + draw.normal(0, 5, 400) > 16).astype(int)
    return frame


@pytest.fixture(scope="module")
def judged(furnished) -> str:
    """A model of two evaluated versions behind a gate that only the second passes, and whose champion takes an approval."""
    tilth.init(url=furnished.url, token=furnished.token)
    for columns in (["wind"], ["hour", "wind"]):
        training = flights(1)
        fitted = LogisticRegression().fit(training[columns], training["late"])
        logged = tilth.log_model(fitted, "judged", example=training[columns].head())
        tilth.evaluate(f"judged/{logged.version}", flights(2), "late", slices=["origin"])
    with furnished.client() as client:
        api = "/api/v1/p/default/models/judged"
        assert client.post(f"{api}/gates", json={"expression": "auc >= 0.7"}).status_code == 201
        policy = {"approval_for": ["champion"], "separate_duties": False}
        assert client.put(f"{api}/policy", json=policy).status_code == 200
    forget()
    return BASE


@pytest.mark.parametrize("page", ["", "/versions/1", "/versions/2", "/diff?a=1&b=2"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_light_silent_legible_and_named(page, scheme, judged, tab):
    seen = tab(scheme=scheme)
    shown = seen.open(judged + page)
    assert shown.locator("h1").count() == 1
    assert seen.complaints == []
    assert seen.transferred <= MAX_BYTES
    assert seen.script_bytes <= MAX_SCRIPT_BYTES
    assert seen.nodes <= MAX_NODES
    assert shown.evaluate(CONTRAST) == []
    assert shown.evaluate(NAMELESS) == []
    ids = shown.evaluate("() => [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_a_gate_refuses_an_alias_beside_the_form_and_an_owner_overrides_it_with_a_reason(judged, tab):
    page = tab().open(f"{judged}/versions/1")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("summary", has_text="Set alias").click()
    page.get_by_label("Alias for v1").fill("candidate")
    page.get_by_role("button", name="Set", exact=True).click()
    page.locator(".refusal").wait_for()
    assert "below 0.7" in page.locator(".refusal").inner_text()
    page.locator("summary", has_text="In spite of gates").click()
    page.get_by_label("Alias", exact=True).fill("candidate")
    page.get_by_label("Reason, which is kept and shown").fill("to compare it in production")
    page.get_by_role("button", name="Override").click()
    page.get_by_text("The alias is set.").wait_for()
    assert page.get_by_text("@candidate: to compare it in production").count() == 1


def test_a_version_is_approved_and_then_gets_its_alias(judged, tab):
    page = tab().open(f"{judged}/versions/2")
    page.get_by_label("Why it should be approved").fill("hours help")
    page.get_by_role("button", name="Ask for approval").click()
    page.locator("#decision").wait_for()
    page.get_by_label("What you looked at").fill("the slices")
    page.get_by_role("button", name="Decide").click()
    page.locator(".life li", has_text="approved").wait_for()
    page.locator("summary", has_text="Set alias").click()
    page.get_by_label("Alias for v2").fill("champion")
    page.get_by_role("button", name="Set", exact=True).click()
    page.locator(".life li.done", has_text="@champion").wait_for()
    assert page.locator(".life li.done").count() == 5


def test_a_gate_is_added_on_the_page_of_the_model_and_a_wrong_one_is_pointed_at(judged, tab):
    page = tab().open(judged)
    page.get_by_label("Gate", exact=True).fill("auc >> 0.6")
    page.get_by_role("button", name="Add gate").click()
    page.locator(".refusal").wait_for()
    assert "at character 6" in page.locator(".refusal").inner_text()
    page.get_by_label("Gate", exact=True).fill("auc[origin=JFK] >= 0.5")
    page.get_by_label("Guards").fill("golden")
    page.get_by_role("button", name="Add gate").click()
    page.locator("#gates td", has_text="auc[origin=JFK] >= 0.5").wait_for()


def test_two_versions_are_compared_from_the_page_of_one(judged, tab):
    page = tab().open(f"{judged}/versions/2")
    page.locator("summary", has_text="Compare").click()
    page.locator("form[action$='/diff'] button").click()
    page.wait_for_url(re.compile(r"/diff\?a=1&b=2"))
    assert page.get_by_text("the same rows", exact=True).count() == 1
    assert page.locator("tr", has_text="auc").locator("b", has_text="v2").count() == 1
    assert page.get_by_text("hour", exact=True).count() >= 1
