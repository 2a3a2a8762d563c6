"""What people say about runs, models and versions, through the API as different people."""

from __future__ import annotations

import pytest
from tests.attack.attack_steps import make_things

from tilth.core.clock import Millis
from tilth.domains.comments import queries
from tilth.domains.comments.rules import names_mentioned

API = "/api/v1/p/default"


def message(answer) -> str:
    return answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@ada and @bob, @ada again", ["ada", "bob"]),
        ("(@ada) @bob. @c-d_e.f!", ["ada", "bob", "c-d_e.f"]),
        ("mail ada@example.org, path /@ada, @@ada, x@y", []),
        ("`@ada` and\n```\n@bob\n```\nthen @eve", ["eve"]),
        ("```\n@ada, and never closed", []),
        ("@Ada @ADA @über", []),
        ("@" + "a" * 64, ["a" * 63]),
        (" ".join(f"@n{number}" for number in range(30)), [f"n{number}" for number in range(20)]),
    ],
)
def test_names_behind_an_at_sign_are_found_outside_of_code(text, names):
    assert names_mentioned(text) == names


def test_a_comment_is_added_listed_edited_and_deleted_by_its_author(installation, run_id, say):
    ada = installation.as_(installation.member("ada", "viewer"))
    first, second = say(ada, "  **Better** on winter days  "), say(installation.client, "Thank you")
    assert (first["text"], first["author"], first["thing_label"]) == ("**Better** on winter days", "ada", "winter")
    page = ada.get(f"{API}/runs/{run_id}/comments").json()
    assert ([one["id"] for one in page["comments"]], page["total"], page["before"]) == ([first["id"], second["id"]], 2, None)
    edited = ada.patch(f"{API}/comments/{first['id']}", json={"text": "Worse"}).json()
    assert (edited["text"], edited["edited"] >= first["created"]) == ("Worse", True)
    assert ada.delete(f"{API}/comments/{first['id']}").status_code == 204
    assert [one["id"] for one in ada.get(f"{API}/runs/{run_id}/comments").json()["comments"]] == [second["id"]]
    assert ada.delete(f"{API}/comments/{first['id']}").status_code == 404


def test_others_edit_nothing_and_only_maintainers_delete(installation, say):
    ada, dan = (installation.as_(installation.member(name, role)) for name, role in (("ada", "viewer"), ("dan", "developer")))
    said = say(ada, "mine")
    for client in (dan, installation.client):
        refused = client.patch(f"{API}/comments/{said['id']}", json={"text": "not mine"})
        assert (refused.status_code, "only its author edits" in message(refused)) == (403, True)
    assert dan.delete(f"{API}/comments/{said['id']}").status_code == 403
    maintainer = installation.as_(installation.member("max", "maintainer"))
    assert maintainer.delete(f"{API}/comments/{said['id']}").status_code == 204


@pytest.mark.parametrize("text", ["", "   \n", "x" * 20_001])
def test_a_comment_has_between_one_and_twenty_thousand_characters(installation, run_id, text):
    answer = installation.client.post(f"{API}/runs/{run_id}/comments", json={"text": text})
    assert (answer.status_code, "comment" in message(answer)) == (400, True)


def test_a_comment_with_a_nul_is_refused_and_any_other_text_kept(installation, run_id, say):
    assert installation.client.post(f"{API}/runs/{run_id}/comments", json={"text": "a\0b"}).status_code == 400
    for text in ("🌾 ÅÄÖ \u202e", "'; DROP TABLE comment; --", "{{ 7 * 7 }}", "<b>bold</b>"):
        assert say(installation.client, text)["text"] == text


def test_things_that_are_not_there_take_no_comments(installation):
    client = installation.client
    client.post("/api/v1/projects", json={"name": "other"})
    elsewhere = client.post("/api/v1/p/other/runs", json={}).json()["id"]
    for path in ("runs/nothing", f"runs/{elsewhere}", "models/nothing", "models/nothing/versions/1"):
        assert client.post(f"{API}/{path}/comments", json={"text": "x"}).status_code == 404, path
        assert client.get(f"{API}/{path}/comments").status_code == 404, path


def test_models_and_versions_have_comments_of_their_own(installation):
    client, things = installation.client, make_things(installation.client, "default")
    for path in (f"models/{things.model}", f"models/{things.model}/versions/1", f"runs/{things.run}"):
        assert client.post(f"{API}/{path}/comments", json={"text": f"about {path}"}).status_code == 201
    for path in (f"models/{things.model}", f"models/{things.model}/versions/1", f"runs/{things.run}"):
        (said,) = client.get(f"{API}/{path}/comments").json()["comments"]
        assert said["text"] == f"about {path}"
        where = client.get(f"/p/default/comments/{said['id']}", follow_redirects=False)
        assert where.headers["location"] == f"/p/default/{path}#comment-{said['id']}"
        page = client.get(f"/p/default/{path}").text
        assert f'id="comment-{said["id"]}"' in page
        assert f'action="/p/default/{path}/comments"' in page


def test_older_comments_come_page_by_page(installation, run_id, say):
    made = [say(installation.client, f"number {number}")["id"] for number in range(205)]
    newest = installation.client.get(f"{API}/runs/{run_id}/comments").json()
    assert ([one["id"] for one in newest["comments"]], newest["total"]) == (made[5:], 205)
    older = installation.client.get(f"{API}/runs/{run_id}/comments", params={"before": newest["before"]}).json()
    assert [one["id"] for one in older["comments"]] == made[:5]


def test_a_mention_waits_until_it_is_read(installation, say):
    ada = installation.as_(installation.member("ada", "viewer"))
    first, second = say(installation.client, "look, @ada"), say(installation.client, "and here, @ada")
    say(installation.client, "not you")
    inbox = ada.get("/api/v1/mentions").json()
    assert ([one["comment"]["id"] for one in inbox["mentions"]], inbox["unseen"]) == ([second["id"], first["id"]], 2)
    assert inbox["mentions"][0]["project"] == "default"
    assert "2 not read" in ada.get("/p/default").text
    assert ada.post("/api/v1/mentions/seen", json={"comment_id": first["id"]}).json() == {"seen": 1}
    assert ada.get("/api/v1/mentions").json()["unseen"] == 1
    assert ada.post("/api/v1/mentions/seen", json={}).json() == {"seen": 1}
    assert "not read" not in ada.get("/p/default").text
    assert installation.client.get("/api/v1/mentions").json()["mentions"] == []


def test_an_edit_tells_the_newly_named_and_takes_back_the_others(installation, say):
    ada, bob = (installation.as_(installation.member(name, "viewer")) for name in ("ada", "bob"))
    said = say(installation.client, "hello @ada and @bob")
    bob.post("/api/v1/mentions/seen", json={})
    installation.client.patch(f"{API}/comments/{said['id']}", json={"text": "hello @bob"})
    assert ada.get("/api/v1/mentions").json()["mentions"] == []
    assert bob.get("/api/v1/mentions").json()["unseen"] == 0, "he has read it already"
    installation.client.patch(f"{API}/comments/{said['id']}", json={"text": "hello @bob @ada"})
    assert ada.get("/api/v1/mentions").json()["unseen"] == 1


def test_a_deleted_comment_leaves_no_mention_and_its_text_nowhere(installation, say):
    ada = installation.as_(installation.member("ada", "viewer"))
    said = say(installation.client, "the secret recipe, @ada")
    installation.client.delete(f"{API}/comments/{said['id']}")
    assert ada.get("/api/v1/mentions").json() == {"mentions": [], "unseen": 0, "before": None}
    events = installation.client.get(f"{API}/audit", params={"words": "comment"}).json()["events"]
    assert [event["action"] for event in events] == ["comment.deleted", "comment.created"]
    assert "recipe" not in str(events)


def test_comments_go_with_the_things_that_are_deleted_for_good(installation, run_id, say):
    from tilth.domains.comments import actions

    ada = installation.as_(installation.member("ada", "viewer"))
    say(installation.client, "gone soon, @ada")
    other = installation.client.post(f"{API}/runs", json={}).json()["id"]
    say(installation.client, "stays, @ada", other)
    project = installation.client.get("/api/v1/projects/default").json()["id"]
    database = installation.system.database
    assert database.write_blocking(lambda tx: actions.forget_comments(tx, project, "run", [run_id])) == 1
    assert [one["comment"]["text"] for one in ada.get("/api/v1/mentions").json()["mentions"]] == ["stays, @ada"]


def test_both_databases_answer_alike(either_db):
    row = {"thing_kind": "run", "thing_id": "r", "thing_label": "r", "author_id": "a", "author_name": "ada", "edited": None}

    def fill(tx):
        for number in range(5):
            queries.add_comment(tx, {**row, "id": f"c{number}", "project_id": "p", "text": f"t{number}", "created": number})
            queries.add_mentions(tx, "p", f"c{number}", ["bob", "eve"])

    either_db.write_blocking(fill)

    def ask(tx):
        page = queries.page_of(tx, "p", "run", "r", limit=2)
        mine = queries.mentions_across_projects(tx, "bob", ["p"], before="c3")
        return (
            [one.text for one in page.comments],
            page.total,
            page.before,
            [one.comment.id for one in mine],
            queries.count_unseen_across_projects(tx, "bob", ["p"]),
            queries.count_unseen_across_projects(tx, "bob", ["elsewhere"]),
            queries.mentions_across_projects(tx, "bob", ["elsewhere"]),
            queries.comments_of(tx, "elsewhere", "run", "r"),
        )

    assert either_db.read_blocking(ask) == (["t3", "t4"], 5, "c3", ["c2", "c1", "c0"], 5, 0, [], [])

    def change(tx):
        seen = queries.see_mentions_across_projects(tx, "bob", ["p"], Millis(9), "c4")
        queries.change_comment(tx, "p", "c4", "edited", Millis(10))
        queries.drop_mentions(tx, "p", "c3", ["bob"])
        queries.drop_comment(tx, "p", "c2")
        return seen, queries.mentioned_in(tx, "p", "c3")

    assert either_db.write_blocking(change) == (1, {"eve"})
    assert either_db.read_blocking(lambda tx: queries.comment_by_id(tx, "p", "c4").text) == "edited"
    assert either_db.read_blocking(lambda tx: queries.count_unseen_across_projects(tx, "bob", ["p"])) == 2
    assert either_db.write_blocking(lambda tx: queries.drop_comments_of(tx, "p", "run", ["r"])) == 4
