"""Which passwords are taken, what becomes of them, and the way from a link to a session."""

from __future__ import annotations

import re

import httpx
import pytest
from argon2 import PasswordHasher

from tilth.domains.identity.rules import check_password, hash_password, needs_new_hash, password_matches
from tilth.domains.identity.types import WeakPassword

GOOD = "quiet rivers bend south"


def own(installation) -> dict[str, str]:
    """What a browser says when one of our own pages sends a form."""
    return {"origin": installation.url}


def setup_link(installation, name: str) -> str:
    answer = installation.client.post(f"/api/v1/users/{name}/setup-links")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def person(installation, name: str = "ada", password: str = GOOD, role: str = "developer") -> httpx.Client:
    """A new user who has set a password; the browser with which it was done."""
    assert installation.client.post("/api/v1/users", json={"name": name}).status_code == 201
    if role:
        assert installation.client.put(f"/api/v1/p/default/members/{name}", json={"role": role}).status_code == 200
    browser = installation.as_(None)
    answer = browser.post(
        setup_link(installation, name), data={"password": password, "again": password}, headers=own(installation)
    )
    assert answer.status_code == 303, answer.text
    return browser


def sign_in(installation, name: str, password: str) -> httpx.Response:
    return installation.as_(None).post("/api/v1/sessions", json={"name": name, "password": password})


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "5 characters"),
        ("elevenchars", "11 characters"),
        ("x" * 257, "at most 256"),
        ("aaaaaaaaaaaaaaaa", "neighbouring"),
        ("abcdefghijklmn", "neighbouring"),
        ("1234567890123", "neighbouring"),
        ("Password1234!", "common word"),
        ("!!changeme!!2024", "common word"),
        ("correct horse battery staple", "common word"),
        ("grace1234567", "your own name"),
        ("Grace-2026-11", "your own name"),
        ("2026-11-21 0000 77", "only digits"),
    ],
)
def test_a_password_that_others_would_try_first_is_refused_with_the_reason(password, reason):
    with pytest.raises(WeakPassword, match=reason) as refused:
        check_password(password, "grace")
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "password", [GOOD, "twelve chars", "пароль из слов", "gracehopper knows", "x7Kq!p2Zr9Lm", "\0with a zero\0"]
)
def test_other_passwords_are_taken_in_any_script(password):
    check_password(password, "grace")


def test_a_hash_is_argon2id_within_46_mib_and_different_each_time():
    first, second = hash_password(GOOD), hash_password(GOOD)
    assert first != second
    kind, _, costs = first.split("$")[1:4]
    assert kind == "argon2id"
    memory, passes = (int(re.search(rf"{key}=(\d+)", costs)[1]) for key in "mt")
    assert memory <= 46 * 1024
    assert (memory, passes) == (19 * 1024, 2)
    assert password_matches(first, GOOD)
    assert not password_matches(first, GOOD + " ")
    assert not password_matches("no hash at all", GOOD)
    assert not needs_new_hash(first)


def test_the_same_password_in_another_unicode_form_is_the_same():
    assert password_matches(hash_password("Stra\u00dfenb\u00e4ume \ufb01nden"), "Stra\u00dfenba\u0308ume finden")


def test_a_link_is_looked_at_as_often_as_one_likes_and_used_once(installation):
    installation.client.post("/api/v1/users", json={"name": "ada"})
    link, browser = setup_link(installation, "ada"), installation.as_(None)
    for _ in range(2):
        assert "Welcome, ada" in browser.get(link).text
    form = {"password": GOOD, "again": GOOD}
    weak = browser.post(link, data={"password": "short", "again": "short"}, headers=own(installation))
    assert (weak.status_code, "5 characters" in weak.text, "short" in weak.text.partition("<form")[2]) == (400, True, False)
    differ = browser.post(link, data={**form, "again": GOOD + "x"}, headers=own(installation))
    assert (differ.status_code, "differ" in differ.text) == (400, True)
    done = browser.post(link, data=form, headers=own(installation))
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert browser.get("/api/v1/whoami").json()["name"] == "ada"
    again = installation.as_(None)
    assert again.get(link).status_code == 401
    assert again.post(link, data=form, headers=own(installation)).status_code == 401
    assert again.get("/api/v1/whoami").status_code == 401


def test_a_newer_link_ends_the_older_one(installation):
    installation.client.post("/api/v1/users", json={"name": "ada"})
    older, newer = setup_link(installation, "ada"), setup_link(installation, "ada")
    assert installation.as_(None).get(older).status_code == 401
    assert installation.as_(None).get(newer).status_code == 200


def test_a_login_link_sets_no_password_and_a_setup_link_signs_nobody_in(installation):
    login = installation.client.post("/api/v1/login-links").json()["url"].rpartition("/")[2]
    assert installation.as_(None).get(f"/login/setup/{login}").status_code == 401
    installation.client.post("/api/v1/users", json={"name": "ada"})
    setup = setup_link(installation, "ada").rpartition("/")[2]
    assert installation.as_(None).get(f"/login/{setup}", follow_redirects=False).status_code == 401


def test_a_reset_leaves_the_password_until_the_link_is_used_and_then_ends_every_session(installation):
    browser = person(installation)
    link = setup_link(installation, "ada")
    assert sign_in(installation, "ada", GOOD).status_code == 201
    assert browser.get("/api/v1/whoami").status_code == 200
    fresh = {"password": "another four good words", "again": "another four good words"}
    assert installation.as_(None).post(link, data=fresh, headers=own(installation)).status_code == 303
    assert browser.get("/api/v1/whoami").status_code == 401
    assert sign_in(installation, "ada", GOOD).status_code == 401
    assert sign_in(installation, "ADA ", "another four good words").status_code == 201


def test_the_form_signs_in_leads_on_and_tells_what_went_wrong(installation):
    person(installation)
    browser = installation.as_(None)
    form = {"name": "ada", "password": GOOD, "next": "/p/default/runs?q=1"}
    wrong = browser.post("/login", data={**form, "password": "not this one, no"}, headers=own(installation))
    assert wrong.status_code == 401
    assert "do not belong together" in wrong.text
    assert 'value="ada"' in wrong.text
    assert "not this one" not in wrong.text
    assert 'value="/p/default/runs?q=1"' in wrong.text
    right = browser.post("/login", data=form, headers=own(installation))
    assert (right.status_code, right.headers["location"]) == (303, "/p/default/runs?q=1")
    assert browser.get("/p/default/runs").status_code == 200


def test_the_address_that_was_asked_for_survives_the_login_page(installation):
    page = installation.as_(None).get("/p/default/runs?q=metrics.auc>0.5")
    assert page.status_code == 401
    assert 'name="next" value="/p/default/runs?q=metrics.auc%3E0.5"' in page.text


def test_changing_the_password_asks_for_the_old_one_and_ends_the_other_browsers(installation):
    browser, other = person(installation), installation.as_(None)
    assert other.post("/api/v1/sessions", json={"name": "ada", "password": GOOD}).status_code == 201
    change = {"current": "wrong wrong wrong", "new": "a brand new sentence"}
    assert browser.put("/api/v1/password", json=change, headers=own(installation)).status_code == 401
    weak = browser.put("/api/v1/password", json={"current": GOOD, "new": "weak"}, headers=own(installation))
    assert weak.status_code == 400
    good = browser.put("/api/v1/password", json={**change, "current": GOOD}, headers=own(installation))
    assert good.status_code == 204
    assert browser.get("/api/v1/whoami").status_code == 200
    assert other.get("/api/v1/whoami").status_code == 401
    assert sign_in(installation, "ada", GOOD).status_code == 401
    assert sign_in(installation, "ada", "a brand new sentence").status_code == 201


def test_one_without_a_password_sets_the_first_one_without_an_old_one(installation):
    name = installation.client.get("/api/v1/whoami").json()["name"]
    assert installation.client.put("/api/v1/password", json={"new": GOOD}).status_code == 204
    assert sign_in(installation, name, GOOD).status_code == 201
    assert installation.client.put("/api/v1/password", json={"new": "another sentence here"}).status_code == 401


def test_a_narrow_token_changes_no_password(installation):
    narrow = installation.as_(installation.token(scopes=["manage"]))
    assert narrow.put("/api/v1/password", json={"new": GOOD}).status_code == 403
    bound = installation.as_(installation.token(scopes=["read", "write", "predict", "manage"], project="default"))
    assert bound.put("/api/v1/password", json={"new": GOOD}).status_code == 403


def test_an_old_hash_is_made_anew_when_its_owner_signs_in(installation):
    person(installation)
    cheap = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    database = installation.system.database

    def store(tx):
        from tilth.domains.identity import queries
        from tilth.domains.identity.queries import writes

        writes.change_principal(tx, queries.principal_named(tx, "ada").id, {"password_hash": cheap})

    def stored(tx):
        from tilth.domains.identity import queries

        return queries.password_of(tx, "ada").hash

    database.write_blocking(store)
    assert sign_in(installation, "ada", GOOD).status_code == 201
    renewed = database.read_blocking(stored)
    assert renewed != cheap
    assert not needs_new_hash(renewed)
    assert sign_in(installation, "ada", GOOD).status_code == 201


def test_a_service_account_has_no_password_no_link_and_no_browser(installation):
    installation.client.post("/api/v1/users", json={"name": "ci", "kind": "service"})
    refused = installation.client.post("/api/v1/users/ci/setup-links")
    assert refused.status_code == 409
    assert "signs in nowhere" in refused.json()["error"]["message"]
    client = installation.as_(installation.token(principal="ci", scopes=["read", "write", "predict", "manage"]))
    assert client.get("/api/v1/whoami").json()["kind"] == "service"
    assert client.post("/api/v1/login-links").status_code == 403
    assert client.put("/api/v1/password", json={"new": GOOD}).status_code == 403


def test_nobody_makes_tokens_for_a_person_who_has_a_password(installation):
    browser = person(installation)
    refused = installation.client.post("/api/v1/tokens", json={"name": "x", "principal": "ada"})
    assert refused.status_code == 403
    assert "makes tokens alone" in refused.json()["error"]["message"]
    assert browser.post("/api/v1/tokens", json={"name": "own"}, headers=own(installation)).status_code == 201
    assert installation.client.get("/api/v1/tokens", params={"principal": "ada"}).status_code == 403


def test_what_happened_at_the_door_is_in_the_audit_trail_without_secrets(installation):
    person(installation)
    for _ in range(3):
        assert sign_in(installation, "ada", "wrong wrong wrong").status_code == 401
        assert sign_in(installation, "my secret typed here", "ada").status_code == 401
    assert sign_in(installation, "ada", GOOD).status_code == 201
    for _ in range(200):  # Nobody waits for the rows of failures.
        events = installation.client.get("/api/v1/audit").json()["events"]
        if sum(event["action"] == "login.failed" for event in events) == 2:
            break
    seen = [(event["action"], event["thing"], event["outcome"]) for event in events if event["action"].startswith("login.")]
    assert sorted(seen) == [
        ("login.failed", "ada", "refused"),
        ("login.failed", "unknown name", "refused"),
        ("login.succeeded", "ada", "done"),
    ]
    assert {"setup_link.created", "password.set_up"} <= {event["action"] for event in events}
    assert "typed here" not in str(events)
    assert GOOD not in str(events)
