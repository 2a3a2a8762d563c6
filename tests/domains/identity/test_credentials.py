"""Tokens, sessions, one-time links, and what a foreign page may not do."""

from __future__ import annotations

import re

import pytest

FOREIGN = (
    {},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
)


def message(answer) -> str:
    return answer.json()["error"]["message"]


def signed_in(installation):
    """A browser without a token that has used a one-time link."""
    link = installation.client.post("/api/v1/login-links").json()["url"]
    browser = installation.as_(None)
    assert browser.get(link, follow_redirects=False).status_code == 303
    return browser


def test_a_secret_is_shown_once_and_only_its_digest_is_kept(installation):
    made = installation.client.post("/api/v1/tokens", json={"name": "ci"}).json()
    assert re.fullmatch(r"tilth_[a-z0-9]{8}_[\w-]{43}", made["secret"])
    listed = installation.client.get("/api/v1/tokens").text
    assert made["secret"] not in listed
    assert made["token"]["prefix"] in listed
    stored = (installation.home / "tilth.db").read_bytes() + (installation.home / "tilth.db-wal").read_bytes()
    assert made["secret"].encode() not in stored


def test_a_revoked_token_ends_at_once(installation):
    made = installation.client.post("/api/v1/tokens", json={"name": "ci"}).json()
    client = installation.as_(made["secret"])
    assert client.get("/api/v1/whoami").status_code == 200
    installation.client.delete(f"/api/v1/tokens/{made['token']['id']}")
    answer = client.get("/api/v1/whoami")
    assert answer.status_code == 401
    assert "tilth token create" in message(answer)


def test_a_token_bound_to_a_project_is_good_nowhere_else(installation):
    installation.client.post("/api/v1/projects", json={"name": "other"})
    client = installation.as_(installation.token(project="default", scopes=["read", "manage"]))
    assert client.get("/api/v1/projects/default").status_code == 200
    assert client.get("/api/v1/projects/other").status_code == 404
    assert client.get("/api/v1/users").status_code == 403
    assert [project["name"] for project in client.get("/api/v1/projects").json()] == ["default"]


def test_a_token_cannot_make_one_that_can_do_more(installation):
    narrow = installation.as_(installation.token(scopes=["read", "manage"], project="default"))
    assert narrow.post("/api/v1/tokens", json={"name": "x", "scopes": ["write"], "project": "default"}).status_code == 403
    assert narrow.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}).status_code == 403
    assert narrow.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"], "project": "default"}).status_code == 201


def test_a_developer_makes_no_tokens_for_others(installation):
    client = installation.as_(installation.member("dan", "developer"))
    me = installation.client.get("/api/v1/whoami").json()["name"]
    assert client.post("/api/v1/tokens", json={"name": "x", "principal": me}).status_code == 403


@pytest.mark.parametrize("scopes", [[], ["everything"], ["plane"]])
def test_unknown_scopes_are_refused_with_the_known_ones(app_client, scopes):
    answer = app_client.post("/api/v1/tokens", json={"name": "x", "scopes": scopes})
    assert answer.status_code == 400
    assert "manage, predict, read, write" in message(answer)


@pytest.mark.parametrize("days", [0, 366, -1])
def test_no_token_lives_longer_than_a_year(app_client, days):
    assert app_client.post("/api/v1/tokens", json={"name": "x", "expires_in_days": days}).status_code == 400


def test_an_expired_token_is_refused(install):
    from tilth.backends.sql import Tx
    from tilth.core.clock import DAY, Millis, now
    from tilth.domains.identity import queries
    from tilth.domains.identity.rules import secret_digest

    installation = install()
    secret = installation.token(expires_in_days=1)

    def found_at(moment: int):
        def look(tx: Tx):
            return queries.credential_by_token(tx, secret_digest(secret), Millis(moment))

        return installation.system.database.read_blocking(look)

    assert found_at(now()) is not None
    assert found_at(now() + DAY + 1000) is None


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic !!!", "Bearer tilth_aaaaaaaa_" + "a" * 43, "Digest a"])
def test_bad_credentials_are_a_401_with_a_next_step(installation, header):
    answer = installation.as_(None).get("/api/v1/whoami", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "tilth" in message(answer)


def test_a_token_is_taken_as_a_basic_password_too(installation):
    answer = installation.as_(None).get("/api/v1/whoami", auth=("anything", installation.owner_token))
    assert answer.status_code == 200


def test_a_link_signs_in_once(installation):
    browser = signed_in(installation)
    assert browser.get("/api/v1/whoami").json()["org_role"] == "admin"
    link = installation.client.post("/api/v1/login-links").json()["url"]
    assert installation.as_(None).get(link, follow_redirects=False).status_code == 303
    assert installation.as_(None).get(link, follow_redirects=False).status_code == 401


def test_the_session_cookie_is_out_of_reach_of_scripts(installation):
    link = installation.client.post("/api/v1/login-links").json()["url"]
    cookie = installation.as_(None).get(link, follow_redirects=False).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_signing_out_ends_the_session(installation):
    browser = signed_in(installation)
    assert browser.post("/logout", headers={"origin": installation.url}, follow_redirects=False).status_code == 303
    assert browser.get("/api/v1/whoami").status_code == 401


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_cannot_use_the_cookie_for_a_change(installation, headers):
    browser = signed_in(installation)
    own = {"origin": installation.url}
    named = own if "sec-fetch-site" in headers else {}
    refused = browser.post("/api/v1/projects", json={"name": "planted"}, headers={**named, **headers})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "cross_site_request"
    assert browser.post("/api/v1/projects", json={"name": "meant"}, headers=own).status_code == 201


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8700", "", "localhost.evil:8700", "127.0.0.1:x"])
def test_a_foreign_host_name_is_refused_everywhere(installation, host):
    for path in ("/api/v1/health", "/login", "/nothing"):
        assert installation.client.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:8700", "127.0.0.1", "[::1]:8700", "LOCALHOST"])
def test_the_loopback_names_are_known(installation, host):
    assert installation.client.get("/api/v1/health", headers={"host": host}).status_code == 200


def test_a_restart_keeps_the_tokens_of_the_home(installation):
    from tilth.app.bootstrap import ensure_local_identity

    again = ensure_local_identity(installation.system.database, installation.home, "default")
    assert again.token == installation.owner_token


def test_the_files_with_secrets_are_for_their_owner_only(installation):
    for name in ("token", "plane/token"):
        assert (installation.home / name).stat().st_mode & 0o777 == 0o600


def test_what_a_run_writes_about_itself_leaves_no_audit_row_and_the_same_by_a_person_does(installation):
    runs = "/api/v1/p/default/runs"
    run_id = installation.client.post(runs, json={}).json()["id"]
    of_run = installation.as_(installation.token(scopes=["read", "write"], project="default", run_id=run_id))
    assert of_run.get("/api/v1/whoami").json()["kind"] == "run"
    assert of_run.patch(f"{runs}/{run_id}", json={"notes": "by the run"}).status_code == 200
    assert installation.client.patch(f"{runs}/{run_id}", json={"notes": "by a person"}).status_code == 200
    events = installation.client.get("/api/v1/p/default/audit", params={"words": "run.annotated"}).json()["events"]
    assert [event["actor_kind"] for event in events] == ["user"]
