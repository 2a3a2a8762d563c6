"""Rollouts as data: they start, go on, go back and end, by a judge and by people."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from tests.domains.serving.rollout_bench import ALWAYS_THE_SAME, Rollouts, deployed, tally

from tilth.core.errors import NotFound
from tilth.domains.models import actions as models
from tilth.domains.models.types import AliasMoved, VersionInUse
from tilth.domains.serving import actions as deployments
from tilth.domains.serving.actions import rollouts as actions
from tilth.domains.serving.rules.rollouts import Advance, Finish, Hold, RollBack
from tilth.domains.serving.types import (
    InvalidPlan,
    NoChampion,
    NotPaused,
    OtherModel,
    RolloutOver,
    RolloutUnderWay,
    SameVersion,
    TwoTargets,
    UnknownRollout,
)
from tilth.wire.evaluations import AddGate
from tilth.wire.rollouts import StartRollout, StepPlan


@pytest.fixture
def m(bench: Any) -> Rollouts:
    return deployed(bench.db, bench.project, lambda seed: bench.version("m", seed))


def test_a_rollout_begins_with_its_first_share_and_the_candidate_first(m: Rollouts) -> None:
    made = m.start(2)
    assert m.split() == [(2, 500), (1, 9500)]
    assert (made.state, made.step, made.champion, made.candidate) == ("running", 0, 1, 2)
    assert m.deployment.version == 1
    with pytest.raises(VersionInUse):
        m.do(models.delete_version, "m", 2)


def test_a_good_candidate_goes_from_step_to_step_and_becomes_the_version(m: Rollouts) -> None:
    m.start(2)
    shares = []
    for step in (1, 2, 3):
        verdict = m.judge(tally(1, 1000 * step), tally(2, 1000 * step))
        shares.append(m.split())
        assert isinstance(verdict, Finish if step == 3 else Advance)
    assert shares == [[(2, 5000), (1, 5000)], [(2, 10_000), (1, 0)], [(2, 10_000)]]
    assert (m.deployment.version, m.detail().rollout.state) == (2, "finished")
    assert m.kinds() == ["start", "advance", "advance", "finish"]
    assert [step.state for step in m.detail().rollout.steps] == ["passed"] * 3


def test_a_step_waits_for_the_model_servers_for_requests_and_for_its_time(m: Rollouts) -> None:
    m.start(2, bake_s=60)
    codes = [
        m.judge(acknowledged=1).code,
        m.judge(tally(2, 99), tally(1)).code,
        m.judge(tally(2, 100), tally(1)).code,
        m.judge(tally(2, 200), tally(1), after_ms=50_000).code,
    ]
    assert codes == ["live", "requests", "bake", "bake"]
    assert m.detail().rollout.reason == "bakes 1 min at 5 %, 8 s left"
    assert isinstance(m.judge(tally(2, 200), tally(1), after_ms=8_000), Advance)
    # The first standing is what a rollout begins with; a reason that stays is stored once.
    assert m.kinds() == ["start", "hold", "hold", "advance"]


def test_a_failing_candidate_is_rolled_back_with_its_evidence(m: Rollouts) -> None:
    m.start(2)
    verdict = m.judge(tally(2, 40, errors=20), tally(1))
    assert isinstance(verdict, RollBack)
    assert "20 of 40 requests failed" in verdict.reason
    assert m.split() == [(1, 10_000)]
    detail = m.detail()
    assert (detail.rollout.state, detail.verdicts[0].kind) == ("rolled_back", "roll_back")
    evidence = detail.verdicts[0].evidence
    assert evidence is not None
    assert (evidence.candidate.errors, evidence.champion.requests) == (20, 500)
    assert {finding.guardrail for finding in evidence.findings if finding.state == "broken"} == {"error_rate", "error_rate_rise"}


def test_scores_that_moved_away_roll_back(m: Rollouts) -> None:
    m.start(2)
    verdict = m.judge(tally(2, 500, scores=ALWAYS_THE_SAME), tally(1, 5000))
    assert isinstance(verdict, RollBack)
    assert "(PSI) away from the champion's, limit 0.25" in verdict.reason
    bins = m.detail().verdicts[0].evidence.bins
    assert sum(each.candidate for each in bins) == pytest.approx(1)
    assert sum(each.champion for each in bins) == pytest.approx(1)


def test_a_candidate_that_no_model_server_can_load_is_rolled_back(m: Rollouts) -> None:
    m.start(2)
    assert m.judge(error="the files of m/2 cannot be fetched").code == "refused"
    assert m.judge(acknowledged=2).code == "requests"
    assert m.judge(error="m/2 needs treelite, which is not installed").code == "refused"
    verdict = m.judge(error="m/2 needs treelite, which is not installed", after_ms=10_000)
    assert isinstance(verdict, RollBack)
    assert "a model server refused version 2: m/2 needs treelite" in verdict.reason
    assert m.split() == [(1, 10_000)]


def test_what_was_counted_before_the_step_does_not_count(m: Rollouts) -> None:
    m.start(2, workers=m.workers(tally(2, 1000, errors=900), tally(1, 5000)))
    verdict = m.judge(tally(2, 1010, errors=900), tally(1, 5500))
    assert isinstance(verdict, Hold)
    assert verdict.reason == "10 of the 100 requests that a step needs"


def test_requests_of_a_worker_that_was_restarted_still_count(m: Rollouts) -> None:
    m.start(2)
    m.judge(tally(2, 60, errors=1), tally(1, 600))
    m.judge(tally(2, 30), tally(1, 200), workers=m.workers(tally(2, 30), tally(1, 200), started=m.moment + 1))
    evidence = m.detail().rollout.evidence
    assert evidence is not None
    assert (evidence.candidate.requests, evidence.candidate.errors, evidence.champion.requests) == (90, 1, 800)


def test_several_control_processes_judge_a_rollout_once(m: Rollouts) -> None:
    m.start(2)
    assert m.judge(tally(2, 50), tally(1)) is not None
    assert m.judge(tally(2, 50, errors=50), tally(1), after_ms=500) is None
    assert m.judge(tally(2, 50, errors=50), tally(1), after_ms=600) is not None


def test_a_paused_rollout_takes_no_step_but_still_goes_back(m: Rollouts) -> None:
    m.start(2)
    m.do(actions.pause, "d", "latest", note="let us look")
    assert m.judge(tally(2, 1000), tally(1, 1000)).code == "paused"
    with pytest.raises(NotPaused, match="paused already"):
        m.do(actions.pause, "d", "latest")
    m.do(actions.resume, "d", "latest")
    assert isinstance(m.judge(tally(2, 1000), tally(1, 1000)), Advance)
    m.do(actions.pause, "d", "latest")
    assert isinstance(m.judge(tally(2, 2000, errors=900), tally(1, 2000)), RollBack)
    assert m.kinds() == ["start", "pause", "resume", "advance", "pause", "roll_back"]


def test_people_promote_step_by_step_or_at_once(m: Rollouts) -> None:
    m.start(2)
    m.do(actions.promote, "d", "latest", m.workers())
    assert m.split() == [(2, 5000), (1, 5000)]
    ended = m.do(actions.promote, "d", "latest", m.workers(), to_end=True, note="we know it")
    assert (ended.state, m.split(), m.deployment.version) == ("finished", [(2, 10_000)], 2)
    last = m.detail().verdicts[0]
    assert (last.by, last.reason) == ("Anna", "we know it")


def test_people_roll_back(m: Rollouts) -> None:
    m.start(2)
    m.do(actions.roll_back, "d", "latest", m.workers(tally(2, 7)), note="complaints")
    assert m.split() == [(1, 10_000)]
    assert m.detail().verdicts[0].evidence.candidate.requests == 7
    with pytest.raises(RolloutOver, match="rolled back"):
        m.do(actions.promote, "d", "latest", m.workers())


def test_the_deployment_is_left_alone_while_a_rollout_moves_it(m: Rollouts) -> None:
    m.start(2)
    for change, arguments in (
        (deployments.deploy, {"model": "m", "version": 3}),
        (deployments.split, {"percents": {1: 50, 3: 50}}),
        (deployments.rollback, {"to_generation": 1}),
    ):
        with pytest.raises(RolloutUnderWay, match=r"version 2 is under way on deployment 'd', at 5 %"):
            m.do(change, "d", **arguments)
    with pytest.raises(RolloutUnderWay):
        m.start(3)
    m.do(deployments.deploy, "d", model="m", version=3, cancel_rollout=True)
    assert (m.split(), m.detail().rollout.state) == ([(3, 10_000)], "cancelled")
    assert m.detail().rollout.reason == "version 3 was deployed"


def test_taking_the_deployment_down_ends_its_rollout(m: Rollouts) -> None:
    made = m.start(2)
    m.do(deployments.undeploy, "d")
    state = m.db.read_blocking(lambda tx: tx.scalar(text("SELECT state FROM rollout WHERE id = :id"), id=made.id))
    assert state == "cancelled"


def test_a_rollback_of_the_deployment_passes_over_the_steps_of_rollouts(m: Rollouts) -> None:
    m.start(2)
    m.do(actions.promote, "d", "latest", m.workers(), to_end=True)
    m.do(deployments.rollback, "d")
    assert m.split() == [(1, 10_000)]


def follow(m: Rollouts, version: int) -> None:
    previous = m.do(models.set_alias, "m", "champion", version)
    model_id = m.deployment.model_id
    event = AliasMoved(m.project, model_id, "m", "champion", version, previous, "Anna")
    m.db.write_blocking(lambda tx: deployments.follow_alias(tx, event))


def test_at_the_end_the_alias_is_moved_where_that_was_asked(m: Rollouts) -> None:
    m.do(models.set_alias, "m", "champion", 1)
    m.do(deployments.deploy, "d", model="m", alias="champion")
    m.start(2, promote_alias=True)
    m.do(actions.promote, "d", "latest", m.workers(), to_end=True)
    assert (m.deployment.alias, m.deployment.version) == ("champion", 2)
    assert m.detail().rollout.reason.endswith("the alias champion names it now")


def test_at_the_end_the_deployment_is_pinned_where_its_alias_names_another_version(m: Rollouts) -> None:
    m.do(models.set_alias, "m", "champion", 1)
    m.do(deployments.deploy, "d", model="m", alias="champion")
    m.start(2)
    m.do(actions.promote, "d", "latest", m.workers(), to_end=True)
    assert (m.deployment.alias, m.deployment.version) == (None, 2)
    assert "still names version 1, so the deployment is pinned" in m.detail().rollout.reason


def test_a_gate_keeps_the_alias_and_the_reason_says_so(m: Rollouts) -> None:
    m.do(models.set_alias, "m", "champion", 1)
    m.do(deployments.deploy, "d", model="m", alias="champion")
    m.do(models.add_gate, "m", AddGate("auc >= 0.7", aliases=["champion"]))
    m.start(2, promote_alias=True)
    m.do(actions.promote, "d", "latest", m.workers(), to_end=True)
    assert (m.deployment.alias, m.deployment.version) == (None, 2)
    assert "the alias champion was not moved" in m.detail().rollout.reason


def test_an_alias_that_moves_meanwhile_is_followed_when_the_rollout_has_ended(m: Rollouts) -> None:
    m.do(models.set_alias, "m", "champion", 1)
    m.do(deployments.deploy, "d", model="m", alias="champion")
    m.start(2)
    follow(m, 3)
    assert m.split() == [(2, 500), (1, 9500)]
    assert "is followed when the rollout of version 2 has ended" in m.deployment.problem
    m.do(actions.roll_back, "d", "latest", m.workers())
    assert (m.split(), m.deployment.problem) == ([(3, 10_000)], "")


def test_an_alias_set_to_the_candidate_does_not_bring_back_what_was_rolled_back(m: Rollouts) -> None:
    m.do(models.set_alias, "m", "champion", 1)
    m.do(deployments.deploy, "d", model="m", alias="champion")
    m.start(2)
    follow(m, 2)
    m.do(actions.roll_back, "d", "latest", m.workers())
    assert (m.split(), m.deployment.alias) == ([(1, 10_000)], None)


def test_what_makes_no_rollout_is_refused(m: Rollouts) -> None:
    def start(**fields: Any) -> None:
        m.do(actions.start, "d", StartRollout(**fields), [])

    for error, fields in (
        (SameVersion, {"version": 1}),
        (TwoTargets, {"version": 2, "alias": "champion"}),
        (OtherModel, {"model": "n", "version": 2}),
        (NotFound, {"version": 9}),
        (InvalidPlan, {"version": 2, "steps": (StepPlan(5), StepPlan(50))}),
        (InvalidPlan, {"version": 2, "steps": (StepPlan(50), StepPlan(5), StepPlan(100))}),
        (InvalidPlan, {"version": 2, "steps": (StepPlan(0.001), StepPlan(100))}),
    ):
        with pytest.raises(error):
            start(**fields)
    m.do(deployments.split, "d", {1: 50, 2: 50})
    with pytest.raises(NoChampion, match="split over 2 versions"):
        start(version=3)
    with pytest.raises(UnknownRollout, match="has no rollout"):
        m.do(actions.pause, "d", "latest")


def test_every_move_is_audited_and_its_start_and_end_are_told(m: Rollouts) -> None:
    m.start(2)
    m.judge(tally(2, 10), tally(1))
    m.judge(tally(2, 1000), tally(1, 1000))
    m.judge(tally(2, 2000, errors=900), tally(1, 2000))

    def read(tx: Any) -> Any:
        audited = tx.all(text("SELECT action FROM audit_event WHERE action LIKE 'rollout.%' ORDER BY position"))
        told = tx.all(text("SELECT event FROM outbox WHERE event LIKE 'rollout.%' ORDER BY id"))
        return [row.action for row in audited], [row.event for row in told]

    audited, told = m.db.read_blocking(read)
    assert audited == ["rollout.started", "rollout.held", "rollout.advanced", "rollout.rolled_back"]
    assert told == ["rollout.started", "rollout.ended"]
