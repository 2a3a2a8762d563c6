"""Every route x role x scope x project against a table written by hand. A new route fails here until a person has placed it."""

from __future__ import annotations

import re

import pytest
from access_table import ORGANISATION, ROLES, rows

from tilth.guard import NEEDS, Permission, guarded_routes

NOBODY, NOT_MEMBER, REFUSED, ADMITTED = "401", "404", "403", "admitted"
PEOPLE = ("nobody", "outsider", "viewer", "developer", "maintainer", "owner", "auditor", "admin")


def address(path: str, project: str) -> str:
    """The path with a value in each place; places but the project name things that do not exist."""
    path = re.sub(r"\{\w+:int\}", "7", path.replace("{project:str}", project))
    return re.sub(r"\{\w+:(str|path)\}", "zz", path)


def expected(person: str, least: str, *, in_project: bool) -> str:
    if least == "public":
        return ADMITTED
    if person == "nobody":
        return NOBODY
    if in_project:
        if person not in ROLES:
            return NOT_MEMBER
        if least in ORGANISATION:
            return REFUSED  # No member of the project in this test holds a role of the organisation.
        return ADMITTED if least == "signed_in" or ROLES.index(person) >= ROLES.index(least) else REFUSED
    if least in ORGANISATION:
        held = person if person in ORGANISATION else "member"
        return ADMITTED if ORGANISATION.index(held) >= ORGANISATION.index(least) else REFUSED
    return REFUSED if least == "plane" else ADMITTED


def seen(answer) -> str:
    """What the guard did; what the handler did with a thing that does not exist counts as admitted."""
    if answer.request.url.path.startswith("/login/"):
        return ADMITTED  # The route that takes one-time links refused the link, not the caller.
    if answer.status_code in (401, 403):
        return str(answer.status_code)
    if answer.status_code == 404 and "that you belong to" in answer.text:
        return NOT_MEMBER
    assert answer.status_code < 500, answer.text[:500]
    return ADMITTED


@pytest.fixture
def people(installation) -> dict[str, object]:
    clients: dict[str, object] = {"nobody": installation.as_(None)}
    clients["outsider"] = installation.as_(installation.member("outsider", role=""))
    for role in ROLES:
        clients[role] = installation.as_(installation.member(role, role))
    for role in ("auditor", "admin"):
        token = installation.member(role, role="")
        assert installation.client.patch(f"/api/v1/users/{role}", json={"org_role": role}).status_code == 200
        clients[role] = installation.as_(token)
    return clients


def test_the_table_names_exactly_the_routes_of_the_app(installation):
    from tilth.app.control import create_routes

    routes = {(method, path) for path, method, _ in guarded_routes(create_routes(installation.system)) if method != "OPTIONS"}
    written = {(method, path) for method, path, _, _ in rows()}
    assert sorted(routes - written) == []
    assert sorted(written - routes) == []


def test_every_permission_is_used_by_a_route_or_by_the_model_servers(installation):
    from tilth.app.control import create_routes

    used = {permission for _, _, permission in guarded_routes(create_routes(installation.system))}
    assert sorted(set(Permission) - used - {Permission.PREDICT}) == []
    assert set(NEEDS) == set(Permission)


def test_every_person_is_admitted_or_refused_as_the_table_says(people):
    wrong = []
    for method, path, least, _ in rows():
        for person in PEOPLE:
            answer = people[person].request(method, address(path, "default"), follow_redirects=False)
            wanted = expected(person, least, in_project="{project" in path or (least in ROLES and "/mlflow" in path))
            if (got := seen(answer)) != wanted:
                wrong.append(f"{person} {method} {path}: {got}, not {wanted}")
    assert wrong == []


def test_no_role_reaches_into_a_project_of_others(installation, people):
    assert installation.client.post("/api/v1/projects", json={"name": "foreign"}).status_code == 201
    wrong = []
    for method, path, least, _ in rows():
        if "{project" not in path or least == "public":
            continue
        for person in PEOPLE[1:]:
            answer = people[person].request(method, address(path, "foreign"), follow_redirects=False)
            if (got := seen(answer)) != NOT_MEMBER:
                wrong.append(f"{person} {method} {path}: {got}")
    assert wrong == []


@pytest.mark.parametrize("held", ["read", "write", "predict", "manage"])
def test_a_token_does_only_what_its_scope_says(installation, held):
    client = installation.as_(installation.token(scopes=[held]))
    wrong = []
    for method, path, least, scope in rows():
        if least == "public":
            continue
        answer = client.request(method, address(path, "default"), follow_redirects=False)
        # A browser session has every scope, so a token that has only one cannot make the link that starts it.
        wanted = ADMITTED if scope == held and path != "/api/v1/login-links" else REFUSED
        if (got := seen(answer)) != wanted:
            wrong.append(f"{method} {path}: {got}, not {wanted}")
    assert wrong == []
