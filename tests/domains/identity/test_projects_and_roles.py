"""Projects, members and users through the API, as different people."""

from __future__ import annotations


def message(answer) -> str:
    return answer.json()["error"]["message"]


def test_the_first_start_makes_an_owner_and_a_project(app_client):
    me = app_client.get("/api/v1/whoami").json()
    assert me["org_role"] == "admin"
    assert me["default_project"] == "default"
    assert [(project["name"], project["role"]) for project in me["projects"]] == [("default", "owner")]


def test_whoever_creates_a_project_owns_it(app_client):
    assert app_client.post("/api/v1/projects", json={"name": "churn"}).json()["role"] == "owner"
    assert [member["role"] for member in app_client.get("/api/v1/p/churn/members").json()] == ["owner"]


def test_a_name_that_is_taken_is_refused(app_client):
    answer = app_client.post("/api/v1/projects", json={"name": "default"})
    assert answer.status_code == 409
    assert "exists already" in message(answer)


def test_path_like_and_odd_names_are_refused(app_client):
    for name in ("..", "a/b", "a..b", "Überall", "", "x" * 64, "-a", "a\\b", "a b"):
        answer = app_client.post("/api/v1/projects", json={"name": name})
        assert answer.status_code == 400, name


def test_an_unknown_field_is_named(app_client):
    answer = app_client.post("/api/v1/projects", json={"name": "a", "colour": "red"})
    assert answer.status_code == 400
    assert "colour" in message(answer)


def test_an_archived_project_keeps_its_name_and_can_be_taken_back(app_client):
    app_client.post("/api/v1/projects", json={"name": "churn"})
    assert app_client.delete("/api/v1/projects/churn").status_code == 204
    assert app_client.get("/api/v1/projects/churn").json()["archived"] is True
    assert app_client.post("/api/v1/projects", json={"name": "churn"}).status_code == 409
    assert app_client.patch("/api/v1/projects/churn", json={"archived": False}).json()["archived"] is False


def test_an_outsider_cannot_tell_a_foreign_project_from_none(installation):
    installation.client.post("/api/v1/projects", json={"name": "secret"})
    outsider = installation.as_(installation.member("eve", role=""))
    foreign, missing = outsider.get("/api/v1/projects/secret"), outsider.get("/api/v1/projects/nothing")
    assert foreign.status_code == missing.status_code == 404
    assert message(foreign).replace("secret", "") == message(missing).replace("nothing", "")


def test_nobody_gives_a_role_above_his_own(installation):
    installation.member("max", "owner")
    token = installation.member("mia", "maintainer")
    assert installation.as_(token).put("/api/v1/p/default/members/mia", json={"role": "owner"}).status_code == 403


def test_an_attempt_to_hand_on_more_than_one_holds_is_in_the_audit_trail(installation):
    client = installation.as_(installation.token(scopes=["read", "manage"], project="default"))
    refused = client.post("/api/v1/tokens", json={"name": "x", "scopes": ["write"], "project": "default"})
    assert refused.status_code == 403
    events = installation.client.get("/api/v1/audit", params={"words": "refused"}).json()["events"]
    assert [(event["action"], event["thing"]) for event in events] == [("token.create", "/api/v1/tokens")]


def test_the_last_owner_stays(installation):
    me = installation.client.get("/api/v1/whoami").json()["name"]
    answer = installation.client.delete(f"/api/v1/p/default/members/{me}")
    assert answer.status_code == 409
    assert "only owner" in message(answer)
    assert installation.client.put(f"/api/v1/p/default/members/{me}", json={"role": "viewer"}).status_code == 409


def test_the_last_admin_stays(installation):
    me = installation.client.get("/api/v1/whoami").json()["name"]
    assert installation.client.patch(f"/api/v1/users/{me}", json={"active": False}).status_code == 409
    assert installation.client.patch(f"/api/v1/users/{me}", json={"org_role": "member"}).status_code == 409


def test_a_role_taken_away_ends_the_access_at_once(installation):
    client = installation.as_(installation.member("dan", "developer"))
    assert client.get("/api/v1/projects/default").status_code == 200
    assert installation.client.delete("/api/v1/p/default/members/dan").status_code == 204
    assert client.get("/api/v1/projects/default").status_code == 404


def test_a_deactivated_user_is_out(installation):
    client = installation.as_(installation.member("dan", "developer"))
    assert client.get("/api/v1/whoami").status_code == 200
    installation.client.patch("/api/v1/users/dan", json={"active": False})
    assert client.get("/api/v1/whoami").status_code == 401
    refused = installation.client.post("/api/v1/tokens", json={"name": "another", "principal": "dan"})
    assert (refused.status_code, "tilth user update dan --activate" in refused.json()["error"]["message"]) == (409, True)


def test_every_change_is_in_the_audit_trail_and_no_failed_one(installation):
    installation.client.post("/api/v1/projects", json={"name": "churn"})
    installation.client.post("/api/v1/projects", json={"name": "churn"})
    events = installation.client.get("/api/v1/p/churn/audit").json()["events"]
    assert [event["action"] for event in events] == ["project.created"]
    assert events[0]["thing"] == "churn"


def test_a_refusal_is_in_the_audit_trail(installation):
    viewer = installation.as_(installation.member("vic", "viewer"))
    assert viewer.put("/api/v1/p/default/members/vic", json={"role": "owner"}).status_code == 403
    events = installation.client.get("/api/v1/p/default/audit", params={"words": "refused"}).json()["events"]
    assert [(event["actor"], event["action"]) for event in events] == [("vic", "member.manage")]


def test_who_knocks_at_a_project_of_others_is_in_its_audit_trail(installation):
    installation.client.post("/api/v1/projects", json={"name": "churn"})
    stranger = installation.as_(installation.member("sam", "owner"))
    assert stranger.get("/api/v1/p/churn/runs").status_code == 404
    for _ in range(500):  # The stranger was not made to wait for the row.
        found = installation.client.get("/api/v1/p/churn/audit", params={"words": "refused"}).json()["events"]
        if found:
            break
    assert [(event["actor"], event["action"]) for event in found] == [("sam", "run.read")]
