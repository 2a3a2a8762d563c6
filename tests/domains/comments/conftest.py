from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

API = "/api/v1/p/default"


@pytest.fixture
def run_id(installation) -> str:
    return str(installation.client.post(f"{API}/runs", json={"name": "winter"}).json()["id"])


@pytest.fixture
def say(run_id) -> Callable[..., dict[str, object]]:
    """Comments on the run as somebody and returns what was made."""

    def say_it(client: httpx.Client, text: str, run: str = run_id) -> dict[str, object]:
        answer = client.post(f"{API}/runs/{run}/comments", json={"text": text})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return say_it
