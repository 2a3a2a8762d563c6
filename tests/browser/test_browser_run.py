"""The page of one run: its curves, its files, its tabs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.pages import CONTRAST, MAX_BYTES, MAX_NODES, MAX_SCRIPT_BYTES, NAMELESS

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("tab_name", ["", "?tab=system", "?tab=artifacts", "?tab=code", "?tab=logs", "?tab=environment"])
def test_every_tab_is_light_silent_and_legible(busy, busy_tab, tab_name):
    seen = busy_tab(scheme="dark")
    page = seen.open(f"/p/default/runs/{busy.whole_id}{tab_name}")
    assert seen.complaints == []
    assert seen.transferred <= MAX_BYTES
    assert seen.script_bytes <= MAX_SCRIPT_BYTES
    assert seen.nodes <= MAX_NODES
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []


def test_a_stretch_of_a_curve_is_fetched_finer_and_all_of_it_comes_back(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}")
    box = page.locator(".plot", has=page.locator("canvas")).first
    area = box.locator(".u-over").bounding_box()
    assert area is not None
    with page.expect_request(re.compile(r"from_step=\d+&to_step=\d+")) as asked:
        page.mouse.move(area["x"] + area["width"] * 0.7, area["y"] + 40)
        page.mouse.down()
        page.mouse.move(area["x"] + area["width"] * 0.8, area["y"] + 40, steps=5)
        page.mouse.up()
    first, last = (int(number) for number in re.findall(r"_step=(\d+)", asked.value.url))
    assert 1900 < first < 2200 < last < 2500
    expect(box).to_have_class(re.compile("zoomed"))
    page.wait_for_load_state("networkidle")
    box.get_by_role("button", name="Show all steps").click()
    expect(box).not_to_have_class(re.compile("zoomed"))


def test_curves_of_child_runs_are_laid_over(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}")
    page.get_by_label("with child runs").check()
    expect(page.locator(".u-legend").first).to_contain_text("child-a")


def test_the_axis_becomes_time_since_the_start(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}")
    with page.expect_response(re.compile(r"/curves\?key=[^&]*$")):
        page.locator("[data-curve-control=axis]").select_option("relative")
    assert page.locator(".plot canvas").count() >= 1


def test_a_metric_is_found_by_a_part_of_its_name(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}?metric=lr")
    assert page.locator("#metrics tbody tr").count() == 1
    assert page.locator("#curves .card").count() == 1


def test_html_runs_in_a_sandbox_of_its_own(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}/artifacts/report.html")
    frame = page.frame_locator("iframe.frame-page")
    expect(frame.locator("body")).to_contain_text("drawn by script")
    assert page.title() != "taken"
    assert page.locator("iframe.frame-page").get_attribute("sandbox") == "allow-scripts"


def test_tables_and_texts_are_shown_as_what_they_are(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}/artifacts/tables/confusion.csv")
    assert page.locator("main table tbody tr").count() == 2
    page.locator(".tree").get_by_role("link", name="notes.md").click()
    page.locator(".prose em", has_text="fine").wait_for()
    assert page.locator("main script").count() == 0


def test_code_and_output_have_tabs(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}?tab=code")
    assert page.locator(".diff .add", has_text="depth = 7").count() == 1
    assert f"tilth reproduce {busy.whole_id}" in page.locator("main").inner_text()
    page.get_by_role("link", name="Logs").click()
    page.wait_for_url(re.compile("tab=logs"))
    assert "epoch 299" in page.locator("#log-text").inner_text()
    assert page.evaluate("(e => e.scrollTop + e.clientHeight > e.scrollHeight - 4)(document.querySelector('#log-text'))")


def test_a_run_is_renamed_and_archived_and_back(busy, busy_tab):
    page = busy_tab().open(f"/p/default/runs/{busy.whole_id}")
    page.locator("summary", has_text="Rename").click()
    page.locator("#run-name").fill("whole again")
    page.get_by_role("button", name="Save name").click()
    expect(page.locator("h1")).to_have_text("whole again")
    page.get_by_role("button", name="Archive").click()
    page.get_by_text("This run is archived").wait_for()
    page.get_by_role("button", name="Take it out of the archive").click()
    page.get_by_text("Restored.").wait_for()
