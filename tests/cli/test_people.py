"""`tilth user` and `tilth project member` against a whole Tilth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

import httpx
import pytest
from tests.conftest import Server

from tilth.cli.main import run


class Told(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def tell(tilth_server: Server, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Runs a command as the local owner, who is admin of the organisation."""

    def call(*arguments: str) -> Told:
        capsys.readouterr()
        code = run([*arguments, "--home", str(tilth_server.home)])
        return Told(code, *capsys.readouterr())

    return call


@pytest.fixture
def tilth(tell: Callable[..., Told]) -> Callable[..., str]:
    """As `tell`, for what must succeed. Returns stdout."""

    def call(*arguments: str) -> str:
        told = tell(*arguments)
        assert told.code == 0, told.err
        return told.out

    return call


def users(tilth: Callable[..., str]) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(tilth("users", "list", "--json"))}


def members(tilth: Callable[..., str], project: str) -> dict[str, str]:
    return {row["name"]: row["role"] for row in json.loads(tilth("project", "member", "list", "-p", project, "--json"))}


def test_people_and_service_accounts_are_made_and_listed(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    made = tell("user", "create", "grace", "--org-role", "auditor")
    assert made.code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/login/setup/[\w-]{43}\n", made.out)
    assert "tilth project member set grace ROLE" in made.err
    assert "hand this link over, good once" in made.err
    service = tell("user", "create", "android", "--service")
    assert (service.code, service.out) == (0, "created service account android\n")
    assert "tilth token create TOKEN_NAME --for android" in service.err
    robot = json.loads(tilth("user", "create", "robot", "--service", "--json"))
    assert users(tilth)["robot"] == robot
    assert (robot["kind"], robot["org_role"], robot["active"]) == ("service", "member", True)
    assert users(tilth)["grace"]["org_role"] == "auditor"
    head, *lines = tilth("user", "list").splitlines()
    assert head.split() == ["name", "kind", "org", "role", "active", "has", "password", "created", "last", "seen"]
    assert any(line.split()[:4] == ["grace", "user", "auditor", "yes"] for line in lines)


def test_a_deactivated_account_is_let_in_nowhere_until_it_is_activated(
    tell: Callable[..., Told], tilth: Callable[..., str]
) -> None:
    tilth("user", "create", "alan")
    secret = tilth("token", "create", "first", "--for", "alan").strip()
    assert tilth("project", "list", "--token", secret) == ""
    assert tilth("user", "update", "alan", "--deactivate") == "user alan is deactivated, in the organisation member\n"
    refused = tell("project", "list", "--token", secret)
    assert refused.code == 1
    assert refused.err.startswith("error: ")
    assert users(tilth)["alan"]["active"] is False
    again = json.loads(tilth("user", "update", "alan", "--activate", "--org-role", "auditor", "--json"))
    assert (again["active"], again["org_role"]) == (True, "auditor")
    assert tilth("project", "list", "--token", secret) == ""


def test_members_get_a_role_another_role_and_none(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    tilth("project", "create", "prices")
    tilth("user", "create", "emmy")
    assert tilth("project", "member", "set", "emmy", "viewer", "-p", "prices") == "emmy is viewer of project prices\n"
    assert members(tilth, "prices")["emmy"] == "viewer"
    changed = json.loads(tilth("project", "member", "set", "emmy", "maintainer", "-p", "prices", "--json"))
    assert (changed["name"], changed["kind"], changed["role"]) == ("emmy", "user", "maintainer")
    assert "maintainer" in tilth("project", "member", "list", "-p", "prices")
    removed = json.loads(tilth("project", "member", "remove", "emmy", "-p", "prices", "--json"))
    assert removed == {"removed": "emmy", "project": "prices"}
    assert "emmy" not in members(tilth, "prices")
    assert users(tilth)["emmy"]["active"] is True


def test_the_last_owner_of_a_project_stays(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    tilth("project", "create", "lonely")
    (owner,) = members(tilth, "lonely")
    for change in (["remove", owner], ["set", owner, "viewer"]):
        refused = tell("project", "member", *change, "-p", "lonely")
        assert refused.code == 1
        assert "is the only owner of this project: make somebody else an owner first" in refused.err
    assert members(tilth, "lonely") == {owner: "owner"}


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("user create No-Slug", 1, "user name 'No-Slug' is not allowed"),
        ("user reset nobody", 1, "no user or service account 'nobody'"),
        ("session end", 2, "give the id of one session, or --all"),
        ("session end 123", 1, "no session '123' of yours"),
        ("token list --for nobody", 1, "no user or service account 'nobody'"),
        ("project member may nobody fly", 1, "no permission 'fly'"),
        ("run comment nothing hello", 1, "no run 'nothing' in this project"),
        ("user create x --org-role king", 2, "'member', 'auditor', 'admin'"),
        ("user update nobody --activate", 1, "no user or service account 'nobody'"),
        ("user update nobody", 2, "give --org-role, --activate or --deactivate"),
        ("user update .. --activate", 1, "user name '..' is not allowed"),
        ("project member set nobody viewer", 1, "no user or service account 'nobody'"),
        ("project member set nobody king", 2, "'viewer', 'developer', 'maintainer', 'owner'"),
        ("project member remove nobody", 1, "no user or service account 'nobody'"),
        ("project member remove a/b", 1, "user name 'a/b' is not allowed"),
        ("project member list --project nowhere", 1, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(tell: Callable[..., Told], command: str, code: int, message: str) -> None:
    refused = tell(*command.split())
    assert (refused.code, refused.out) == (code, "")
    assert message in refused.err


def test_a_taken_name_is_refused(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    tilth("user", "create", "twice")
    refused = tell("user", "create", "twice")
    assert (refused.code, refused.err) == (1, "error: 'twice' exists already: choose another name\n")


def test_who_is_no_admin_manages_nobody(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    tilth("user", "create", "plain")
    tilth("project", "member", "set", "plain", "developer", "-p", "default")
    scopes = [option for scope in ("read", "write", "manage") for option in ("--scope", scope)]
    secret = tilth("token", "create", "first", "--for", "plain", *scopes).strip()
    for command in ("user list", "user create sneaky", "user update plain --org-role admin", "project member set plain owner"):
        refused = tell(*command.split(), "--token", secret)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith("error: ")
    assert "sneaky" not in users(tilth)
    assert users(tilth)["plain"]["org_role"] == "member"
    assert members(tilth, "default")["plain"] == "developer"


def test_a_link_is_made_again_and_leads_to_a_password(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    first = tilth("user", "create", "linus").strip()
    made = json.loads(tilth("user", "reset", "linus", "--json"))
    assert made["name"] == "linus"
    with httpx.Client() as browser:
        assert browser.get(first).status_code == 401
        form = {"password": "four words of his own", "again": "four words of his own"}
        own = {"origin": made["setup_link"].partition("/login")[0]}
        assert browser.post(made["setup_link"], data=form, headers=own).status_code == 303
    assert users(tilth)["linus"]["has_password"] is True
    refused = tell("token", "create", "stolen", "--for", "linus")
    assert refused.code == 1
    assert "makes tokens alone" in refused.err


def test_a_service_account_gets_no_link_and_its_tokens_are_listed(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    tilth("user", "create", "nightly", "--service")
    refused = tell("user", "reset", "nightly")
    assert refused.code == 1
    assert "signs in nowhere" in refused.err
    tilth("token", "create", "job", "--for", "nightly", "--scope", "read")
    listed = json.loads(tilth("token", "list", "--for", "nightly", "--json"))
    assert [(token["name"], token["scopes"], token["principal"]) for token in listed] == [("job", ["read"], "nightly")]


def test_the_reason_for_a_right_is_told_and_no_is_exit_code_one(tell: Callable[..., Told], tilth: Callable[..., str]) -> None:
    tilth("user", "create", "wanda")
    tilth("project", "member", "set", "wanda", "developer", "-p", "default")
    yes = tell("project", "member", "may", "wanda", "run.write", "-p", "default")
    assert (yes.code, yes.out.partition(":")[0]) == (0, "yes")
    assert "'wanda' is 'developer' in 'default'; at least 'developer' is needed" in yes.out
    no = tell("project", "member", "may", "wanda", "deployment.change", "-p", "default")
    assert (no.code, no.out.partition(":")[0]) == (1, "no")


def test_a_run_is_commented_on_and_what_was_said_is_shown(tilth_server: Server, tilth: Callable[..., str]) -> None:
    with tilth_server.client() as client:
        run_id = client.post("/api/v1/p/default/runs", json={"name": "spoken-of"}).json()["id"]
    assert tilth("run", "comment", run_id, "first line\nsecond", "-p", "default") == "commented on run spoken-of\n"
    shown = tilth("run", "comments", run_id, "-p", "default").splitlines()
    assert shown[1:] == ["  first line", "  second"]


def test_browsers_are_listed_and_signed_out(tilth_server: Server, tilth: Callable[..., str]) -> None:
    link = tilth("open", "--print").strip()
    with httpx.Client() as browser:
        assert browser.get(link).status_code == 303
        listed = json.loads(tilth("session", "list", "--json"))
        assert listed[0]["address"] == "127.0.0.1"
        assert tilth("session", "end", listed[0]["id"]) == f"signed out of session {listed[0]['id']}\n"
        assert browser.get(f"{tilth_server.url}/api/v1/whoami").status_code == 401
