"""A/B tests of a deployment: the split, the counting, the decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.domains.serving.labelling import Place

from tilth.backends.sql import Database
from tilth.core.clock import now
from tilth.core.ids import new_id
from tilth.domains.models import actions as models
from tilth.domains.models.types import UnknownVersion
from tilth.domains.serving import actions
from tilth.domains.serving.actions import ab_tests, rollouts
from tilth.domains.serving.queries import ab_tests as queries
from tilth.domains.serving.queries import deployments
from tilth.domains.serving.types import NoChampion, RolloutUnderWay
from tilth.domains.serving.types.ab_tests import AbTest, AbTestUnderWay, NoSuchArm, UnknownAbTest, WrongAbState
from tilth.wire.ab import AbEvidence, ArmWanted, CreateAb
from tilth.wire.labels import ScoredRows
from tilth.wire.rollouts import StartRollout


@pytest.fixture
def place(either_db: Database, tmp_path: Path) -> Place:
    place = Place(either_db, tmp_path)
    place.version("m", "b")
    return place


def create(place: Place, **changes: Any) -> AbTest:
    given: dict[str, Any] = {"arms": (ArmWanted(1, 50), ArmWanted(2, 50)), "effect": 0.1, "baseline": 0.3}
    return place.do(ab_tests.create, "d", CreateAb(**(given | changes)))


def started(place: Place, **changes: Any) -> AbTest:
    return place.do(ab_tests.start, "d", create(place, **changes).number)


def read(place: Place, number: int = 1, at: int | None = None) -> AbEvidence:
    id_ = place.deployment.id

    def ask(tx: Any, project: str) -> AbEvidence | None:
        test = queries.ab_test_named(tx, project, id_, "d", number)
        return queries.ab_evidence(tx, project, test, at or now() + 1000)

    found = place.ask(ask)
    assert found is not None
    return found


def answered(place: Place, version: int, labels: list[float], *, units: list[str] | None = None, score: float = 0.7) -> list[str]:
    """Predictions of one version now, and what came true of them; NaN: nothing yet. Their units."""
    n = len(labels)
    ids, who = [new_id() for _ in labels], units or [new_id() for _ in labels]
    place.keep(ScoredRows(ids, [0] * n, [now()] * n, ["m"] * n, [version] * n, [score] * n, who, [None] * n))
    place.log(*({"prediction_id": id_, "label": value} for id_, value in zip(ids, labels, strict=True) if value == value))
    return who


def shares(hits: int, units: int) -> list[float]:
    return [1.0] * hits + [0.0] * (units - hits)


def test_a_started_test_splits_the_requests_by_a_split_of_its_own(place: Place) -> None:
    before = place.deployment
    test = started(place)
    found = place.deployment
    assert [(route.version, route.weight) for route in found.routes] == [(1, 5000), (2, 5000)]
    assert found.salt == test.id != before.salt
    assert found.version == 1
    history = place.ask(deployments.generations_of, found.id)
    assert (history[0].cause, history[0].note) == ("ab", "A/B test 1")


def test_a_draft_changes_nothing(place: Place) -> None:
    before = place.deployment
    assert create(place).state == "draft"
    assert place.deployment == before


def test_units_are_counted_once_by_arm_and_their_rows_averaged(place: Place) -> None:
    started(place)
    units = answered(place, 1, [1.0, 0.0, 1.0])
    answered(place, 1, [0.0, float("nan")], units=units[:2])
    answered(place, 2, [1.0, float("nan")])
    found = read(place)
    assert [(arm.version, arm.units, arm.rows, arm.labelled) for arm in found.arms] == [(1, 3, 5, 3), (2, 2, 2, 1)]
    # Means by unit: (1 + 0) / 2, 0 and 1.
    assert found.arms[0].mean == pytest.approx(0.5)


def test_a_unit_that_met_both_arms_counts_in_neither(place: Place) -> None:
    started(place)
    units = answered(place, 1, [1.0, 1.0])
    answered(place, 2, [0.0], units=units[:1])
    found = read(place)
    assert (found.crossed, [arm.units for arm in found.arms]) == (1, [1, 0])


def test_the_figures_are_those_of_the_units_themselves(place: Place) -> None:
    started(place, metric="label", baseline=None)
    rng = np.random.default_rng(1)
    values = {1: rng.normal(1e6, 2, 150), 2: rng.normal(1e6 + 1, 3, 130)}
    for version, given in values.items():
        answered(place, version, given.tolist())
    found = read(place)
    for arm in found.arms:
        assert arm.mean == pytest.approx(values[arm.version].mean(), rel=1e-12)
        error = values[arm.version].std(ddof=1) / np.sqrt(len(values[arm.version]))
        assert arm.high is not None
        assert arm.mean is not None
        assert arm.high - arm.mean == pytest.approx(1.977 * error, rel=0.01)


@pytest.mark.parametrize(
    ("metric", "score", "label", "value"),
    [
        ("label", 0.7, 3.0, 3.0),
        ("accuracy", 0.7, 1.0, 1.0),
        ("accuracy", 0.2, 1.0, 0.0),
        ("accuracy", 2.0, 2.0, 1.0),
        ("brier", 0.7, 1.0, 0.09),
        ("absolute_error", 5.0, 3.0, 2.0),
        ("squared_error", 5.0, 3.0, 4.0),
    ],
)
def test_each_metric_counts_a_row_as_it_says(place: Place, metric: Any, score: float, label: float, value: float) -> None:
    started(place, metric=metric, baseline=None)
    answered(place, 1, [label, label], score=score)
    assert read(place).arms[0].mean == pytest.approx(value)


def test_what_was_answered_before_the_start_or_by_another_version_does_not_count(place: Place) -> None:
    answered(place, 1, [1.0])
    test = started(place)
    assert test.started is not None
    answered(place, 3, [1.0])
    early = ScoredRows([new_id()], [0], [test.started - 1], ["m"], [1], [0.5], [new_id()], [None])
    place.keep(early)
    assert [arm.units for arm in read(place).arms] == [0, 0]


def test_a_better_arm_is_found_and_concluded_with_its_evidence(place: Place) -> None:
    started(place)
    answered(place, 1, shares(60, 300))
    answered(place, 2, shares(150, 300))
    found = read(place)
    assert (found.verdict.outcome, found.verdict.winner) == ("better", 2)
    assert found.path
    made = place.do(ab_tests.conclude, "d", 1, found, winner=2, note="it sells")
    assert (made.state, made.winner, made.note, made.evidence) == ("concluded", 2, "it sells", found)
    assert [(route.version, route.weight) for route in place.deployment.routes] == [(2, 10_000)]
    # What is said later about the same rows no longer changes the record.
    answered(place, 1, shares(300, 300))
    assert read(place) == found


def test_a_split_that_loses_units_of_one_arm_is_told(place: Place) -> None:
    started(place)
    answered(place, 1, [float("nan")] * 700)
    answered(place, 2, [float("nan")] * 500)
    assert read(place).verdict.outcome == "mismatch"


def test_a_stopped_test_gives_back_what_was_served_before_and_may_still_be_concluded(place: Place) -> None:
    place.do(models.set_alias, "m", "champion", 2)
    place.do(actions.deploy, "d", model="m", alias="champion")
    started(place)
    assert place.deployment.alias is None
    made = place.do(ab_tests.stop, "d", 1, note="enough")
    assert (made.state, made.note) == ("stopped", "enough")
    found = place.deployment
    assert ([route.version for route in found.routes], found.alias) == ([2], "champion")
    evidence = read(place)
    assert place.do(ab_tests.conclude, "d", 1, evidence, winner=None).winner == 1
    assert place.deployment == found


def test_a_winner_that_the_alias_names_is_followed_again(place: Place) -> None:
    place.do(models.set_alias, "m", "champion", 1)
    place.do(actions.deploy, "d", model="m", alias="champion")
    started(place)
    place.do(ab_tests.conclude, "d", 1, read(place), winner=1)
    assert place.deployment.alias == "champion"


def test_nothing_else_may_change_the_arms_while_a_test_runs(place: Place) -> None:
    started(place)
    with pytest.raises(AbTestUnderWay, match="tilth ab stop d 1"):
        place.do(actions.deploy, "d", model="m", version=2)
    with pytest.raises(AbTestUnderWay):
        place.do(actions.split, "d", {1: 100})
    with pytest.raises(AbTestUnderWay):
        place.do(ab_tests.start, "d", create(place).number)
    with pytest.raises((AbTestUnderWay, NoChampion)):
        place.do(rollouts.start, "d", StartRollout(version=2), [])
    place.do(actions.undeploy, "d")


def test_a_test_does_not_start_while_a_rollout_is_under_way(place: Place) -> None:
    place.do(rollouts.start, "d", StartRollout(version=2), [])
    with pytest.raises(RolloutUnderWay):
        started(place)


def test_steps_out_of_order_are_refused(place: Place) -> None:
    with pytest.raises(UnknownAbTest, match="no A/B test 7"):
        place.do(ab_tests.start, "d", 7)
    with pytest.raises(UnknownVersion):
        create(place, arms=(ArmWanted(1, 50), ArmWanted(9, 50)))
    number = started(place).number
    with pytest.raises(WrongAbState, match="is running"):
        place.do(ab_tests.start, "d", number)
    evidence = read(place)
    with pytest.raises(NoSuchArm, match="its arms are 1, 2"):
        place.do(ab_tests.conclude, "d", number, evidence, winner=3)
    place.do(ab_tests.conclude, "d", number, evidence, winner=2)
    for again in (ab_tests.start, ab_tests.stop):
        with pytest.raises(WrongAbState, match="is concluded"):
            place.do(again, "d", number)


def test_tests_of_a_deployment_are_numbered_and_listed_newest_first(place: Place) -> None:
    assert [create(place).number for _ in range(3)] == [1, 2, 3]
    assert [test.number for test in place.ask(queries.ab_tests_of, place.deployment.id)] == [3, 2, 1]
