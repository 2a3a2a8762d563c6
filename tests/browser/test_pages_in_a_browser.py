"""The pages as a reader meets them: in a real browser, against a whole running Tilth."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.pages import CONTRAST, MAX_BYTES, MAX_NODES, MAX_SCRIPT_BYTES, NAMELESS

pytestmark = pytest.mark.browser

PAGES = {
    "overview": "/p/default",
    "runs": "/p/default/runs",
    "run": "/p/default/runs/{run_id}",
    "failed run": "/p/default/runs/{failed_id}",
    "models": "/p/default/models",
    "model": "/p/default/models/late",
    "version": "/p/default/models/late/versions/1",
    "deployments": "/p/default/deployments",
    "deployment": "/p/default/deployments/late",
    "audit": "/p/default/audit",
    "members": "/p/default/settings",
    "search": "/p/default/search?q=filler",
    "projects": "/settings/projects",
    "tokens": "/settings/tokens",
    "login": "/login",
}


def address(page: str, furnished) -> str:
    return PAGES[page].format(run_id=furnished.run_id, failed_id=furnished.failed_id)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_light_silent_legible_and_named(name, furnished, tab):
    """Bytes, nodes and console; WCAG AA contrast (4.5 to 1); a name for every control and a text for every picture."""
    seen = tab()
    page = seen.open(address(name, furnished))
    assert page.locator("h1").count() == 1
    assert seen.complaints == []
    assert seen.transferred <= MAX_BYTES
    assert seen.script_bytes <= MAX_SCRIPT_BYTES
    assert seen.nodes <= MAX_NODES
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["runs", "version", "deployment"])
def test_text_stands_out_in_the_dark_too(name, furnished, tab):
    assert tab(scheme="dark").open(address(name, furnished)).evaluate(CONTRAST) == []


def test_pages_can_be_read_without_javascript(furnished, tab):
    bare = tab(javascript=False)
    page = bare.open(address("run", furnished))
    assert page.locator("h1").inner_text() == "late"
    assert page.locator("img.preview").count() >= 1
    page = bare.open(PAGES["runs"])
    page.locator("#filter").fill("auc>0.78")
    page.get_by_role("button", name="Filter").click()
    assert page.locator("#runs tbody tr").count() == 1


def test_the_filter_narrows_the_table_and_stays_in_the_address(tab):
    page = tab().open("/p/default/runs")
    page.keyboard.press("/")
    page.keyboard.type("auc>0.78")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=auc"))
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    assert page.locator("#runs tbody").inner_text().strip().startswith("finished-well")
    page.reload()
    assert page.locator("#runs tbody tr").count() == 1


def test_more_runs_are_appended_below(tab):
    page = tab().open("/p/default/runs")
    assert "100 of 104" in page.locator("#more").inner_text()
    page.get_by_role("link", name="Show 100 more").click()
    expect(page.locator("#runs tbody tr")).to_have_count(104)
    assert page.locator("#more").inner_text().startswith("104 runs")


def test_curves_are_drawn_and_follow_a_running_run(furnished, tab):
    page = tab().open(f"/p/default/runs/{furnished.running_id}")
    page.locator(".plot canvas").first.wait_for()
    with furnished.client() as client:
        client.post(
            f"/api/v1/p/default/runs/{furnished.running_id}/log", json={"metrics": [{"key": "fresh_score", "value": 0.5}]}
        )
    page.get_by_text("fresh_score").first.wait_for(timeout=15_000)


def test_a_deployment_shows_its_latency_against_the_budget(tab):
    page = tab().open("/p/default/deployments/late")
    assert page.locator(".title .pill").inner_text() == "live"
    assert "budget 20 ms" in (page.locator("svg.chart").text_content() or "")
    assert page.locator("main pre", has_text="dataframe_records").count() == 1


def test_a_command_is_copied_by_its_button(chromium, tab):
    opened = tab()
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = opened.open("/p/default/audit")
    page.locator("main .code .copy").last.click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "tilth audit verify"


def test_a_card_field_is_filled_and_shown(tab):
    page = tab().open("/p/default/models/late/versions/1")
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("Contact").fill("the *gate* team")
    page.get_by_role("button", name="Save card").click()
    page.get_by_text("Saved.").wait_for()
    assert page.locator(".prose em", has_text="gate").count() == 1


def test_a_project_is_made_by_keyboard_alone(tab):
    page = tab().open("/settings/projects")
    page.get_by_label("Name").focus()
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/p/by-keyboard"))
    assert page.get_by_text("No runs yet").count() == 1


def test_a_stranger_is_shown_how_to_sign_in(tab):
    stranger = tab(signed_in=False)
    page = stranger.page
    answer = page.goto(stranger.origin + "/p/default/runs")
    assert answer is not None
    assert answer.status == 401
    assert page.get_by_text("tilth open", exact=True).count() == 1


def test_signing_out_ends_the_session(tab):
    page = tab().open("/p/default/audit")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/login$"))
    answer = page.goto(page.url.replace("/login", "/p/default"))
    assert answer is not None
    assert answer.status == 401
