"""Serving by hand: with a mouse, with the keyboard alone, and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from sklearn.linear_model import LogisticRegression
from tests.browser.pages import CONTRAST, NAMELESS
from tests.conftest import Server

import tilth
from tilth.sdk.connection import forget

TABS = ("", "/rollouts", "/shadow", "/ab", "/labels", "/predictions", "/try")
FOCUSED = (
    "() => { const f = document.activeElement; return `${f.tagName} ${(f.labels?.[0]?.textContent || f.textContent).trim()}`; }"
)
OUTLINE = "() => parseFloat(getComputedStyle(document.activeElement).outlineWidth)"


@dataclass
class Steered:
    """Two equal versions of `steered`; each test takes a deployment of version 1 of its own."""

    server: Server

    def deploy(self, name: str) -> str:
        with self.server.client() as client:
            answer = client.put(f"/api/v1/p/default/deployments/{name}", json={"model": "steered", "version": 1})
            assert answer.status_code == 200, answer.text
        return f"/p/default/deployments/{name}"

    def state(self, address: str) -> Any:
        with self.server.client() as client:
            return client.get(f"/api/v1{address}").json()


@pytest.fixture(scope="module")
def steered(new_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Steered:
    server = new_server(tmp_path_factory.mktemp("steered") / "home")
    tilth.init(url=server.url, token=server.token, project="default")
    frame = pd.DataFrame(np.random.default_rng(4).normal(size=(300, 2)), columns=["a", "b"])
    for _ in range(2):
        model = LogisticRegression().fit(frame, (frame["a"] > 0).astype(int))
        tilth.log_model(model, name="steered", example=frame.head(3), register=True)
    tilth.deploy("steered/1", wait=True)
    forget()
    return Steered(server)


@pytest.fixture
def signed_in(steered: Steered, chromium: Any) -> Iterator[Callable[..., Page]]:
    opened = []

    def open_page(address: str, **options: Any) -> Page:
        headers = {"authorization": f"Bearer {steered.server.token}"}
        link = httpx.post(f"{steered.server.url}/api/v1/login-links", headers=headers, timeout=20).json()["url"]
        context = chromium.new_context(base_url=steered.server.url, viewport={"width": 1280, "height": 900}, **options)
        opened.append(context)
        context.request.get(link, max_redirects=0)
        page: Page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address)
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_rollout_is_started_paused_resumed_and_rolled_back_by_its_buttons(
    steered: Steered, signed_in: Callable[..., Page], scripts: bool
) -> None:
    home = steered.deploy(f"steered-rollout-{scripts}".lower())
    page = signed_in(f"{home}/rollouts", java_script_enabled=scripts)
    page.locator("summary", has_text="New rollout").click()
    page.get_by_label("Steps, in percent").fill("20, 100")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".title .pill")).to_have_text("running")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".title .pill")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".title .pill")).to_have_text("running")
    page.goto(home)
    page.get_by_role("link", name="Steer or end it").click()
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator(".title .pill")).to_have_text("rolled back")
    assert steered.state(home)["deployment"]["version"] == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_an_ab_test_is_set_up_stopped_and_concluded_by_its_buttons(
    steered: Steered, signed_in: Callable[..., Page], scripts: bool
) -> None:
    home = steered.deploy(f"steered-ab-{scripts}".lower())
    page = signed_in(f"{home}/ab", java_script_enabled=scripts)
    page.locator("summary", has_text="New test").click()
    page.get_by_label("What is expected").fill("nothing")
    page.get_by_role("button", name="Make the test").click()
    expect(page.locator(".title .pill")).to_have_text("test 1 running")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".title .pill")).to_have_text("test 1 stopped")
    assert steered.state(home)["deployment"]["routes"] == [{"version": 1, "share": 1.0}]
    page.locator("summary", has_text="New test").click()
    page.get_by_role("button", name="Make the test").click()
    expect(page.locator(".title .pill")).to_have_text("test 2 running")
    page.locator("summary", has_text="Conclude").click()
    page.get_by_label("Gets every request from now on").select_option("2")
    page.get_by_role("button", name="Conclude").click()
    expect(page.locator(".title .pill")).to_have_text("test 2 concluded")
    page.goto(home)
    page.get_by_role("button", name="Roll back to v1").click()
    expect(page.get_by_text("serves steered v1")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_wrong_value_is_refused_beside_the_form_as_it_was_filled_in(
    steered: Steered, signed_in: Callable[..., Page], scripts: bool
) -> None:
    page = signed_in("/p/default/deployments/steered/try", java_script_enabled=scripts)
    page.locator("[name=c0]").fill("much")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .notice.bad")).to_contain_text("much")
    assert page.locator("[name=c0]").input_value() == "much"
    page.locator("[name=c0]").fill("1.5")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer dt").first).to_have_text("probability")


def test_the_keyboard_alone_starts_a_rollout_and_puts_a_panel_away(steered: Steered, signed_in: Callable[..., Page]) -> None:
    page = signed_in(f"{steered.deploy('steered-keys')}/rollouts")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == "SUMMARY New rollout":
            break
    assert page.evaluate(OUTLINE) >= 2
    page.keyboard.press("Enter")
    passed = []
    for _ in range(9):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED).split(" ")[1])
        assert page.evaluate(OUTLINE) >= 2, passed
    assert passed == ["New", "Why", "Steps,", "Each", "and", "Errors", "p99", "Score", "Start"]
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUSED) == "SUMMARY New rollout"
    expect(page.get_by_label("Steps, in percent")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".title .pill")).to_have_text("running")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_is_legible_named_and_as_wide_as_the_window(
    steered: Steered, signed_in: Callable[..., Page], scheme: str
) -> None:
    page = signed_in("/p/default/deployments", color_scheme=scheme)
    for tab in TABS:
        page.goto(f"/p/default/deployments/steered{tab}")
        for wide in (1280, 390):
            page.set_viewport_size({"width": wide, "height": 860})
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (tab, wide)
        assert page.evaluate(CONTRAST) == [], tab
        assert page.evaluate(NAMELESS) == [], tab
