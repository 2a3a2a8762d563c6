"""Numbers, ids and tokens that nobody would send: refused in words, and never a fault of the server."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tilth.core.ids import new_id

BASE = "/api/v1/p/default/deployments/d"
GIANT = str(10**30)


QUESTIONS = [
    f"predictions?since={GIANT}",
    f"predictions?until={GIANT}",
    "predictions?since=-5",
    "predictions?since=nan",
    f"predictions?limit={GIANT}",
    "predictions?limit=-1",
    f"predictions?version={GIANT}",
    "predictions?version=-1",
    "predictions?page_token=x",
    f"predictions?page_token=9999999999999999-{'f' * 32}-999999999",
    f"predictions?page_token={GIANT}-{'f' * 32}-0",
    f"predictions/files?page_token=9999999999999999-{'f' * 32}",
    f"predictions/files?limit={GIANT}",
    f"predictions/files/{'0' * 33}",
    f"predictions/labels?page_token=9999999999999999-{'f' * 32}-999999999",
    f"predictions/labels?page_token=1-{'f' * 32}-{GIANT}",
    "predictions/%00",
    "predictions/\u0660\u0661",
    f"predictions/{new_id()}.{GIANT}",
    f"labels/{new_id()}.{GIANT}",
    "labels/%00",
    f"labels/coverage?days={GIANT}",
    "labels/coverage?days=0",
    f"labels/outcomes?since={GIANT}",
    f"labels/outcomes?until=-{GIANT}",
    f"shadows/{GIANT}/report",
    "shadows/-1/report",
    f"shadows/1/report?since={GIANT}",
    f"rollouts/{'x' * 3000}",
    "rollouts/%00",
    f"rollouts?limit={GIANT}&offset={GIANT}",
    f"ab/{GIANT}",
    "ab/-1",
]
CHANGES: list[tuple[str, str, object]] = [
    ("PUT", f"shadows/{GIANT}", None),
    ("DELETE", f"shadows/{GIANT}", None),
    ("PUT", "predictions/policy", {"keep_days": 10**30}),
    ("PUT", "predictions/policy", {"sample": 0}),
    ("PUT", "predictions/policy", {"redact": {"": "hash"}}),
    ("PUT", "predictions/policy", {"redact": {"x" * 300: "hash"}}),
    ("PUT", "predictions/policy", {"note": "\0"}),
    ("POST", f"predictions/flush?timeout_s={GIANT}", None),
    ("POST", "predictions/flush?timeout_s=nan", None),
    ("POST", "labels", {"labels": [{"prediction_id": f"{'0' * 32}.999999999", "label": 10**400}]}),
    ("POST", "labels", {"labels": [{"prediction_id": f"{'0' * 32}.{GIANT}", "label": 1}]}),
    ("PUT", "labels/key", {"key": ["\0"], "window_s": 10**30}),
    ("POST", "rollouts", {"version": 10**30}),
    ("POST", "split", {"shares": [{"version": 10**30, "percent": 100}]}),
    ("POST", "rollback", {"to_generation": 10**30}),
    ("POST", "rollback", {"to_generation": -1}),
]


@pytest.fixture
def deployed(app_client: httpx.Client, register: Callable[[str], int]) -> httpx.Client:
    register("a")
    assert app_client.put(BASE, json={"model": "m"}).status_code == 200
    return app_client


def test_a_question_that_makes_no_sense_is_no_fault_of_the_server(deployed: httpx.Client) -> None:
    answers = {path: deployed.get(f"{BASE}/{path}") for path in QUESTIONS}
    assert {path: answer.text for path, answer in answers.items() if answer.status_code >= 500} == {}


def test_a_change_that_makes_no_sense_is_refused(deployed: httpx.Client) -> None:
    answers = {
        (method, path, str(body)[:60]): deployed.request(method, f"{BASE}/{path}", json=body) for method, path, body in CHANGES
    }
    assert {asked: answer.text for asked, answer in answers.items() if not 400 <= answer.status_code < 500} == {}
