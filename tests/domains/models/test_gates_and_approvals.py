"""Gates and approvals hold an alias back, over HTTP and on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tilth.backends.sql import Database, Tx
from tilth.core.actors import Actor
from tilth.core.errors import TilthError
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import Digest, ProjectId
from tilth.domains.models import actions, queries
from tilth.domains.models.types import (
    GateExists,
    GateFailed,
    NotApproved,
    OwnApproval,
    ReasonMissing,
    ScoresSealed,
    UnknownGate,
    WrongApprovalState,
)
from tilth.wire.evaluations import AddGate, MetricValue, PairedDifference, Policy, RecordEvaluation, SliceResult
from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

PROJECT = ProjectId("p1")
ANNA = Actor(id="anna", name="anna", kind="user", via="token:1")
BERT = Actor(id="bert", name="bert", kind="user", via="token:2")
DOCUMENT = ModelDocument("sklearn", Signature((Column("x", "double"),), (Column("y", "double"),)), "predict", "model.pkl")


@pytest.fixture
def do(either_db: Database) -> Callable[..., Any]:
    """do(action, ...) runs it as Anna; by= as somebody else."""
    return lambda action, *given, by=ANNA, **more: either_db.write_blocking(lambda tx: action(tx, by, PROJECT, *given, **more))


@pytest.fixture
def model(either_db: Database, do: Callable[..., Any], request: pytest.FixtureRequest) -> str:
    """A model of two versions, named after the test."""
    name = request.node.name.partition("[")[0]
    for seed in "ab":
        content = {"MLmodel": b"flavors: {}", "model.pkl": f"{name}{seed}".encode()}
        entries = [FileEntry(path, content_address(data), len(data)) for path, data in content.items()]

        def write(tx: Tx, entries: list[FileEntry] = entries) -> None:
            made = actions.create_logged_model(tx, ANNA, PROJECT, name="m")
            for entry in entries:
                actions.add_file(tx, PROJECT, made.id, entry)
            actions.seal(tx, ANNA, PROJECT, made.id, Manifest.of(entries), DOCUMENT, "sklearn")
            actions.register_version(tx, ANNA, PROJECT, name, made.id)

        either_db.write_blocking(write)
    return name


def record(auc: float, rows_digest: str = "1" * 64, **more: Any) -> RecordEvaluation:
    fields = {"dataset": "week 2", "dataset_digest": "2" * 64, "rows": 100, "task": "classification", **more}
    return RecordEvaluation(rows_digest=rows_digest, metrics={"auc": MetricValue(auc, auc - 0.01, auc + 0.01)}, **fields)


def alias(either_db: Database, name: str) -> int | None:
    return either_db.read_blocking(lambda tx: queries.aliases_of(tx, queries.model_by_name(tx, PROJECT, name))).get("champion")


def test_a_version_below_its_gate_does_not_get_the_alias_and_a_better_one_does(either_db, do, model):
    do(actions.add_gate, model, AddGate("auc >= 0.75"))
    with pytest.raises(GateFailed, match=r"version 1 has no evaluation yet.*tilth model evaluate"):
        do(actions.set_alias, model, "champion", 1)
    done = do(actions.evaluate_version, model, 1, record(0.71))
    assert [verdict.outcome for verdict in done.verdicts] == ["failed"]
    with pytest.raises(GateFailed, match=r"auc is 0.71, below 0.75"):
        do(actions.set_alias, model, "champion", 1)
    assert alias(either_db, model) is None
    do(actions.evaluate_version, model, 1, record(0.76))
    do(actions.set_alias, model, "champion", 1)
    life = either_db.read_blocking(lambda tx: queries.version_life(tx, PROJECT, model, 1))
    assert [check.cause for check in life.checks] == ["alias", "evaluated", "evaluated"]
    assert life.checks[0].verdicts[0].value == 0.76
    assert [step.state for step in life.steps] == ["done"] * 4


def test_a_version_must_beat_the_champion_on_the_same_rows(do, model):
    do(actions.set_alias, model, "champion", 1)
    do(actions.add_gate, model, AddGate("auc beats @champion by 0.005", aliases=["champion"]))
    old = do(actions.evaluate_version, model, 1, record(0.70))
    do(actions.evaluate_version, model, 2, record(0.80, rows_digest="3" * 64))
    with pytest.raises(GateFailed, match="on the same rows"):
        do(actions.set_alias, model, "champion", 2)
    pair = PairedDifference(old.evaluation.id, "auc", 0.01, 0.002, 0.02)
    done = do(actions.evaluate_version, model, 2, record(0.71, differences=[pair]))
    assert done.verdicts[0].against_version == 1
    do(actions.set_alias, model, "candidate", 2)
    do(actions.set_alias, model, "champion", 2)


def test_a_difference_is_shown_with_the_interval_that_was_recorded(either_db, do, model):
    old = do(actions.evaluate_version, model, 1, record(0.70))
    do(
        actions.evaluate_version,
        model,
        2,
        record(0.71, differences=[PairedDifference(old.evaluation.id, "auc", 0.01, 0.002, 0.02)]),
    )
    one, other = (
        either_db.read_blocking(lambda tx, sides=sides: queries.version_difference(tx, PROJECT, model, *sides)).evaluations[0]
        for sides in ((1, 2), (2, 1))
    )
    assert one.same_rows
    assert (one.metrics[0].low, one.metrics[0].better) == (0.002, "b")
    assert (other.metrics[0].low, other.metrics[0].high, other.metrics[0].better) == (-0.02, -0.002, "a")


def test_an_override_needs_a_reason_and_is_kept(either_db, do, model):
    do(actions.add_gate, model, AddGate("auc >= 0.75"))
    with pytest.raises(ReasonMissing):
        do(actions.set_alias, model, "champion", 1, override_reason="  ")
    do(actions.set_alias, model, "champion", 1, override_reason="storm week in the data")
    check = either_db.read_blocking(lambda tx: queries.checks_of(tx, queries.model_by_name(tx, PROJECT, model), 1))[0]
    assert (check.passed, check.override_reason, check.by) == (False, "storm week in the data", "anna")


def test_free_aliases_are_left_alone_and_removed_gates_say_nothing(do, model):
    gate = do(actions.add_gate, model, AddGate("auc >= 0.75"))
    with pytest.raises(GateExists):
        do(actions.add_gate, model, AddGate("auc  >=  0.750"))
    do(actions.set_policy, model, Policy(free_aliases=["candidate"]))
    do(actions.set_alias, model, "candidate", 1)
    with pytest.raises(GateFailed):
        do(actions.set_alias, model, "champion", 1)
    do(actions.remove_gate, model, gate.number)
    do(actions.set_alias, model, "champion", 1)
    with pytest.raises(UnknownGate):
        do(actions.remove_gate, model, gate.number)
    assert do(actions.add_gate, model, AddGate("auc >= 0.75")).number == gate.number + 1


def test_only_an_approved_version_gets_the_alias_and_nobody_approves_his_own(either_db, do, model):
    def states() -> dict[int, str]:
        return either_db.read_blocking(lambda tx: queries.approval_states(tx, queries.model_by_name(tx, PROJECT, model), [1, 2]))

    do(actions.set_policy, model, Policy(approval_for=["champion"]))
    with pytest.raises(NotApproved, match="was not even asked for"):
        do(actions.set_alias, model, "champion", 1)
    with pytest.raises(WrongApprovalState, match="can be: requested for approval"):
        do(actions.decide_approval, model, 1, "approve", "", by=BERT)
    do(actions.request_approval, model, 1, "please")
    with pytest.raises(OwnApproval, match="registered"):
        do(actions.decide_approval, model, 1, "approve", "")
    do(actions.decide_approval, model, 1, "reject", "too slow", by=BERT)
    with pytest.raises(NotApproved, match="was rejected"):
        do(actions.set_alias, model, "champion", 1)
    do(actions.request_approval, model, 1, "faster now", by=BERT)
    with pytest.raises(OwnApproval, match="asked for"):
        do(actions.decide_approval, model, 1, "approve", "", by=BERT)
    carla = Actor(id="carla", name="carla", kind="user", via="token:3")
    assert do(actions.decide_approval, model, 1, "approve", "looked at it", by=carla).decided_by == "carla"
    do(actions.set_alias, model, "champion", 1)
    do(actions.set_policy, model, Policy(approval_for=["champion"], separate_duties=False))
    do(actions.request_approval, model, 2, "")
    assert states() == {1: "approved", 2: "requested"}
    (waiting,) = either_db.read_blocking(lambda tx: queries.waiting_approvals(tx, PROJECT))
    assert (waiting.model, waiting.version) == (model, 2)
    assert either_db.read_blocking(lambda tx: queries.waiting_approvals(tx, "elsewhere")) == []

    def newest(versions: dict[str, int]) -> dict[str, str]:
        return either_db.read_blocking(lambda tx: queries.newest_approvals(tx, PROJECT, versions))

    assert newest({model: 1, "another": 1}) == {model: "approved"}
    assert newest({model: 2}) == {model: "requested"}
    assert newest({model: 3}) == newest({}) == {}
    assert either_db.read_blocking(lambda tx: queries.newest_approvals(tx, "elsewhere", {model: 2})) == {}
    do(actions.decide_approval, model, 2, "approve", "")
    do(actions.set_alias, model, "champion", 2)


def test_the_policy_of_the_project_holds_until_the_model_has_one(either_db, do, model):
    do(actions.set_policy, None, Policy(approval_for=["golden"]))
    with pytest.raises(NotApproved):
        do(actions.set_alias, model, "golden", 1)
    do(actions.set_policy, model, Policy())
    do(actions.set_alias, model, "golden", 1)
    do(actions.set_policy, None, Policy())
    assert either_db.read_blocking(lambda tx: queries.project_policy(tx, PROJECT)).of == "project"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"rows": 0}, "at least one row"),
    ({"dataset_digest": "x"}, "no SHA-256|is not a SHA-256"),
    ({"slices": [SliceResult("o", "J", 101, {})]}, "101 of 100 rows"),
    ({"slices": [SliceResult("o", "J", 9, {}), SliceResult("o", "J", 9, {})]}, "same column and value"),
    ({"latency_p99_ms": -1.0}, "no number of milliseconds"),
    ({"differences": [PairedDifference("0" * 32, "auc", 0.1)]}, "not in this project"),
    ({"name": "a\nb"}, "not allowed"),
]


@pytest.mark.parametrize(("fields", "said"), BAD)
def test_a_record_that_contradicts_itself_is_refused(do, model, fields, said):
    with pytest.raises(TilthError, match=said):
        do(actions.evaluate_version, model, 1, record(0.7, **fields))


def test_scores_are_bound_once_and_only_by_their_digest(either_db, do, model):
    done = do(actions.evaluate_version, model, 1, record(0.7, scores_digest="4" * 64)).evaluation

    def keep(digest: str) -> Any:
        return either_db.write_blocking(lambda tx: actions.keep_scores(tx, PROJECT, done.id, Digest(digest), 800))

    with pytest.raises(ScoresSealed):
        keep("5" * 64)
    assert keep("4" * 64).scores_size == 800
    with pytest.raises(ScoresSealed):
        keep("4" * 64)
