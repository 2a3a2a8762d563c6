"""Getting more out of a credential than it was made for: scopes, projects, roles, sessions, links, and time."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from attack_steps import Place, done

from tilth.core.ids import new_id


@pytest.fixture(scope="module")
def installation(tilth_server) -> Iterator[Place]:
    place = Place(tilth_server)
    yield place
    place.close()


def browser_of(installation, link: str) -> httpx.Client:
    browser = installation.as_(None)
    assert browser.get(link).status_code == 303
    return browser


def test_a_token_with_less_than_every_right_starts_no_session(installation):
    weak = [
        installation.token(scopes=["manage"]),
        installation.token(scopes=["read", "write", "manage"]),
        installation.token(scopes=["read", "write", "predict", "manage"], project="default"),
    ]
    for secret in weak:
        assert installation.as_(secret).post("/api/v1/login-links").status_code == 403
    link = done(installation.client.post("/api/v1/login-links"))
    assert browser_of(installation, link["url"]).get("/api/v1/whoami").status_code == 200


def test_a_link_that_many_use_at_once_signs_one_of_them_in(installation):
    link = done(installation.client.post("/api/v1/login-links"))["url"]
    browsers = [installation.as_(None) for _ in range(8)]
    seen: list[int] = []
    threads = [threading.Thread(target=lambda b=b: seen.append(b.get(link).status_code)) for b in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [303] + [401] * 7


def test_signing_in_makes_a_new_session_whatever_cookie_was_planted(installation):
    planted = "A" * 43
    link = done(installation.client.post("/api/v1/login-links"))["url"]
    answer = installation.as_(None).get(link, headers={"cookie": f"tilth_session={planted}"})
    assert answer.status_code == 303
    assert planted not in answer.headers["set-cookie"]
    fixed = installation.as_(None)
    assert fixed.get("/api/v1/whoami", headers={"cookie": f"tilth_session={planted}"}).status_code == 401


def test_a_run_token_is_bound_to_a_project_manages_nothing_and_leaves_a_trace(installation):
    run = done(installation.client.post("/api/v1/p/default/runs", json={}))["id"]
    wanted = {"name": "for a run", "scopes": ["read", "write"], "project": "default", "run_id": run}
    for worse in ({"project": None}, {"scopes": ["read", "manage"]}, {"run_id": "../x"}, {"run_id": "a" * 100_000}):
        assert installation.client.post("/api/v1/tokens", json={**wanted, **worse}).status_code in (400, 403), worse
    made = done(installation.client.post("/api/v1/tokens", json=wanted))["token"]
    assert made["expires"] - made["created"] <= 7 * 86_400_000
    events = done(installation.client.get("/api/v1/audit"))["events"]
    assert made["id"] in [event["thing"] for event in events if event["action"] == "token.created"]


def test_a_project_token_of_an_admin_has_no_power_over_others(installation):
    owner_of_all = installation.member("olga", "owner")
    victim = done(installation.as_(owner_of_all).post("/api/v1/tokens", json={"name": "hers", "scopes": ["read"]}))["token"]
    bound = installation.as_(installation.token(scopes=["read", "write", "manage"], project="default"))
    stolen = {"name": "stolen", "scopes": ["read"], "project": "default", "principal": "olga"}
    assert bound.post("/api/v1/tokens", json=stolen).status_code == 403
    assert bound.delete(f"/api/v1/tokens/{victim['id']}").status_code == 404
    assert bound.post("/api/v1/projects", json={"name": "more"}).status_code == 403
    assert bound.get("/api/v1/users").status_code == 403
    assert installation.client.delete(f"/api/v1/tokens/{victim['id']}").status_code == 200


def test_a_project_token_ends_no_token_of_its_user_outside_the_project(installation):
    wide = done(installation.client.post("/api/v1/tokens", json={"name": "wide", "scopes": ["read"]}))["token"]
    bound = installation.as_(installation.token(scopes=["manage", "read"], project="default"))
    near = done(bound.post("/api/v1/tokens", json={"name": "near", "scopes": ["read"], "project": "default"}))["token"]
    assert bound.delete(f"/api/v1/tokens/{wide['id']}").status_code == 404
    assert bound.delete(f"/api/v1/tokens/{near['id']}").status_code == 200


def test_nobody_hands_on_a_role_or_a_scope_that_he_lacks(installation):
    owner = installation.as_(installation.member("otto", "owner", scopes=("read", "manage")))
    installation.member("dora", "")
    developer = installation.as_(installation.member("dino", "developer"))
    assert developer.put("/api/v1/p/default/members/dino", json={"role": "owner"}).status_code == 403
    assert owner.post("/api/v1/tokens", json={"name": "x", "scopes": ["write"]}).status_code == 403
    assert owner.post("/api/v1/tokens", json={"name": "x", "scopes": ["plane"]}).status_code == 400
    assert owner.patch("/api/v1/users/otto", json={"org_role": "admin"}).status_code == 403
    assert owner.put("/api/v1/p/default/members/dora", json={"role": "maintainer"}).status_code == 200


def test_a_role_taken_away_counts_in_the_next_write(installation):
    dev = installation.as_(installation.member("dev", "developer"))
    assert dev.post("/api/v1/p/default/runs", json={}).status_code == 201
    done(installation.client.put("/api/v1/p/default/members/dev", json={"role": "viewer"}))
    assert dev.post("/api/v1/p/default/runs", json={}).status_code == 403
    assert dev.get("/api/v1/p/default/runs").status_code == 200
    assert installation.client.delete("/api/v1/p/default/members/dev").status_code == 204
    assert dev.get("/api/v1/p/default/runs").status_code == 404


def test_writes_in_flight_stop_within_five_seconds_of_a_revocation(installation):
    made = done(installation.client.post("/api/v1/tokens", json={"name": "busy", "scopes": ["read", "write"]}))
    run = done(installation.client.post("/api/v1/p/default/runs", json={}))["id"]
    ended = threading.Event()
    last_good = [0.0]

    def write_on() -> None:
        busy = installation.as_(made["secret"])
        while not ended.is_set():
            if busy.post(f"/api/v1/p/default/runs/{run}/heartbeat").status_code != 204:
                return
            last_good[0] = time.monotonic()

    writers = [threading.Thread(target=write_on) for _ in range(3)]
    for writer in writers:
        writer.start()
    done(installation.client.delete(f"/api/v1/tokens/{made['token']['id']}"))
    revoked = time.monotonic()
    for writer in writers:
        writer.join(5)
    alive = [writer for writer in writers if writer.is_alive()]
    ended.set()
    assert alive == []
    assert last_good[0] - revoked < 5
    assert installation.client.post(f"/api/v1/p/default/runs/{run}/heartbeat").status_code == 204


def test_a_deactivated_user_is_out_with_tokens_and_session(installation):
    secret = installation.member("gone", "owner")
    link = done(installation.as_(secret).post("/api/v1/login-links"))["url"]
    browser = browser_of(installation, link)
    assert browser.get("/api/v1/whoami").status_code == 200
    done(installation.client.patch("/api/v1/users/gone", json={"active": False}))
    assert browser.get("/api/v1/whoami").status_code == 401
    assert installation.as_(secret).get("/api/v1/whoami").status_code == 401


FOREIGN_PAGE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
]


@pytest.mark.parametrize("headers", FOREIGN_PAGE)
def test_a_foreign_page_changes_nothing_with_credentials_that_the_browser_keeps_for_an_address(installation, headers):
    basic = httpx.BasicAuth("anybody", installation.owner_token)
    client = installation.as_(None)
    for path in ("/api/v1/projects", "/settings/projects", "/logout"):
        answer = client.post(path, json={"name": "planted"}, auth=basic, headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["error"]["code"] == "cross_site_request"
    assert client.post("/api/v1/projects", json={"name": f"meant-{new_id()}"}, auth=basic).status_code == 201


def test_under_tls_a_session_under_the_plain_cookie_name_counts_for_nothing():
    from litestar.connection import ASGIConnection

    from tilth.guard.requests import credentials_of

    def session(scheme: str, cookie: bytes) -> str | None:
        scope = {"type": "http", "scheme": scheme, "headers": [(b"cookie", cookie)], "client": None, "state": {}}
        return credentials_of(ASGIConnection(scope)).session  # type: ignore[arg-type]

    assert session("https", b"tilth_session=planted") is None
    assert session("https", b"tilth_session=planted; __Host-tilth_session=own") == "own"
    assert session("http", b"tilth_session=own") == "own"


def test_a_thousand_wrong_tokens_and_names_leave_nothing_behind(install):
    inside = install()
    gate, client = inside.system.gate, inside.client
    for number in range(300):
        wrong = {"authorization": f"Bearer tilth_{number:08d}_{'A' * 43}"}
        assert client.get("/api/v1/whoami", headers=wrong).status_code == 401
        assert client.get(f"/api/v1/p/{'UPPER' * 200}{number}/runs").status_code == 404
    remembered = str(gate._principals) + str(gate._projects)
    assert "UPPER" not in remembered
    assert len(gate._principals) == 1
    assert client.get("/api/v1/whoami").status_code == 200


def process_tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def test_no_secret_stands_in_logs_command_lines_environments_or_files_for_others(tilth_server):
    client = tilth_server.client()
    made = done(client.post("/api/v1/tokens", json={"name": "seen", "scopes": ["read"]}))["secret"]
    link = done(client.post("/api/v1/login-links"))["url"].rpartition("/")[2]
    for secret in (made, made[:-1] + "x"):
        httpx.get(tilth_server.url + "/api/v1/whoami", headers={"authorization": f"Bearer {secret}"})
    httpx.get(f"{tilth_server.url}/login/{link}")
    secrets = [tilth_server.token, made, link, (tilth_server.home / "plane" / "token").read_text().strip()]
    processes = process_tree(tilth_server.process.pid)
    assert len(processes) > 2
    shown = b"".join(
        path.read_bytes() for pid in processes for path in (Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/environ"))
    )
    shown += b"".join(path.read_bytes() for path in (tilth_server.home / "logs").iterdir())
    for secret in secrets:
        assert secret.encode() not in shown
    for path in [tilth_server.home, *tilth_server.home.rglob("*")]:
        if path.is_file() or path.parent == tilth_server.home.parent:
            assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path
    assert client.get("/api/v1/whoami").status_code == 200
    client.close()
