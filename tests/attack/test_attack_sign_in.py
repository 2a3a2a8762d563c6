"""Getting in without the right password, or getting more out of a sign-in than one's own account."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from attack_steps import done

from tilth.domains.identity import queries
from tilth.domains.identity.actions.sign_in import ADDRESS_BURST, NAME_BURST, network
from tilth.domains.identity.rules import page_after_sign_in

PASSWORD = "quiet rivers bend south"
WRONG = "loud rivers bend south"


def own(installation) -> dict[str, str]:
    return {"origin": installation.url}


def person(installation, name: str, role: str = "viewer") -> httpx.Client:
    """Somebody with a password; the browser that set it."""
    done(installation.client.post("/api/v1/users", json={"name": name}))
    if role:
        done(installation.client.put(f"/api/v1/p/default/members/{name}", json={"role": role}))
    link = done(installation.client.post(f"/api/v1/users/{name}/setup-links"))["url"]
    browser = installation.as_(None)
    assert browser.post(link, data={"password": PASSWORD, "again": PASSWORD}, headers=own(installation)).status_code == 303
    return browser


def attempt(client: httpx.Client, name: str, password: str) -> httpx.Response:
    return client.post("/api/v1/sessions", json={"name": name, "password": password})


def test_wrong_passwords_at_a_rate_are_slowed_down_and_the_right_one_too(installation):
    person(installation, "ada")
    person(installation, "bob")
    stranger = installation.as_(None)
    seen = [attempt(stranger, "ada", f"{WRONG} {number}").status_code for number in range(NAME_BURST + 3)]
    assert seen == [401] * NAME_BURST + [429] * 3
    refused = attempt(stranger, "ada", PASSWORD)
    assert refused.status_code == 429, "a guess that hits must not be told from one that misses"
    assert refused.json()["error"]["kind"] == "too_many"
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    page = stranger.post("/login", data={"name": "ada", "password": PASSWORD}, headers=own(installation))
    assert (page.status_code, "too many wrong passwords" in page.text.lower()) == (429, True)
    assert int(page.headers["retry-after"]) >= 1
    assert attempt(stranger, "bob", PASSWORD).status_code == 201, "the others are not locked out"


def test_one_address_tries_no_long_list_of_names(installation):
    stranger = installation.as_(None)
    seen = [attempt(stranger, f"name-{number}", WRONG).status_code for number in range(ADDRESS_BURST + 2)]
    assert seen == [401] * ADDRESS_BURST + [429] * 2


def test_right_passwords_use_nothing_up(installation):
    person(installation, "ada")
    assert {attempt(installation.as_(None), "ada", PASSWORD).status_code for _ in range(NAME_BURST + 5)} == {201}


def test_guesses_at_the_same_moment_are_counted_before_they_are_looked_at(installation):
    person(installation, "ada")
    seen: list[int] = []

    def guess(number: int) -> None:
        seen.append(attempt(installation.as_(None), "ada", f"{WRONG} {number}").status_code)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [401] * NAME_BURST + [429] * (25 - NAME_BURST)


def test_the_old_password_is_not_guessed_through_the_form_that_changes_it(installation):
    browser = person(installation, "ada")
    change = {"new": "a brand new sentence"}
    seen = [
        browser.put("/api/v1/password", json={**change, "current": f"{WRONG} {n}"}, headers=own(installation)).status_code
        for n in range(NAME_BURST + 1)
    ]
    assert seen == [401] * NAME_BURST + [429]


def test_an_ipv6_network_counts_as_one_address():
    assert network("2001:db8::1") == network("2001:db8::ffff:2") != network("2001:db8:0:1::1")
    assert network("::ffff:10.0.0.7") == network("10.0.0.7") == "10.0.0.7"
    assert network("no address") == "no address"


def test_unknown_names_are_answered_as_known_ones_in_words_and_in_work(installation):
    """The work is compared instead of the time: everybody's password is hashed once, with the same costs."""
    person(installation, "ada")
    done(installation.client.post("/api/v1/users", json={"name": "ci", "kind": "service"}))
    done(installation.client.post("/api/v1/users", json={"name": "fresh"}))
    answers = [attempt(installation.as_(None), name, WRONG) for name in ("ada", "nobody", "ci", "fresh", "x" * 150)]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    stored = installation.system.database.read_blocking(lambda tx: queries.password_of(tx, "ada")).hash
    stand_in = installation.system.doorkeeper._nobody
    assert stored.split("$")[:4] == stand_in.split("$")[:4]
    assert stored != stand_in


def test_signing_in_by_password_makes_a_new_session_and_ends_the_one_that_was_planted(installation):
    attacker = person(installation, "mallory")
    planted = attacker.cookies["tilth_session"]
    person(installation, "ada")
    victim = installation.as_(None)
    cookie = {"cookie": f"tilth_session={planted}"}
    answer = victim.post("/api/v1/sessions", json={"name": "ada", "password": PASSWORD}, headers=cookie)
    assert answer.status_code == 201
    assert planted not in answer.headers["set-cookie"]
    assert attacker.get("/api/v1/whoami").status_code == 401, "the planted session is nobody's now"
    assert victim.get("/api/v1/whoami").json()["name"] == "ada"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/%5cevil.example",
        "/\t/evil.example",
        "/%09/evil.example",
        "/\n/evil.example",
        "/%2f/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " //evil.example",
        "evil.example",
        "/login?next=//evil.example",
        "/logout",
        "/api/v1/whoami",
        "/" + "x" * 3000,
        "",
        "http:evil.example",
        "/\u202e/x",
    ],
)
def test_nobody_is_led_to_another_site_after_signing_in(wanted):
    assert page_after_sign_in(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/", "/p/default/runs", "/p/default/runs?q=a%26b&x=//y#z", "/p/a%20b/runs", "/account"])
def test_pages_of_our_own_are_led_to(wanted):
    assert page_after_sign_in(wanted) == wanted


def test_the_form_leads_to_no_other_site(installation):
    person(installation, "ada")
    for wanted in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        form = {"name": "ada", "password": PASSWORD, "next": wanted}
        answer = installation.as_(None).post("/login", data=form, headers=own(installation))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "evil" not in installation.as_(None).get("/login", params={"next": wanted}).text


FOREIGN = (
    {},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)


def test_a_foreign_page_signs_nobody_in_as_somebody_else(installation):
    person(installation, "mallory")
    link = done(installation.client.post("/api/v1/users/mallory/setup-links"))["url"]
    stranger, form = installation.as_(None), {"name": "mallory", "password": PASSWORD}
    for headers in FOREIGN:
        for address, sent in (("/login", form), (link, {"password": "another good sentence", "again": "another good sentence"})):
            answer = stranger.post(address, data=sent, headers=headers)
            assert answer.status_code == 403, (address, headers)
            assert "set-cookie" not in answer.headers
    assert stranger.post("/login", data=form, headers=own(installation)).status_code == 303


def test_json_from_a_foreign_page_signs_nobody_in_either(installation):
    person(installation, "mallory")
    body = {"name": "mallory", "password": PASSWORD}
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert installation.as_(None).post("/api/v1/sessions", json=body, headers=headers).status_code == 403
    plain = installation.as_(None).post(
        "/api/v1/sessions", content=str(body).replace("'", '"'), headers={"content-type": "text/plain"}
    )
    assert plain.status_code in (201, 400, 415)


def test_a_password_is_no_credential_for_programs(installation):
    person(installation, "ada")
    before = len(installation.system.gate._principals)
    for _ in range(50):
        answer = installation.as_(None).get("/api/v1/whoami", auth=("ada", PASSWORD))
        assert answer.status_code == 401
        assert "sign-in page only" in answer.json()["error"]["message"]
    assert len(installation.system.gate._principals) == before
    assert attempt(installation.as_(None), "ada", PASSWORD).status_code == 201, "none of it counted as a wrong password"


MALFORMED = (
    {},
    {"name": "ada"},
    {"name": 1, "password": []},
    {"name": "ada", "password": "x" * 2000},
    {"name": "a" * 300, "password": "x"},
    {"name": "ada", "password": "x", "admin": True},
    [],
    None,
)


def test_a_malformed_sign_in_is_a_bad_request_and_an_odd_name_a_wrong_one(installation):
    stranger = installation.as_(None)
    for body in MALFORMED:
        assert stranger.post("/api/v1/sessions", json=body).status_code == 400, body
    for name in ("", "\0", "../x", "ada' OR 1=1 --", "🌾", "%00", "-" * 200):
        assert attempt(stranger, name, WRONG).status_code in (400, 401), name


def test_a_member_makes_no_link_and_resets_nobody(installation):
    browser = person(installation, "ada", "owner")
    me = done(installation.client.get("/api/v1/whoami"))["name"]
    for name in ("ada", me):
        assert browser.post(f"/api/v1/users/{name}/setup-links", headers=own(installation)).status_code == 403
        assert browser.post(f"/settings/users/{name}/reset", data={}, headers=own(installation)).status_code == 403
    assert installation.client.post("/api/v1/users/ada/setup-links").status_code == 201


def test_a_setup_link_that_many_use_at_once_sets_one_password(installation):
    done(installation.client.post("/api/v1/users", json={"name": "ada"}))
    link = done(installation.client.post("/api/v1/users/ada/setup-links"))["url"]
    seen: list[tuple[int, int]] = []

    def use(number: int) -> None:
        password = f"sentence number {number} of many"
        form = {"password": password, "again": password}
        seen.append((installation.as_(None).post(link, data=form, headers=own(installation)).status_code, number))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in seen) == [303] + [401] * 5
    (winner,) = [number for status, number in seen if status == 303]
    assert attempt(installation.as_(None), "ada", f"sentence number {winner} of many").status_code == 201


def test_a_principal_that_sends_too_much_is_told_to_wait_and_others_are_not(install):
    installation = install(requests_per_second=5.0)
    busy = installation.as_(installation.member("busy", "viewer"))
    time.sleep(0.5)
    seen = [busy.get("/api/v1/projects") for _ in range(20)]
    assert [answer.status_code for answer in seen[:10]] == [200] * 10
    refused = [answer for answer in seen if answer.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json()["error"]["kind"] == "too_many"
    mlflow = [busy.get("/api/2.0/mlflow/experiments/search?max_results=5") for _ in range(12)]
    slowed = next(answer for answer in mlflow if answer.status_code == 429)
    assert slowed.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert installation.as_(None).get("/api/v1/health").status_code == 200
    time.sleep(1.1)
    assert busy.get("/api/v1/projects").status_code == 200


def test_a_mention_tells_nothing_about_people_outside_of_the_project(installation):
    client = installation.client
    outsider = person(installation, "olga", role="")
    done(client.post("/api/v1/projects", json={"name": "secret"}))
    run = done(client.post("/api/v1/p/secret/runs", json={}))["id"]
    said = [done(client.post(f"/api/v1/p/secret/runs/{run}/comments", json={"text": f"for @{who}"})) for who in ("olga", "ghost")]
    assert {tuple(one) for one in said} == {tuple(said[0])}
    assert outsider.get("/api/v1/mentions").json() == {"mentions": [], "unseen": 0, "before": None}
    page = client.get(f"/p/secret/runs/{run}").text
    assert page.count("for @olga") == page.count("for @ghost") > 0
    known, unknown = (
        done(client.get("/api/v1/p/secret/access", params={"principal": who, "permission": "run.read"}))
        for who in ("olga", "ghost")
    )
    assert known["why"].replace("olga", "") == unknown["why"].replace("ghost", "")


def test_mentions_of_a_project_that_one_has_left_are_gone(installation):
    ada, client = person(installation, "ada"), installation.client
    run = done(client.post("/api/v1/p/default/runs", json={}))["id"]
    said = done(client.post(f"/api/v1/p/default/runs/{run}/comments", json={"text": "internal, @ada"}))["id"]
    assert len(ada.get("/api/v1/mentions").json()["mentions"]) == 1
    assert client.delete("/api/v1/p/default/members/ada").status_code == 204
    assert ada.get("/api/v1/mentions").json() == {"mentions": [], "unseen": 0, "before": None}
    assert "internal" not in ada.get("/mentions").text
    assert ada.get(f"/p/default/comments/{said}").status_code == 404


def test_a_comment_cannot_carry_a_script_or_a_form_into_the_page(installation):
    client = installation.client
    run = done(client.post("/api/v1/p/default/runs", json={}))["id"]
    text = "<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![i](http://evil.example/p.png) <img src=x onerror=alert(1)>"
    done(client.post(f"/api/v1/p/default/runs/{run}/comments", json={"text": f"{text}\n\n<form action=//evil.example>"}))
    shown = (
        client.get(f"/p/default/runs/{run}")
        .text.partition('<article id="comment-')[2]
        .partition("</article>")[0]
        .partition("prose")[2]
    )
    assert "alert(1)" in shown
    for bad in ("<script", 'href="javascript:', "<img", "<form", "src="):
        assert bad not in shown.replace("&lt;img src=x", "")
