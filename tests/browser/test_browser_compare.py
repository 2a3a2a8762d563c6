"""The comparison of many runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.pages import CONTRAST, MAX_BYTES, MAX_NODES, MAX_SCRIPT_BYTES, NAMELESS

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hundred_runs_are_compared_within_the_budget(busy_tab, scheme):
    seen = busy_tab(scheme=scheme)
    page = seen.open("/p/default/compare?q=run-98")
    page.locator("#curves canvas").wait_for()
    assert page.locator(".strand").count() == 111
    assert page.locator(".dot").count() == 111
    assert seen.complaints == []
    assert seen.transferred <= MAX_BYTES
    assert seen.script_bytes <= MAX_SCRIPT_BYTES
    assert seen.nodes <= MAX_NODES
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []


def test_more_runs_than_can_be_compared_are_never_cut_silently(busy_tab):
    seen = busy_tab()
    page = seen.open("/p/default/compare?q=run-")
    assert "the first 500 in this order are compared" in page.locator(".notice").inner_text()
    assert page.locator(".strand").count() == 500
    assert "60 of 500 runs" in page.locator("#differences").inner_text()
    assert seen.nodes <= MAX_NODES
    assert seen.complaints == []


def test_a_brush_keeps_the_runs_within_it(busy_tab):
    page = busy_tab().open("/p/default/compare?q=run-98")
    zone = page.locator(".brush-zone").first.bounding_box()
    assert zone is not None
    x = zone["x"] + zone["width"] / 2
    page.mouse.move(x, zone["y"] + 2)
    page.mouse.down()
    page.mouse.move(x, zone["y"] + zone["height"] / 4, steps=4)
    page.mouse.up()
    expect(page.locator("#brushed")).to_have_text(re.compile(r"^\d+ of 111 runs within the brushes"))
    off = page.locator(".strand.off").count()
    assert 0 < off < 111
    assert page.locator(".dot.off").count() == off


def test_what_is_looked_at_stays_in_the_address(busy_tab):
    page = busy_tab().open("/p/default/compare?q=run-98")
    page.locator("#colour").select_option("params.depth")
    page.locator("#scatter-x").select_option("params.rate")
    page.locator("#curve-key").select_option("train_loss")
    expect(page.locator("#curves-note")).to_contain_text("train_loss")
    page.reload()
    page.locator(".strand").first.wait_for()
    assert page.locator("#colour").input_value() == "params.depth"
    assert page.locator("#scatter-x").input_value() == "params.rate"
    assert page.locator("#curve-key").input_value() == "train_loss"


def test_few_runs_stand_upright_with_the_best_marked(busy, busy_tab):
    with busy.client() as client:
        found = client.get("/api/v1/p/default/runs", params={"filter": "run-999", "limit": 3}).json()["runs"]
    best = max(found, key=lambda row: row["metrics"]["auc"])
    page = busy_tab().open("/p/default/compare?runs=" + ",".join(row["run"]["id"] for row in found))
    expect(page.locator("#differences thead th")).to_have_count(4)
    assert page.locator("#legend a").count() == 3
    marked = page.locator("#differences tr", has_text="auc").locator("td.best")
    assert marked.inner_text().startswith(f"{best['metrics']['auc']:.4f}")


def test_without_javascript_the_differences_can_be_read(busy_tab):
    page = busy_tab(javascript=False).open("/p/default/compare?q=run-9990")
    assert page.locator("h1").inner_text() == "Compare 1 run"
    assert "need JavaScript" in page.locator("main").inner_text()
