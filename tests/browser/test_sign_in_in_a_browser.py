"""From a set-up link to a comment that somebody is told of, with the forms as a person fills them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

PASSWORD = "quiet rivers bend south"


@pytest.fixture(scope="module")
def place(new_server, tmp_path_factory: pytest.TempPathFactory):
    return new_server(tmp_path_factory.mktemp("team") / "home")


@pytest.fixture
def browser_at(chromium: Browser, place) -> Iterator[Callable[..., Page]]:
    """Pages of fresh browsers; `complaints` of each must stay empty."""
    contexts: list[BrowserContext] = []

    def make(*, javascript: bool = True, signed_in: bool = False) -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=javascript)
        contexts.append(context)
        if signed_in:
            with place.client() as client:
                context.request.get(client.post("/api/v1/login-links").json()["url"], max_redirects=0)
        page = context.new_page()
        page.set_default_timeout(20_000)
        return page

    yield make
    for context in contexts:
        context.close()


def create(owner: Page, url: str, name: str, kind: str = "user") -> None:
    owner.goto(f"{url}/settings/users")
    owner.get_by_label("Name", exact=True).fill(name)
    owner.get_by_label("Kind").select_option(kind)
    owner.get_by_role("button", name="Add").click()


def link_of(owner: Page) -> str:
    shown = owner.locator(".notice.good pre")
    expect(shown).to_contain_text("/login/setup/")
    return shown.inner_text().strip()


def set_password(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    page.wait_for_url("**/settings/projects")


@pytest.mark.browser
def test_a_new_person_sets_a_password_signs_out_and_in_again(browser_at, place, tmp_path: Path):
    owner = browser_at(signed_in=True)
    create(owner, place.url, "ada")
    link = link_of(owner)
    expect(owner.locator("table.rows").first).to_contain_text("ada")
    ada = browser_at()
    ada.goto(link)
    ada.get_by_label("Password").fill("password1234")
    ada.get_by_label("The same again").fill("password1234")
    ada.get_by_role("button", name="Set password").click()
    expect(ada.locator(".refusal")).to_contain_text("common word")
    set_password(ada, link)
    ada.get_by_role("button", name="Sign out").click()
    ada.wait_for_url("**/login")
    ada.goto(f"{place.url}/account")
    ada.get_by_label("Name").fill("ada")
    ada.get_by_label("Password").fill("not the password")
    ada.get_by_role("button", name="Sign in").click()
    expect(ada.locator(".refusal")).to_contain_text("do not belong together")
    ada.get_by_label("Password").fill(PASSWORD)
    ada.get_by_role("button", name="Sign in").click()
    ada.wait_for_url("**/account")
    expect(ada.locator("h1")).to_have_text("Account")
    ada.get_by_label("Password so far").fill(PASSWORD)
    ada.get_by_label("New password").fill("a brand new sentence")
    ada.get_by_label("The same again").fill("a brand new sentence")
    ada.get_by_role("button", name="Change", exact=True).click()
    expect(ada.locator(".notice")).to_contain_text("Your password is changed")


@pytest.mark.browser
def test_signing_in_works_without_javascript(browser_at, place):
    owner = browser_at(signed_in=True)
    create(owner, place.url, "bob")
    bob = browser_at(javascript=False)
    set_password(bob, link_of(owner))
    bob.goto(f"{place.url}/account")
    bob.get_by_role("button", name="Sign out everywhere").click()
    bob.wait_for_url("**/login")
    bob.get_by_label("Name").fill("bob")
    bob.get_by_label("Password").fill("wrong wrong wrong")
    bob.get_by_role("button", name="Sign in").click()
    expect(bob.locator(".notice.bad")).to_contain_text("do not belong together")
    bob.get_by_label("Password").fill(PASSWORD)
    bob.get_by_role("button", name="Sign in").click()
    bob.wait_for_url("**/settings/projects")


@pytest.mark.browser
def test_a_service_account_gets_a_token_on_the_page(browser_at, place):
    owner = browser_at(signed_in=True)
    create(owner, place.url, "ci", "service")
    fold = owner.locator("details.fold", has_text="ci")
    fold.get_by_label("Token").fill("nightly")
    fold.get_by_label("Project").select_option("default")
    fold.get_by_role("button", name="Make token").click()
    expect(owner.locator(".notice.good pre")).to_contain_text("tilth_")
    expect(owner.locator("details.fold", has_text="ci")).to_contain_text("nightly")


@pytest.mark.browser
def test_a_comment_tells_the_member_it_names(browser_at, place):
    with place.client() as client:
        run_id = client.post("/api/v1/p/default/runs", json={"name": "winter"}).json()["id"]
    owner = browser_at(signed_in=True)
    create(owner, place.url, "eve")
    eve = browser_at()
    set_password(eve, link_of(owner))
    owner.goto(f"{place.url}/p/default/settings")
    owner.get_by_label("User or service account").fill("eve")
    owner.get_by_role("button", name="Add").click()
    expect(owner.get_by_label("Role of eve")).to_be_visible()
    owner.get_by_label("May", exact=True).fill("eve")
    owner.get_by_label("do this").select_option("run.write")
    owner.get_by_role("button", name="Ask").click()
    expect(owner.locator("p[role=status]")).to_contain_text("'eve' is 'viewer'")
    owner.goto(f"{place.url}/p/default/runs/{run_id}")
    owner.get_by_label("Comment", exact=True).fill("Better on **winter** days, @eve")
    owner.get_by_role("button", name="Comment", exact=True).click()
    expect(owner.locator("#comments")).to_contain_text("Better on winter days")
    eve.goto(f"{place.url}/mentions")
    expect(eve.locator("main")).to_contain_text("Better on winter days, @eve")
    expect(eve.locator("nav.nav")).to_contain_text("Mentions 1")
    eve.get_by_role("link", name="winter").click()
    eve.wait_for_url(f"**/runs/{run_id}#comment-*")
    eve.goto(f"{place.url}/mentions")
    eve.get_by_role("button", name="Mark all as read").click()
    expect(eve.locator(".notice")).to_contain_text("marked as read")
