"""A rollout from its form to its end, on the page alone."""

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
from tests.browser.pages import CONTRAST, MAX_NODES, NAMELESS
from tests.conftest import Server

import tilth
from tilth.sdk.connection import forget

PAGE = "/p/default/deployments/rolled/rollouts"


@dataclass
class Rolled:
    server: Server

    def ask(self, times: int) -> None:
        url = f"{self.server.serve_url}/p/default/deployments/rolled/invocations"
        body = {"dataframe_split": {"columns": ["a", "b"], "data": np.random.default_rng(times).normal(size=(5, 2)).tolist()}}
        with self.server.client() as client:
            for _ in range(times):
                assert client.post(url, json=body).status_code == 200


@pytest.fixture(scope="module")
def rolled(new_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Rolled:
    """Two equal versions of a model, the first one deployed as `rolled`."""
    server = new_server(tmp_path_factory.mktemp("rolled") / "home")
    tilth.init(url=server.url, token=server.token, project="default")
    frame = pd.DataFrame(np.random.default_rng(3).normal(size=(300, 2)), columns=["a", "b"])
    for _ in range(2):
        model = LogisticRegression().fit(frame, (frame["a"] > 0).astype(int))
        tilth.log_model(model, name="rolled", example=frame.head(3), register=True)
    tilth.deploy("rolled/1", wait=True)
    forget()
    return Rolled(server)


@pytest.fixture
def signed_in(rolled: Rolled, chromium: Any) -> Iterator[Callable[..., Page]]:
    opened = []

    def open_page(**options: Any) -> Page:
        headers = {"authorization": f"Bearer {rolled.server.token}"}
        link = httpx.post(f"{rolled.server.url}/api/v1/login-links", headers=headers, timeout=20).json()["url"]
        context = chromium.new_context(base_url=rolled.server.url, viewport={"width": 1280, "height": 900}, **options)
        opened.append(context)
        page: Page = context.new_page()
        page.goto(link)
        page.goto(PAGE)
        return page

    yield open_page
    for context in opened:
        context.close()


def test_a_rollout_is_started_watched_and_finished_on_its_page(rolled: Rolled, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    assert page.get_by_text("No rollout yet").count() == 1
    page.locator("summary", has_text="New rollout").click()
    page.get_by_label("Steps, in percent").fill("50, 100")
    page.get_by_label("Each lasts at least").fill("1s")
    page.get_by_label("and answers requests").fill("40")
    page.get_by_label("p99 at most").fill("")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".title .pill")).to_have_text("running")
    assert page.get_by_role("button", name="Roll back").count() == 1
    # Nobody reloads: the page itself follows what the judge says.
    first = page.locator(".life li").first
    for _ in range(60):
        rolled.ask(50)
        if first.get_attribute("class") == "done":
            break
    expect(first).to_have_class("done", timeout=20_000)
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("() => document.querySelectorAll('*').length") <= MAX_NODES
    assert page.get_by_role("img", name="Shares of the scores").count() == 1
    page.locator("summary", has_text="Promote").click()
    page.get_by_label("to the end").check()
    page.get_by_role("button", name="Go on").or_(page.get_by_role("button", name="Finish")).click()
    expect(page.locator(".title .pill")).to_have_text("finished")
    assert page.get_by_role("button", name="Roll back").count() == 0
    dark = signed_in(color_scheme="dark")
    assert dark.evaluate(CONTRAST) == []
    for wide in (1280, 400):
        dark.set_viewport_size({"width": wide, "height": 860})
        assert dark.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert dark.title() == "Rollouts · rolled · Tilth"
