"""`tilth user` and `tilth project member` against a whole Tilth."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

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
    assert (made.code, made.out) == (0, "created user grace\n")
    assert "tilth project member set grace ROLE" in made.err
    assert "tilth token create TOKEN_NAME --for grace" in made.err
    robot = json.loads(tilth("user", "create", "robot", "--kind", "service", "--json"))
    assert users(tilth)["robot"] == robot
    assert (robot["kind"], robot["org_role"], robot["active"]) == ("service", "member", True)
    assert users(tilth)["grace"]["org_role"] == "auditor"
    head, *lines = tilth("user", "list").splitlines()
    assert head.split() == ["name", "kind", "org", "role", "active", "created"]
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
        ("user create x --kind robot", 2, "'user', 'service'"),
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
