"""The doors of the shipper: what comes through them in a wrong form is refused in words, and never breaks anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilth.core.ids import new_id
from tilth.wire.plane import TOKEN_PATH

BASE = "/api/v1/plane/predictions"
UNKNOWN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def shipper(shared_installation: Any) -> Iterator[httpx.Client]:
    """Speaks with the workers' credential."""
    token = (shared_installation.home / TOKEN_PATH).read_text().strip()
    with httpx.Client(base_url=shared_installation.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        yield client


def a_row(**given: Any) -> dict[str, Any]:
    row = {
        "prediction_ids": [new_id()],
        "rows": [0],
        "at": [1_772_366_400_000],
        "models": ["frost"],
        "versions": [1],
        "scores": [0.5],
        "units": [new_id()],
        "join_keys": [None],
    }
    return row | given


def a_file(**given: Any) -> dict[str, Any]:
    file = {
        "deployment_id": new_id(),
        "day": "2026-03-01",
        "digest": "a" * 64,
        "size": 100,
        "rows": 5,
        "first": 1,
        "last": 2,
        "min_id": new_id(),
        "max_id": new_id(),
        "columns": "c" * 64,
        "versions": ["frost/1"],
    }
    return file | given


@pytest.mark.parametrize(
    "given",
    [
        {"rows": [0, 1]},
        {"at": []},
        {"scores": [0.5] * 3},
        {"prediction_ids": ["not an id"]},
        {"prediction_ids": [new_id() + "\n"]},
        {"units": [""]},
        {"join_keys": ["key"]},
        {"rows": [-1]},
        {"rows": [1 << 31]},
        {"versions": [1 << 70]},
        {"at": [-5]},
        {"models": ["m" * 1000]},
    ],
)
def test_scores_of_a_wrong_form_are_refused(shipper: httpx.Client, given: dict[str, Any]) -> None:
    answer = shipper.post(f"{BASE}/scores", json={"deployment_id": new_id(), "rows": a_row(**given)})
    assert answer.status_code == 400, answer.text


def test_columns_of_unequal_length_are_told_with_their_lengths(shipper: httpx.Client) -> None:
    answer = shipper.post(f"{BASE}/scores", json={"deployment_id": new_id(), "rows": a_row(rows=[0, 1])})
    assert "must be of one length" in answer.text
    assert "rows 2" in answer.text


@pytest.mark.parametrize(
    "given",
    [
        {"rows": 0},
        {"rows": 1 << 31},
        {"size": -1},
        {"first": 1 << 60},
        {"day": "yesterday"},
        {"min_id": "x"},
        {"versions": []},
        {"versions": ["frost"]},
        {"versions": ["frost/one"]},
        {"digest": "A" * 64},
        {"shadow": "no"},
    ],
)
@pytest.mark.parametrize("door", ["shipments", "compacted"])
def test_files_of_a_wrong_form_are_refused(shipper: httpx.Client, door: str, given: dict[str, Any]) -> None:
    file = a_file(**given)
    body = (
        {"segments": [{"id": new_id(), "frames": 1}], "files": [file]}
        if door == "shipments"
        else {"replaces": [new_id(), new_id()], "file": file}
    )
    answer = shipper.post(f"{BASE}/{door}", json=body)
    assert answer.status_code == 400, answer.text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["scores", "shipments", "compacted"]), st.data())
def test_whatever_stands_in_a_body_breaks_nothing(shipper: httpx.Client, door: str, data: st.DataObject) -> None:
    whole: dict[str, Any] = {
        "scores": {"deployment_id": new_id(), "rows": a_row()},
        "shipments": {"segments": [{"id": new_id(), "frames": 1}], "files": [a_file()]},
        "compacted": {"replaces": [new_id(), new_id()], "file": a_file()},
    }[door]
    place: Any = whole
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(JSON)
            break
        place = place[key]
    assert shipper.post(f"{BASE}/{door}", json=whole).status_code < 500


@pytest.mark.parametrize(
    "key", ["frost", "frost/", "/", "frost/1/2", "frost/99999999999", "frost/-1", "frost/٣", "%00/1", "a" * 5000 + "/1"]
)
@pytest.mark.parametrize("deployment_id", [UNKNOWN, "x", "\u00e4", "0" * 33])
def test_nobody_knows_a_version_of_an_odd_name(shipper: httpx.Client, deployment_id: str, key: str) -> None:
    answer = shipper.get(f"/api/v1/plane/deployments/{deployment_id}/versions", params={"key": key})
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("name", ["x", "0" * 31, "0" * 33, "\u00e4", UNKNOWN])
def test_a_file_or_digest_that_is_none_is_told_so(shipper: httpx.Client, name: str) -> None:
    assert shipper.get(f"{BASE}/files/{name}").status_code == 404
    assert shipper.put(f"{BASE}/bytes/{name}", content=b"x").status_code == 400
