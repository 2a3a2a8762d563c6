"""What people do on the pages: forms that are refused, things taken back, pages that follow what happens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

pytestmark = pytest.mark.browser

API = "/api/v1/p/default"


@pytest.fixture
def start(furnished) -> Iterator[Callable[[str], str]]:
    """Starts runs that are gone from the lists afterwards: other tests count those."""
    made: list[str] = []

    def run(name: str) -> str:
        with furnished.client() as client:
            answer = client.post(f"{API}/runs", json={"name": name, "experiment": "followed", "params": {"depth": "7"}}).json()
            made.append(str(answer["id"]))
            client.post(f"{API}/runs/{made[-1]}/log", json={"metrics": [{"key": "auc", "value": 0.61}]})
        return made[-1]

    yield run
    with furnished.client() as client:
        for run_id in made:
            client.delete(f"{API}/runs/{run_id}")


def test_a_refused_form_says_why_and_keeps_what_was_written(tab):
    opened = tab()
    page = opened.open("/p/default/settings")
    page.get_by_label("User or service account").fill("nobody-of-that-name")
    page.get_by_role("button", name="Add").click()
    page.locator("form .refusal").wait_for()
    assert "nobody-of-that-name" in page.locator("form .refusal").inner_text()
    assert page.get_by_label("User or service account").input_value() == "nobody-of-that-name"
    assert page.url.endswith("/p/default/settings")


def test_a_token_is_shown_on_the_page_that_made_it(tab):
    page = tab().open("/settings/tokens")
    page.get_by_label("Name").fill("made-in-a-browser")
    page.get_by_role("button", name="Create token").click()
    page.get_by_text("Copy it now").wait_for()
    assert re.search(r"tilth_[a-z0-9]{8}_[\w-]{43}", page.locator(".notice pre").inner_text())


def test_what_was_done_is_said_once(start, tab):
    page = tab().open(f"/p/default/runs/{start('noted-once')}")
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("Markdown").fill("a *note*")
    page.get_by_role("button", name="Save notes").click()
    page.get_by_text("Saved.").wait_for()
    page.reload()
    assert page.get_by_text("Saved.").count() == 0
    assert page.locator(".prose em").inner_text() == "note"


def test_a_run_that_fails_is_shown_with_its_reason_without_a_reload(furnished, start, tab):
    run_id = start("fails-before-your-eyes")
    page = tab().open(f"/p/default/runs/{run_id}")
    page.evaluate("window.notReloaded = true")
    with furnished.client() as client:
        client.post(f"{API}/runs/{run_id}/log", json={"metrics": [{"key": "auc", "value": 0.77, "step": 1}]})
        client.patch(f"{API}/runs/{run_id}", json={"status": "failed", "error": "ValueError: the last batch was empty"})
    page.get_by_text("the last batch was empty").wait_for(timeout=20_000)
    assert page.locator(".title .pill").first.inner_text() == "failed"
    assert "0.7700" in page.locator("#metrics").inner_text()
    assert page.evaluate("window.notReloaded") is True


def test_the_list_follows_runs_and_leaves_a_half_written_filter_alone(furnished, start, tab):
    run_id = start("watched-in-the-list")
    page = tab().open("/p/default/runs")
    page.locator("#filter").fill("half writ")
    with furnished.client() as client:
        client.patch(f"{API}/runs/{run_id}", json={"status": "killed"})
    page.locator("#found tr", has_text="watched-in-the-list").get_by_text("killed").wait_for(timeout=20_000)
    assert page.locator("#filter").input_value() == "half writ"


def test_a_deleted_run_is_taken_back_by_its_notice(start, tab):
    page = tab().open(f"/p/default/runs/{start('deleted-by-mistake')}")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete run").click()
    page.get_by_text("This run is deleted").wait_for()
    page.get_by_role("button", name="Restore run").click()
    page.get_by_text("Restored.").wait_for()
    assert page.get_by_role("button", name="Delete run").count() == 1


def test_a_deployment_that_was_taken_down_is_brought_back(furnished, tab):
    with furnished.client() as client:
        answer = client.put(f"{API}/deployments/spare", json={"model": "late", "alias": "champion"})
        assert answer.status_code < 300, answer.text
    page = tab().open("/p/default/deployments/spare")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Take down").click()
    page.get_by_text("is taken down").wait_for()
    assert "tilth deploy late@champion --name spare --project default" in page.locator(".notice pre").inner_text()
    page.get_by_role("button", name="Bring it back").click()
    page.wait_for_url(re.compile("/deployments/spare"))
    page.locator(".title .pill", has_text="live").wait_for(timeout=20_000)
    with furnished.client() as client:
        client.delete(f"{API}/deployments/spare")
    assert page.goto(page.url.partition("/deployments")[0] + "/deployments?gone=late&model=late&version=1") is not None
    assert page.get_by_text("is taken down").count() == 0


def test_search_is_one_chord_away(tab):
    page = tab().open("/p/default/audit")
    page.keyboard.press("Control+k")
    page.keyboard.type("late")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("search"))
    assert page.get_by_role("heading", name="Deployments").count() == 1


def test_nothing_is_wider_than_a_small_screen(furnished, tab):
    opened = tab()
    opened.page.set_viewport_size({"width": 480, "height": 900})
    run = f"/p/default/runs/{furnished.run_id}"
    for address in ("/p/default", "/p/default/runs", run, "/p/default/models/late/versions/1", "/p/default/deployments/late"):
        page = opened.open(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 480, address
