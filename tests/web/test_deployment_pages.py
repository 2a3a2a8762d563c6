"""The page of a deployment: which version does what, and the way back that its button promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.domains.serving.rollout_bench import latencies
from tests.web.servable import P, register

from tilth.core.clock import now
from tilth.web.version_lines import version_lines
from tilth.wire.plane import STATUS_FOLDER, DeploymentStatus, VersionTally, WorkerStatus
from tilth.wire.serving import DeploymentView

API = f"{P}/deployments/d"
PAGE = "/p/default/deployments/d"


@pytest.fixture
def client(app_client: httpx.Client) -> httpx.Client:
    """Versions 1 to 3 of m, version 1 deployed as `d`."""
    for seed in "abc":
        register(app_client, seed)
    assert app_client.put(API, json={"model": "m", "version": 1}).status_code == 200
    return app_client


def test_what_served_first_has_nothing_to_go_back_to(client: httpx.Client) -> None:
    assert "Roll back to" not in client.get(PAGE).text


def test_the_button_goes_back_to_what_it_names_though_more_was_deployed_meanwhile(client: httpx.Client) -> None:
    client.put(API, json={"model": "m", "version": 2})
    assert "Roll back to v1</button>" in client.get(PAGE).text
    assert '<input type="hidden" name="generation" value="1">' in client.get(PAGE).text
    client.put(API, json={"model": "m", "version": 3})
    assert client.post(f"{PAGE}/rollback", data={"generation": "1"}).status_code == 303
    assert client.get(API).json()["deployment"]["version"] == 1
    assert "Serve v3 again</button>" in client.get(PAGE).text


def test_the_button_names_a_split_that_it_goes_back_to(client: httpx.Client) -> None:
    split = {"shares": [{"version": 2, "percent": 5}, {"version": 1, "percent": 95}]}
    assert client.put(f"{API}/split", json=split).status_code == 200
    client.put(API, json={"model": "m", "version": 3})
    assert "Roll back to v2 5 % and v1 95 %</button>" in client.get(PAGE).text


@pytest.mark.parametrize("generation", ["", "nine", "99", "-1", "1e14"])
def test_a_generation_that_never_was_is_refused_with_words(client: httpx.Client, generation: str) -> None:
    refused = client.post(f"{PAGE}/rollback", data={"generation": generation})
    assert refused.status_code in (400, 404)
    assert "Traceback" not in refused.text


def test_while_a_rollout_is_under_way_the_page_leads_there_instead(client: httpx.Client) -> None:
    begun = client.post(f"{API}/rollouts", json={"version": 2, "steps": [{"percent": 20}, {"percent": 100}]})
    assert begun.status_code == 201, begun.text
    shown = client.get(PAGE).text
    assert "A rollout of v2 is under way, at 20 %." in shown
    assert f'href="{PAGE}/rollouts/{begun.json()["id"]}"' in shown
    assert "Roll back to" not in shown


def test_while_an_ab_test_runs_the_page_leads_there_instead(client: httpx.Client) -> None:
    arms = [{"version": 1, "percent": 50}, {"version": 2, "percent": 50}]
    begun = client.post(f"{API}/ab", json={"arms": arms, "effect": 0.1, "baseline": 0.3, "start": True})
    assert begun.status_code == 201, begun.text
    shown = client.get(PAGE).text
    assert "A/B test 1 is running." in shown
    assert f'href="{PAGE}/ab/1"' in shown
    assert "Roll back to" not in shown


def test_nothing_goes_back_to_the_arms_of_an_ab_test(client: httpx.Client) -> None:
    arms = [{"version": 1, "percent": 50}, {"version": 2, "percent": 50}]
    client.post(f"{API}/ab", json={"arms": arms, "effect": 0.1, "baseline": 0.3, "start": True})
    client.post(f"{API}/ab/1/stop", json={})
    assert "Roll back to" not in client.get(PAGE).text
    client.post(f"{API}/ab", json={"arms": arms, "effect": 0.1, "baseline": 0.3, "start": True})
    concluded = client.post(f"{API}/ab/2/conclude", json={"winner": 2})
    assert concluded.status_code == 200, concluded.text
    assert "Roll back to v1</button>" in client.get(PAGE).text


def seen(client: httpx.Client, *tallies: VersionTally) -> WorkerStatus:
    """A model server that says so."""
    found = client.get(API).json()["deployment"]
    return WorkerStatus("w0", 1, 1, now(), 1, (DeploymentStatus(found["id"], 1, tallies=tallies),))


def test_versions_stand_side_by_side_with_what_all_model_servers_counted(client: httpx.Client) -> None:
    split = {"shares": [{"version": 2, "percent": 5}, {"version": 3, "percent": 95}]}
    client.put(f"{API}/split", json=split)
    found = msgspec.convert(client.get(API).json()["deployment"], DeploymentView)
    old = VersionTally("m/1", 7, 7, latency_buckets=latencies(1, 7))
    first = VersionTally("m/2", 10, 10, errors=1, refused=2, latency_buckets=latencies(30, 10))
    second = VersionTally("m/2", 90, 90, errors=2, latency_buckets=latencies(3, 90))
    lines = version_lines(found, [seen(client, old, first), seen(client, second)])
    assert [(line.version, line.share, line.requests) for line in lines] == [(3, 0.95, 0), (2, 0.05, 100), (1, None, 7)]
    assert (lines[1].errors, lines[1].refused) == (3, 2)
    assert (lines[0].p50_ms, lines[0].p99_ms) == (None, None)
    assert lines[1].p50_ms == pytest.approx(3, rel=0.1)
    assert lines[1].p99_ms == pytest.approx(30, rel=0.1)


def test_only_the_newest_of_what_was_served_before_are_held_beside_it(client: httpx.Client) -> None:
    found: Any = msgspec.convert(client.get(API).json()["deployment"], DeploymentView)
    tallies = [VersionTally(f"m/{number}", number, number) for number in range(1, 9)]
    assert [line.version for line in version_lines(found, [seen(client, *tallies)])] == [1, 8, 7, 6]


def say(home: Path, status: DeploymentStatus) -> None:
    """As a model server does each second."""
    folder = home / STATUS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "w0.json").write_bytes(msgspec.json.encode(WorkerStatus("w0", 1, now(), now(), 1, (status,))))


def test_errors_of_the_last_minute_are_red_on_every_page_and_older_ones_are_not(installation: Any, client: httpx.Client) -> None:
    id_ = client.get(API).json()["deployment"]["id"]
    say(installation.home, DeploymentStatus(id_, 1, requests=50, errors=4, refused=2, window_errors=3))
    assert "3 requests failed in the last minute" in client.get("/p/default").text
    assert '<td class="num bad strong">4</td>' in client.get("/p/default/deployments").text
    assert '<span class="bad">4 of 50 requests since start, 2 refused</span>' in client.get(PAGE).text
    say(installation.home, DeploymentStatus(id_, 1, requests=50, errors=4, refused=2))
    assert "failed in the last minute" not in client.get("/p/default").text
    assert '<td class="num">4</td>' in client.get("/p/default/deployments").text
    assert '<span class="warn">4 of 50 requests since start, 2 refused</span>' in client.get(PAGE).text


@pytest.mark.parametrize("example", [b"{nope", b'{"a": "\xff"}', b"[" * 5000 + b"]" * 5000], ids=["no JSON", "no text", "deep"])
def test_an_example_that_is_none_leaves_the_page_to_try_a_deployment_as_it_is(app_client: httpx.Client, example: bytes) -> None:
    register(app_client, "a", serving_input_example=example)
    assert app_client.put(API, json={"model": "m", "version": 1}).status_code == 200
    answer = app_client.get(f"{PAGE}/try")
    assert answer.status_code == 200, answer.text
    assert "instances" in answer.text
