"""Labels and predictions find each other, in whatever order they come."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select
from tests.domains.serving.labelling import NOON, Place, scored

from tilth.backends.sql import Database
from tilth.core.actors import Actor
from tilth.core.clock import DAY, Millis, now
from tilth.core.ids import ProjectId, new_id
from tilth.domains.serving import actions
from tilth.domains.serving.actions.labels import TooManyLabels
from tilth.domains.serving.actions.predictions import ship
from tilth.domains.serving.jobs import forget_old_labels
from tilth.domains.serving.queries import labels
from tilth.domains.serving.queries.label_coverage import coverage_rows, label_coverage
from tilth.domains.serving.tables import label_correction, scored_prediction
from tilth.domains.serving.types.labels import InvalidLabel, SeveralRows
from tilth.wire.labels import key_of
from tilth.wire.shipping import Shipment, ShippedFile, ShippedSegment

BEN = Actor(id="ben", name="Ben", kind="user", via="token:t2")


@pytest.fixture
def place(either_db: Database, tmp_path: Path) -> Place:
    return Place(either_db, tmp_path)


def test_a_label_meets_its_prediction(place: Place) -> None:
    block = scored()
    place.keep(block)
    answer = place.log({"prediction_id": f"{block.prediction_ids[0]}.0", "label": True})
    assert (answer.new, answer.matched, answer.waiting) == (1, 1, 0)
    assert place.labelled() == [(0.7, 1.0)]


def test_a_label_that_comes_first_waits_for_its_prediction(place: Place) -> None:
    block = scored()
    answer = place.log({"prediction_id": block.prediction_ids[0], "label": 3.5})
    assert (answer.matched, answer.waiting) == (0, 1)
    place.keep(block)
    assert place.labelled() == [(0.7, 3.5)]
    assert place.log({"prediction_id": block.prediction_ids[0], "label": 3.5}).waiting == 0


def test_the_same_value_again_changes_nothing_and_another_one_is_a_correction_that_keeps_the_old_one(place: Place) -> None:
    block = scored()
    place.keep(block)
    row: dict[str, Any] = {"prediction_id": block.prediction_ids[0], "label": 1}
    assert place.log(row).new == 1
    again = place.log(row)
    assert (again.unchanged, again.new, again.corrected, again.matched) == (1, 0, 0, 0)
    assert place.log(row | {"label": 0}, by=BEN).corrected == 1
    assert place.labelled() == [(0.7, 0.0)]
    history = place.ask(labels.label_history, place.deployment.id, block.prediction_ids[0], 0)
    assert [(each.label, each.by, each.replaced is None) for each in history] == [("0", "Ben", True), ("1", "Anna", False)]


def test_a_prediction_named_twice_in_one_call_gets_its_last_label(place: Place) -> None:
    block = scored()
    place.keep(block)
    place.log(*({"prediction_id": block.prediction_ids[0], "label": value} for value in (1, 2, 3)))
    assert place.labelled() == [(0.7, 3.0)]


def test_a_request_of_several_rows_is_labelled_row_by_row(place: Place) -> None:
    first, second = scored(score=0.1), scored(row=1, score=0.2)
    second.prediction_ids[0] = first.prediction_ids[0]
    place.keep(first)
    place.keep(second)
    with pytest.raises(SeveralRows, match=f"{first.prediction_ids[0]}.0"):
        place.log({"prediction_id": first.prediction_ids[0], "label": 1})
    place.log(*({"prediction_id": f"{first.prediction_ids[0]}.{row}", "label": row} for row in (0, 1)))
    assert place.labelled() == [(0.1, 0.0), (0.2, 1.0)]


def declare(place: Place, window_s: int = 3600) -> None:
    place.do(actions.deploy, "d", model="m", settings={"label_key": ["customer", "month"], "label_window_s": window_s})


@pytest.mark.parametrize("label_first", [True, False])
def test_a_label_by_key_is_of_the_predictions_of_that_key_within_the_window_before_it(place: Place, label_first: bool) -> None:
    declare(place)
    key = key_of(["c7", 3])
    blocks = [
        scored(at=NOON, score=0.1, key=key),
        scored(at=NOON - 3_599_000, score=0.2, key=key),
        scored(at=NOON - 3_601_000, score=0.3, key=key),
        scored(at=NOON + 1, score=0.4, key=key),
        scored(at=NOON, score=0.5, key=key_of(["c8", 3])),
    ]
    steps: list[Callable[[], Any]] = [lambda block=block: place.keep(block) for block in blocks]  # type: ignore[misc]
    steps.insert(0 if label_first else 5, lambda: place.log({"customer": "c7", "month": "3", "label": 1, "at": NOON}))
    for step in steps:
        step()
    assert place.labelled() == [(0.1, 1.0), (0.2, 1.0)]


@pytest.mark.parametrize("order", list(range(6)))
def test_the_first_label_of_a_key_after_a_prediction_is_its_own_in_whatever_order_they_come(place: Place, order: int) -> None:
    declare(place)
    key = key_of(["c7", "3"])
    steps: list[Callable[[], Any]] = [
        lambda: place.keep(scored(at=NOON, key=key)),
        lambda: place.log({"customer": "c7", "month": 3, "label": 1, "at": NOON + 10}),
        lambda: place.log({"customer": "c7", "month": 3.0, "label": 2, "at": NOON + 20}),
    ]
    random.Random(order).shuffle(steps)
    for step in steps:
        step()
    assert place.labelled() == [(0.7, 1.0)]


def test_a_label_by_prediction_wins_over_one_by_key(place: Place) -> None:
    declare(place)
    block = scored(key=key_of(["c7", 3]))
    place.keep(block)
    place.log({"prediction_id": block.prediction_ids[0], "label": 5})
    place.log({"customer": "c7", "month": 3, "label": 1, "at": NOON})
    assert place.labelled() == [(0.7, 5.0)]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prediction_id": "0" * 32}, "has no `label`"),
        ({"prediction_id": "0" * 32, "label": None}, "the label is missing"),
        ({"prediction_id": "0" * 32, "label": float("nan")}, "the label is nan"),
        ({"prediction_id": "0" * 32, "label": "late"}, "the model has no classes"),
        ({"prediction_id": "0" * 32, "label": [1]}, "the label is missing"),
        ({"prediction_id": "zz", "label": 1}, "not 32 hexadecimal digits"),
        ({"prediction_id": 7, "label": 1}, "not 32 hexadecimal digits"),
        ({"label": 1}, "declares no key columns"),
        ({"prediction_id": "0" * 32, "label": 1, "extra": 2}, "column 'extra' is not one of prediction_id, label, at"),
    ],
)
def test_a_row_that_is_no_label_is_refused_with_its_place_and_nothing_is_kept(
    place: Place, row: dict[str, Any], why: str
) -> None:
    good = {"prediction_id": "1" * 32, "label": 1}
    with pytest.raises(InvalidLabel, match="label 1: ") as refused:
        place.log(good, row)
    assert why in str(refused.value)
    assert place.log(good).new == 1


@pytest.mark.parametrize("at", ["2013-01-31", "2013-01-31T05:00:00", "soon", -1, True, 1.5, 9_999_999_999_999_999])
def test_a_moment_that_is_none_is_refused(place: Place, at: Any) -> None:
    declare(place)
    with pytest.raises(InvalidLabel, match="at "):
        place.log({"customer": 1, "month": 2, "label": 1, "at": at})


def test_more_labels_than_one_call_takes_are_refused(place: Place) -> None:
    with pytest.raises(TooManyLabels, match="10001"):
        place.log(*({"prediction_id": "0" * 32, "label": 1} for _ in range(10_001)))


def test_coverage_counts_by_day_and_version(place: Place) -> None:
    today, before = scored(3), scored(2, at=NOON - int(DAY))
    other = scored(1, version=2)
    for block in (today, before, other):
        place.keep(block)
    place.log(*({"prediction_id": id_, "label": 1} for id_ in (*today.prediction_ids[:2], other.prediction_ids[0], new_id())))
    rows = place.ask(coverage_rows, place.deployment.id, 0, 1 << 62)
    assert [(row.version, row.predictions, row.labelled, row.share) for row in rows] == [
        (1, 3, 2, 2 / 3),
        (2, 1, 1, 1.0),
        (1, 2, 0, 0.0),
    ]
    assert rows[0].day == "2023-11-14"
    assert place.ask(labels.count_waiting, place.deployment.id) == 1


def test_scores_that_are_shipped_twice_are_kept_once(place: Place) -> None:
    block = scored(5)
    assert (place.keep(block), place.keep(block)) == (5, 0)


def test_another_project_sees_none_of_it(place: Place) -> None:
    block = scored()
    place.keep(block)
    place.log({"prediction_id": block.prediction_ids[0], "label": 1})
    stranger, id_ = ProjectId("f" * 32), place.deployment.id
    scores, _ = place.db.read_blocking(lambda tx: labels.labelled_scores(tx, stranger, id_, 1, 0, 1 << 62))
    assert len(scores) == 0
    assert place.db.read_blocking(lambda tx: coverage_rows(tx, stranger, id_, 0, 1 << 62)) == []


def test_old_scores_and_labels_are_let_go_with_their_corrections(place: Place) -> None:
    old, new = scored(3, at=NOON), scored(2, at=NOON + 10)
    for block in (old, new):
        place.keep(block)
    for value in (1, 0):
        place.log(*({"prediction_id": id_, "label": value} for id_ in old.prediction_ids))
    assert place.do(_forget, place.deployment.id, NOON + 5, 2) == 2
    assert place.do(_forget, place.deployment.id, NOON + 5, 2) == 1
    assert place.do(_forget, place.deployment.id, 1 << 62, 100) == 3
    id_ = place.deployment.id
    kept = place.db.read_blocking(
        lambda tx: tx.scalar(select(func.count()).select_from(label_correction).where(label_correction.c.deployment_id == id_))
    )
    assert kept == 0


def _forget(tx: Any, actor: Actor, project: str, deployment_id: str, before: int, most: int) -> int:
    return actions.forget_old_labels(tx, ProjectId(project), deployment_id, before, most)


def test_labels_of_a_deployment_that_was_taken_down_are_let_go_in_their_time(place: Place) -> None:
    block = scored(2, at=NOON)
    place.keep(block)
    place.log({"prediction_id": block.prediction_ids[0], "label": 1})
    id_ = place.deployment.id
    place.do(actions.undeploy, "d")
    long_after = Millis(now() + 10_000 * DAY)
    asyncio.run(forget_old_labels(place.db, lambda: long_after))
    left = select(func.count()).select_from(scored_prediction).where(scored_prediction.c.deployment_id == id_)
    assert place.db.read_blocking(lambda tx: tx.scalar(left)) == 0
    assert id_ not in [each.id for each in place.db.read_blocking(labels.deployments_with_labels_across_projects)]


def test_rows_that_were_kept_without_a_score_are_counted(place: Place) -> None:
    place.keep(scored(3))
    file = ShippedFile(
        deployment_id=place.deployment.id,
        day="2023-11-14",
        digest="d" * 64,
        size=10,
        rows=10,
        first=NOON,
        last=NOON + 5,
        min_id=new_id(),
        max_id=new_id(),
        columns="c" * 64,
        versions=("m/1",),
    )
    shadow = msgspec.structs.replace(file, shadow=True, digest="e" * 64)
    place.db.write_blocking(lambda tx: ship(tx, Shipment((ShippedSegment(new_id(), 1),), (file, shadow))))
    assert place.ask(label_coverage, "d", NOON - int(DAY)).unscored == 7
    # Of a day that is not looked at as a whole nothing is said.
    assert place.ask(label_coverage, "d", NOON).unscored == 0


def test_labels_of_predictions_are_told_as_they_were_given(place: Place) -> None:
    declare(place)
    by_key, by_both, unlabelled = scored(key=key_of(["c7", 3])), scored(key=key_of(["c7", 3])), scored()
    for block in (by_key, by_both, unlabelled):
        place.keep(block)
    place.log({"customer": "c7", "month": 3, "label": True, "at": NOON})
    waiting = new_id()
    place.log({"prediction_id": by_both.prediction_ids[0], "label": 4.5}, {"prediction_id": f"{waiting}.2", "label": 7})
    ids = [*by_key.prediction_ids, *by_both.prediction_ids, *unlabelled.prediction_ids, waiting]
    found = place.ask(labels.labels_of, place.deployment.id, ids)
    assert found == {(ids[0], 0): "True", (ids[1], 0): "4.5", (waiting, 2): "7"}
