"""Rollouts keep their promises on both databases."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest
from tests.conformance.test_models_and_deployments import make_project, register
from tests.domains.serving.labelling import scored
from tests.domains.serving.rollout_bench import Rollouts, deployed, tally

import tilth.domains.tracking.tables  # noqa: F401  its tables must be declared before they are made
from tilth.backends.sql import Database
from tilth.core.clock import Millis
from tilth.domains.serving import actions as deployments
from tilth.domains.serving import queries
from tilth.domains.serving.actions import rollouts as actions
from tilth.domains.serving.jobs import RolloutJudge, StatusReader
from tilth.domains.serving.queries import rollouts
from tilth.domains.serving.rules.rollouts import Advance, Finish, RollBack
from tilth.domains.serving.types import RolloutUnderWay
from tilth.wire.plane import STATUS_FOLDER
from tilth.wire.rollouts import Guardrails, LabelGuardrail


@pytest.fixture
def m(database: Database) -> Rollouts:
    actor, project = database.write_blocking(make_project)
    return deployed(
        database, project, lambda seed: database.write_blocking(lambda tx: register(tx, actor, project, f"rollout {seed}"))
    )


def test_a_rollout_reads_back_as_it_was_judged(m: Rollouts) -> None:
    m.start(2, percents=(12.5, 100))
    assert isinstance(m.judge(tally(2, 200, refused=1), tally(1, 1400)), Advance)
    assert isinstance(m.judge(tally(2, 400, refused=1), tally(1, 1400)), Finish)
    detail = m.detail()
    assert [(step.percent, step.state) for step in detail.rollout.steps] == [(12.5, "passed"), (100, "passed")]
    first = detail.verdicts[1].evidence
    assert first is not None
    assert (first.candidate.requests, first.candidate.refused, first.champion.requests) == (200, 1, 1400)
    assert {finding.guardrail: finding.state for finding in first.findings}["score_psi"] == "ok"
    assert m.split() == [(2, 10_000)]


def test_many_judges_at_once_take_one_step(m: Rollouts) -> None:
    m.start(2)
    workers = m.workers(tally(2, 1000), tally(1, 5000))
    at = Millis(m.moment + 5000)
    (going,) = m.db.read_blocking(rollouts.rollouts_under_way_across_projects)
    verdicts: list[Any] = []

    def look() -> None:
        verdicts.append(m.db.write_blocking(lambda tx: actions.judge(tx, going, workers, at)))

    judges = [threading.Thread(target=look) for _ in range(6)]
    for judge in judges:
        judge.start()
    for judge in judges:
        judge.join()
    assert [type(verdict) for verdict in verdicts if verdict is not None] == [Advance]
    assert m.split() == [(2, 5000), (1, 5000)]


def test_of_two_rollouts_started_at_once_one_is_refused(m: Rollouts) -> None:
    refused: list[Exception] = []

    def begin(version: int) -> None:
        try:
            m.start(version)
        except RolloutUnderWay as error:
            refused.append(error)

    both = [threading.Thread(target=begin, args=(version,)) for version in (2, 3)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(refused) == 1
    assert m.detail().rollout.state == "running"


def test_a_hand_split_and_what_a_rollback_restores(m: Rollouts) -> None:
    m.do(deployments.split, "d", {2: 2.5, 1: 97.5})
    assert m.split() == [(2, 250), (1, 9750)]
    published = m.db.read_blocking(queries.plane_deployments_across_projects)
    assert [(route.version, route.weight) for route in published[0].routes] == [("m/2", 250), ("m/1", 9750)]
    m.do(deployments.rollback, "d")
    assert m.split() == [(1, 10_000)]


@pytest.fixture
def judge(m: Rollouts, tmp_path: Any) -> RolloutJudge:
    """As the control process runs it, with statuses on disk that say what `m` says."""
    return RolloutJudge(m.db, StatusReader(tmp_path, lambda: Millis(m.moment)), lambda: Millis(m.moment))


def test_the_judge_reads_what_workers_wrote_and_what_labels_say(m: Rollouts, judge: RolloutJudge, tmp_path: Any) -> None:
    rails = Guardrails(labels=(LabelGuardrail("auc", max_worse=0.05, min_labels=50),))
    made = m.start(2, guardrails=rails)

    for version, skill in ((1, 1.0), (2, 0.0)):
        late = [float(number % 2) for number in range(200)]
        block = scored(200, at=made.created + 1, version=version)
        block.scores[:] = [skill * late[number] * 0.5 + (number * 7919 % 100) / 200 for number in range(200)]
        labels = [{"prediction_id": id_, "label": label} for id_, label in zip(block.prediction_ids, late, strict=True)]
        m.db.write_blocking(lambda tx, block=block: deployments.keep_scores(tx, made.deployment_id, block))
        read = m.db.read_blocking(lambda tx, labels=labels: deployments.read_labels(tx, m.project, "d", labels))
        m.do(deployments.log_labels, "d", read)
    m.moment += 2000
    folder = tmp_path / STATUS_FOLDER
    folder.mkdir(parents=True)
    (status,) = m.workers(tally(2, 300), tally(1, 3000))
    (folder / "w0.json").write_bytes(msgspec.json.encode(status))
    assert asyncio.run(judge.judge_all()) == 1
    detail = m.detail()
    assert (detail.rollout.state, m.split()) == ("rolled_back", [(1, 10_000)])
    assert "auc" in detail.rollout.reason
    assert asyncio.run(judge.judge_all()) == 0


def test_a_rollout_goes_back_after_any_number_of_looks(m: Rollouts) -> None:
    m.start(2)
    for look in range(1, 6):
        m.judge(tally(2, 10 * look), tally(1, 100 * look))
    assert isinstance(m.judge(tally(2, 100, errors=80), tally(1, 1000)), RollBack)
    assert m.kinds() == ["start", "hold", "roll_back"]
