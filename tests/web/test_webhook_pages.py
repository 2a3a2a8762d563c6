"""The pages of webhooks do what the API does."""

from __future__ import annotations

import re

HOOKS = "/p/default/webhooks"
HOOK = {"name": "ci", "url": "https://example.org/tilth", "event": "run.failed"}


def test_a_webhook_is_made_switched_off_and_deleted_on_its_pages(installation):
    client = installation.client
    assert "tilth webhook create" in client.get(HOOKS).text
    made = client.post(HOOKS, data=HOOK)
    assert (made.status_code, bool(re.search(r"whsec_[\w+/=]{40,}", made.text))) == (200, True)
    assert "whsec_" not in client.get(HOOKS).text
    client.post(f"{HOOKS}/ci/change", data={"off": "1"})
    assert "Switch on" in client.get(f"{HOOKS}/ci").text
    client.post(f"{HOOKS}/ci/change", data={"delete": "1"})
    assert client.get(f"{HOOKS}/ci").status_code == 404


def test_a_test_message_stands_among_the_deliveries(installation):
    client = installation.client
    client.post(HOOKS, data=HOOK)
    client.post(f"{HOOKS}/ci/change", data={"test": "1"})
    assert "webhook.test" in client.get(f"{HOOKS}/ci").text
    [delivery] = client.get("/api/v1/p/default/webhooks/ci/deliveries").json()["deliveries"]
    again = client.post(f"{HOOKS}/ci/retry", data={"delivery": delivery["id"]}, follow_redirects=False)
    assert again.status_code == 303


def test_a_developer_does_not_see_webhooks(installation):
    developer = installation.as_(installation.member("dev", "developer"))
    assert developer.get(HOOKS).status_code == 403
