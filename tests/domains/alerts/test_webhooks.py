"""Webhooks against a receiver on this machine's loopback: signatures, repetition, refusals."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_args

import pytest

from tilth.app.wiring import Told
from tilth.backends.notify import AddressRefused, NotDelivered, Receivers
from tilth.backends.sealing import SecretUnreadable, open_sealer
from tilth.core.clock import DAY
from tilth.domains.alerts import actions, queries
from tilth.domains.alerts.rules import messages

HOOKS = "/api/v1/p/default/webhooks"


class Receiver:
    """Keeps what it gets and answers with `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def here(install: Callable[..., Any]) -> Any:
    return install(webhook_networks=("127.0.0.1",))


def make(here: Any, receiver: Receiver, *events: str, name: str = "ci") -> str:
    answer = here.client.post(HOOKS, json={"name": name, "url": receiver.url, "events": list(events or ["*"])})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def deliver(here: Any) -> None:
    """What the control process does in the background."""
    while here.system.dispatcher.deliver_due():
        pass
    asyncio.run(here.system.webhooks.send_due())


def deliveries(here: Any, name: str = "ci") -> list[dict[str, Any]]:
    return list(here.client.get(f"{HOOKS}/{name}/deliveries").json()["deliveries"])


def run_that_ends(here: Any, status: str = "finished") -> str:
    run = here.client.post("/api/v1/p/default/runs", json={"name": "r"}).json()["id"]
    assert here.client.patch(f"/api/v1/p/default/runs/{run}", json={"status": status}).status_code == 200
    return str(run)


def by_hand(secret: str, headers: dict[str, str], body: bytes) -> str:
    """The signature as Standard Webhooks describes it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_a_receiver_gets_a_signed_message_about_a_run_that_ended(here, receiver):
    secret = make(here, receiver, "run.ended")
    run = run_that_ends(here)
    deliver(here)
    [(headers, body)] = receiver.got
    told = json.loads(body)
    assert (told["type"], told["data"]["run_id"], told["data"]["status"]) == ("run.ended", run, "finished")
    assert headers["webhook-signature"] == by_hand(secret, headers, body)
    assert deliveries(here)[0]["state"] == "delivered"


def test_only_what_was_asked_for_is_sent(here, receiver):
    make(here, receiver, "run.failed")
    run_that_ends(here, "finished")
    failed = run_that_ends(here, "failed")
    deliver(here)
    [(_, body)] = receiver.got
    assert (json.loads(body)["type"], json.loads(body)["data"]["run_id"]) == ("run.failed", failed)


def test_an_event_told_twice_is_sent_once(here, receiver):
    make(here, receiver)
    project = here.client.get("/api/v1/projects/default").json()["id"]
    for _ in range(2):
        here.system.database.write_blocking(lambda tx: actions.tell(tx, project, "run.ended", "the-same", {"status": "finished"}))
    deliver(here)
    assert len(receiver.got) == 1


def test_a_message_is_tried_again_after_the_receiver_failed(here, receiver):
    make(here, receiver)
    receiver.status = 500
    run_that_ends(here)
    deliver(here)
    [waiting] = deliveries(here)
    assert (waiting["state"], waiting["attempts"], waiting["response_status"]) == ("waiting", 1, 500)
    receiver.status = 200
    assert here.client.post(f"{HOOKS}/ci/deliveries/{waiting['id']}/retry").status_code == 202
    deliver(here)
    assert deliveries(here)[0]["state"] == "delivered"
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def test_pauses_grow_and_end():
    pauses = [messages.next_attempt(attempts, 0) for attempts in range(1, len(messages.PAUSES) + 1)]
    assert pauses == sorted(pauses)
    assert sum(pauses) > DAY
    assert messages.next_attempt(len(messages.PAUSES) + 1, 0) is None


def test_a_redirect_is_not_followed(here, receiver):
    make(here, receiver)
    receiver.status = 307
    run_that_ends(here)
    deliver(here)
    assert len(receiver.got) == 1
    assert deliveries(here)[0]["response_status"] == 307


def test_a_receiver_that_is_gone_gets_nothing_more(here, receiver):
    make(here, receiver)
    receiver.status = 410
    run_that_ends(here)
    deliver(here)
    [hook] = here.client.get(HOOKS).json()["webhooks"]
    assert (hook["active"], "410" in hook["problem"]) == (False, True)
    run_that_ends(here)
    deliver(here)
    assert len(receiver.got) == 1


def test_both_secrets_sign_while_a_receiver_changes_over(here, receiver):
    old = make(here, receiver)
    new = here.client.post(f"{HOOKS}/ci/secret").json()["secret"]
    here.client.post(f"{HOOKS}/ci/test")
    deliver(here)
    [(headers, body)] = receiver.got
    assert headers["webhook-signature"].split() == [by_hand(new, headers, body), by_hand(old, headers, body)]


def test_a_secret_is_shown_once_and_not_kept_in_the_clear(here, receiver):
    secret = make(here, receiver)
    assert secret not in here.client.get(HOOKS).text
    here.system.database.close()
    assert secret.encode() not in (here.home / "tilth.db").read_bytes()


def test_a_webhook_that_is_switched_off_hears_nothing_and_one_that_is_deleted_leaves_nothing(here, receiver):
    make(here, receiver)
    assert here.client.patch(f"{HOOKS}/ci", json={"active": False}).json()["active"] is False
    run_that_ends(here)
    deliver(here)
    assert here.client.delete(f"{HOOKS}/ci").status_code == 204
    assert (receiver.got, here.client.get(HOOKS).json()["webhooks"]) == ([], [])


def test_old_messages_are_forgotten_and_waiting_ones_are_not(here, receiver):
    make(here, receiver)
    run_that_ends(here)
    deliver(here)
    receiver.status = 500
    run_that_ends(here)
    deliver(here)
    dropped = here.system.database.write_blocking(lambda tx: queries.drop_ended_across_projects(tx, 1 << 60))
    assert (dropped, [one["state"] for one in deliveries(here)]) == (1, ["waiting"])


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"events": ["run.end"]}, 400, "did you mean 'run.ended'"),
        ({"events": []}, 400, "at least one event"),
        ({"name": "../x"}, 400, "not allowed"),
        ({"url": "file:///etc/passwd"}, 400, "https://"),
        ({"url": "https://user:secret@example.org/"}, 400, "out of the URL"),
        ({"url": "http://10.0.0.1/"}, 400, "webhook_networks"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, 400, "webhook_networks"),
        ({"url": "http://[64:ff9b::a00:1]/"}, 400, "webhook_networks"),
        ({"url": "http://[::a00:1]/"}, 400, "webhook_networks"),
        ({"url": "http://[::ffff:0:10.0.0.1]/"}, 400, "webhook_networks"),
        ({"url": "http://[fec0::1]/"}, 400, "webhook_networks"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, 400, "webhook_networks"),
        ({"url": "http://[::1]:80/"}, 400, "webhook_networks"),
        ({"url": "https://exa mple.org/"}, 400, "spaces"),
        ({"url": "https://example.org:99999/"}, 400, "not a URL"),
    ],
)
def test_a_wrong_webhook_is_refused_with_a_reason(here, fields, status, says):
    answer = here.client.post(HOOKS, json={"name": "ci", "url": "https://example.org/", "events": ["*"], **fields})
    assert (answer.status_code, says in answer.json()["error"]["message"]) == (status, True), answer.text


def test_a_name_is_given_once_and_a_project_has_no_more_than_twenty(here, receiver):
    make(here, receiver)
    again = here.client.post(HOOKS, json={"name": "ci", "url": receiver.url, "events": ["*"]})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "webhook_exists")
    for number in range(19):
        make(here, receiver, name=f"hook{number}")
    more = here.client.post(HOOKS, json={"name": "more", "url": receiver.url, "events": ["*"]})
    assert (more.status_code, more.json()["error"]["code"]) == (409, "too_many_webhooks")


def test_a_name_that_leads_into_this_network_is_refused_when_it_is_sent_to():
    async def scene() -> None:
        with pytest.raises(AddressRefused, match="private network"):
            await Receivers().post("http://localhost:9/", b"{}", {})
        with pytest.raises(NotDelivered):
            await Receivers(["127.0.0.0/8"]).post("http://127.0.0.1:1/", b"{}", {})

    asyncio.run(scene())


def test_a_sealed_secret_opens_only_for_what_it_was_sealed_for(tmp_path):
    sealer = open_sealer(tmp_path)
    sealed = sealer.seal("rain", "webhook a")
    assert open_sealer(tmp_path).open(sealed, "webhook a") == "rain"
    assert (tmp_path / "keys" / "secrets.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SecretUnreadable, match="webhook b"):
        sealer.open(sealed, "webhook b")
    with pytest.raises(SecretUnreadable):
        sealer.open("not sealed", "webhook a")


def test_every_event_of_the_list_is_told_by_somebody():
    told = {
        name
        for kind in get_args(Told)
        for status in ("finished", "failed")
        for name in messages.told_as(kind.name, {"status": status})
    }
    assert told == set(messages.EVENTS)
