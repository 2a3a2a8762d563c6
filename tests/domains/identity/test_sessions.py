"""Signed-in browsers: listed, ended, and gone when the account is."""

from __future__ import annotations

import time

from tests.domains.identity.test_passwords import GOOD, own, person, sign_in


def test_browsers_are_listed_with_the_one_that_asks_and_ended_one_by_one(installation):
    first, second = person(installation), installation.as_(None)
    agent = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
    assert second.post("/api/v1/sessions", json={"name": "ada", "password": GOOD}, headers=agent).status_code == 201
    listed = second.get("/api/v1/sessions").json()
    assert [session["current"] for session in listed] == [True, False]
    assert listed[0]["browser"] == agent["user-agent"]
    assert "Firefox on Linux" in second.get("/account").text
    assert second.delete(f"/api/v1/sessions/{listed[1]['id']}", headers=own(installation)).status_code == 204
    assert first.get("/api/v1/whoami").status_code == 401
    assert second.get("/api/v1/whoami").status_code == 200


def test_nobody_ends_the_session_of_somebody_else(installation):
    ada, bob = person(installation), person(installation, "bob")
    (session,) = ada.get("/api/v1/sessions").json()
    assert bob.delete(f"/api/v1/sessions/{session['id']}", headers=own(installation)).status_code == 404
    assert installation.client.delete(f"/api/v1/sessions/{session['id']}").status_code == 404
    assert ada.get("/api/v1/whoami").status_code == 200


def test_signing_out_everywhere_ends_all_browsers_and_leaves_tokens(installation):
    first, second = person(installation), installation.as_(None)
    second.post("/api/v1/sessions", json={"name": "ada", "password": GOOD})
    token = first.post("/api/v1/tokens", json={"name": "own"}, headers=own(installation)).json()["secret"]
    left = first.post("/account/sessions/end-all", headers=own(installation))
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    for browser in (first, second):
        assert browser.get("/api/v1/whoami").status_code == 401
    assert installation.as_(token).get("/api/v1/whoami").status_code == 200


def test_deactivating_ends_sessions_and_links_for_good(installation):
    browser = person(installation)
    link = installation.client.post("/api/v1/users/ada/setup-links").json()["url"]
    for active in (False, True):
        assert installation.client.patch("/api/v1/users/ada", json={"active": active}).status_code == 200
    assert browser.get("/api/v1/whoami").status_code == 401
    assert installation.as_(None).get(link).status_code == 401
    assert sign_in(installation, "ada", GOOD).status_code == 201


def test_a_deactivated_person_is_told_the_same_as_a_stranger(installation):
    person(installation)
    installation.client.patch("/api/v1/users/ada", json={"active": False})
    assert sign_in(installation, "ada", GOOD).json() == sign_in(installation, "nobody", GOOD).json()


def test_a_session_after_its_role_was_taken_away_is_refused_within_five_seconds(install):
    first = install()
    browser = person(first)
    assert browser.get("/p/default/runs").status_code == 200

    # Behind the gate's back, as another control process would do it: only the memory of at most 2 s stands between.
    def take_away(tx):
        from tilth.domains.identity import queries
        from tilth.domains.identity.queries import writes

        project = queries.project_named(tx, "default")
        writes.drop_membership(tx, project.id, queries.principal_named(tx, "ada").id)

    first.system.database.write_blocking(take_away)
    new_run = browser.post("/api/v1/p/default/runs", json={}, headers=own(first))
    assert new_run.status_code == 404, "a change is refused at once"
    end = time.monotonic() + 5
    while browser.get("/p/default/runs").status_code != 404:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_people_are_seen_a_few_seconds_late(installation):
    import asyncio

    person(installation)
    before = {user["name"]: user for user in installation.client.get("/api/v1/users").json()}
    assert before["ada"]["has_password"] is True
    installation.as_(None).post("/api/v1/sessions", json={"name": "ada", "password": GOOD})
    browser = installation.as_(None)
    browser.post("/api/v1/sessions", json={"name": "ada", "password": GOOD})
    assert browser.get("/api/v1/whoami").status_code == 200
    asyncio.run(installation.system.gate.write_last_used())
    after = {user["name"]: user for user in installation.client.get("/api/v1/users").json()}
    assert after["ada"]["last_seen"] >= before["ada"]["created"]
