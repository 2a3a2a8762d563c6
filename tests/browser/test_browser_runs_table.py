"""The list of ten thousand runs, as somebody works through it."""

from __future__ import annotations

import csv
import io
import re

import pytest
from playwright.sync_api import expect
from tests.browser.pages import CONTRAST, MAX_BYTES, MAX_NODES, MAX_SCRIPT_BYTES, NAMELESS

pytestmark = pytest.mark.browser

RUNS = "/p/default/runs"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_of_ten_thousand_runs_is_light_silent_and_legible(busy_tab, scheme):
    seen = busy_tab(scheme=scheme)
    page = seen.open(RUNS)
    assert page.locator("#found tbody tr").count() == 100
    assert "100 of 10,000+" in page.locator("#more").inner_text()
    assert seen.complaints == []
    assert seen.transferred <= MAX_BYTES
    assert seen.script_bytes <= MAX_SCRIPT_BYTES
    assert seen.nodes <= MAX_NODES
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []


def test_the_filter_completes_keys_operators_and_values_by_keyboard(busy_tab):
    page = busy_tab().open(RUNS)
    page.locator("#filter").focus()
    page.keyboard.type("optimi")
    expect(page.locator("#offered li", has_text="params.optimiser")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#filter")).to_have_value("params.optimiser")
    expect(page.locator("#offered li").first).to_contain_text("params.optimiser=")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#offered li", has_text="lion")).to_be_visible()
    page.keyboard.type("li")
    expect(page.locator("#offered li")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#filter")).to_have_value("params.optimiser=lion ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("optimiser"))
    expect(page.locator("#found caption")).to_contain_text(re.compile(r"3,\d\d\d runs fit the filter"))


def test_a_filter_that_cannot_be_read_shows_the_place(busy_tab):
    page = busy_tab().open(f"{RUNS}?q=auc%3E0.8+depth%3E")
    assert page.locator(".wrong pre").inner_text().splitlines()[1].index("▲") == len("auc>0.8 depth>")
    assert "a value is missing" in page.locator(".wrong").inner_text()


def test_pages_follow_each_other_without_a_gap_in_any_order(busy_tab):
    page = busy_tab().open(f"{RUNS}?order=metrics.auc+desc")
    page.get_by_role("link", name="Show 100 more").click()
    expect(page.locator("#found tbody tr")).to_have_count(200)
    assert "200 of 10,000+" in page.locator("#more").inner_text()
    values = [float(text) for text in page.locator("#found tbody td.bar").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert len(set(page.locator("#found tbody a").all_inner_texts())) == 200


def test_a_first_click_on_a_loss_brings_the_least_up(busy_tab):
    page = busy_tab().open(RUNS)
    page.locator("thead a", has_text="val_loss").click()
    page.wait_for_url(re.compile("order="))
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_columns_are_found_and_remembered_with_the_best_value(busy_tab):
    page = busy_tab().open(RUNS)
    page.locator("#pick summary").click()
    page.locator("#find-column").fill("val_l")
    expect(page.locator(".offer:visible")).to_have_count(1)
    assert page.locator(".offer:visible .clip").bounding_box()["width"] > 40
    page.locator(".offer:visible").get_by_label("best").check()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("thead")).to_contain_text("best val_loss")
    page.goto(page.url.partition("?")[0])
    assert "best val_loss" in page.locator("thead").inner_text()


def test_runs_are_grouped_with_counts_and_the_best_and_unfold(busy_tab):
    page = busy_tab().open(RUNS)
    page.locator("#group").select_option("params.optimiser")
    page.wait_for_url(re.compile("group=params"))
    expect(page.locator(".group-body")).to_have_count(4)
    counts = [
        int(text.replace(",", "")) for text in page.locator(".group-body > tr:first-child > td:nth-child(2)").all_inner_texts()
    ]
    assert sum(counts) == 10_003
    page.locator(".group-body").first.get_by_role("link", name="Show runs").click()
    expect(page.locator(".inner:visible tbody tr")).to_have_count(100)


def test_chosen_runs_stay_chosen_and_go_to_the_comparison(busy_tab):
    page = busy_tab().open(f"{RUNS}?q=run-999")
    boxes = page.locator("#found tbody input[name=run]")
    boxes.nth(0).check()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.locator("#chosen-count")).to_have_text("4 chosen")
    expect(page.locator("#curve-caption")).to_have_text("· 4 of 4 chosen")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(re.compile("/compare"))
    expect(page.locator("h1")).to_have_text("Compare 4 runs")


def test_deleted_runs_are_taken_back_by_the_notice(busy_tab):
    page = busy_tab().open(f"{RUNS}?q=run-500")
    total = page.locator("#found tbody tr").count()
    page.locator("#choose-page").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text(f"{total} runs were deleted.").wait_for()
    expect(page.locator("#found tbody tr")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(f"{total} runs were restored.").wait_for()
    page.goto(f"{page.url.partition('?')[0]}?q=run-500")
    assert page.locator("#found tbody tr").count() == total


def test_all_that_fit_are_archived_and_found_in_the_archive(busy_tab):
    page = busy_tab().open(f"{RUNS}?q=run-77")
    page.locator("#choose-page").check()
    page.locator("#all-fitting").check()
    page.get_by_role("button", name="Archive").click()
    page.get_by_text("111 runs were archived.").wait_for()
    page.goto(f"{page.url.partition('?')[0]}?q=run-77&view=archived")
    assert "100 of 111" in page.locator("#more").inner_text()
    page.locator("#choose-page").check()
    page.locator("#all-fitting").check()
    page.get_by_role("button", name="Take out of the archive").click()
    page.get_by_text("111 runs were taken out of the archive.").wait_for()


def test_chosen_runs_get_a_tag(busy_tab):
    page = busy_tab().open(f"{RUNS}?q=run-4321")
    page.locator("#choose-page").check()
    page.locator("#chosen summary").click()
    page.get_by_label("Name").fill("seen")
    page.get_by_label("Value").fill("yes")
    page.get_by_role("button", name="Set the tag").click()
    page.get_by_text("1 run was tagged.").wait_for()
    page.goto(f"{page.url.partition('?')[0]}?q=tags.seen%3Dyes")
    assert page.locator("#found tbody a").all_inner_texts() == ["run-4321"]


def test_a_view_is_kept_under_a_name(busy_tab):
    page = busy_tab().open(f"{RUNS}?q=run-12")
    page.locator("#saved summary").click()
    page.get_by_label("Keep this view as").fill("the twelves")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.goto(page.url.partition("?")[0])
    page.locator("#saved summary").click()
    page.get_by_role("link", name="the twelves").click()
    page.wait_for_url(re.compile("q=run-12"))


def test_without_javascript_runs_are_chosen_grouped_and_changed(busy_tab):
    page = busy_tab(javascript=False).open(f"{RUNS}?q=run-8888")
    page.locator("#found tbody input[name=run]").check()
    page.get_by_role("button", name="Archive").click()
    page.get_by_text("1 run was archived.").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 run was taken out of the archive.").wait_for()


def test_the_sheet_holds_every_run_in_the_chosen_columns(busy):
    with busy.client() as client:
        text = client.get("/p/default/runs.csv", params={"columns": "metrics.auc|metrics.val_loss:min|params.depth"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 10_003
    assert list(rows[0])[-3:] == ["metrics.auc", "metrics.val_loss:min", "params.depth"]
    assert {row["name"] for row in rows} >= {"run-1", "run-10000"}
