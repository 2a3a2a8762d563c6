"""Evaluations are recorded, never changed."""

from __future__ import annotations

import msgspec

from tilth.backends.sql import Tx, blob_use, outbox
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import Digest, ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.models.actions.gates import keep_check
from tilth.domains.models.queries import evaluations, gates, logged, registry
from tilth.domains.models.rules.evaluations import check_evaluation
from tilth.domains.models.types import InvalidEvaluation, ScoresSealed, VersionEvaluated
from tilth.domains.tracking.queries.hot import run_head
from tilth.domains.tracking.types import UnknownRun
from tilth.wire.evaluations import EvaluationView, RecordedEvaluation, RecordEvaluation

_IN_BODY = ("metrics", "slices", "latency_p50_ms", "latency_p99_ms", "differences", "left_out")


def evaluate_version(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int, wanted: RecordEvaluation
) -> RecordedEvaluation:
    """Keeps what was measured and asks the gates. Raises UnknownModel, UnknownVersion, UnknownRun, Invalid."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    found = registry.version_of(tx, model, version)
    made = _insert(tx, actor, project_id, wanted, logged_model_id=found.logged_model_id, model_id=model.id, version=version)
    record(
        tx, actor, "model_version.evaluated", project_id=project_id, thing=f"{name}/{version}", detail={"evaluation": made.name}
    )
    outbox.add(tx, VersionEvaluated(project_id, name, version, made.id, made.name, actor.name))
    verdicts = gates.verdicts_of(tx, model, version)
    if verdicts:
        keep_check(tx, actor, model, version, "evaluated", verdicts)
    return RecordedEvaluation(made, verdicts)


def evaluate_logged_model(
    tx: Tx, actor: Actor, project_id: ProjectId, logged_model_id: str, wanted: RecordEvaluation
) -> RecordedEvaluation:
    """The versions that the logged model is, or becomes, have the evaluation, too. Raises UnknownLoggedModel, UnknownRun, Invalid."""
    source = logged.logged_model_by_id(tx, project_id, logged_model_id)
    made = _insert(tx, actor, project_id, wanted, logged_model_id=source.id, model_id=None, version=None)
    record(tx, actor, "logged_model.evaluated", project_id=project_id, thing=source.id, detail={"evaluation": made.name})
    return RecordedEvaluation(made, [])


def keep_scores(tx: Tx, project_id: ProjectId, evaluation_id: str, digest: Digest, size: int) -> EvaluationView:
    """Binds stored bytes to the evaluation that announced them. size in bytes. Raises UnknownEvaluation, ScoresSealed."""
    found = evaluations.evaluation_by_id(tx, project_id, evaluation_id)
    if found.scores_digest != digest or not evaluations.keep_scores(tx, project_id, evaluation_id, size):
        raise ScoresSealed(evaluation_id)
    blob_use.claim(tx, project_id, digest, size)
    return evaluations.evaluation_by_id(tx, project_id, evaluation_id)


def forget_evaluations(tx: Tx, project_id: ProjectId, logged_model_id: str) -> None:
    """Of a logged model that is deleted: lets go of the scores, too."""
    for digest in evaluations.delete_evaluations(tx, project_id, logged_model_id):
        blob_use.release(tx, project_id, digest)


def _insert(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    wanted: RecordEvaluation,
    *,
    logged_model_id: str | None,
    model_id: str | None,
    version: int | None,
) -> EvaluationView:
    check_evaluation(wanted)
    if wanted.run_id is not None and run_head(tx, project_id, wanted.run_id) is None:
        raise UnknownRun(wanted.run_id)
    others = {each.evaluation_id for each in wanted.differences}
    if strange := others - evaluations.known_evaluations(tx, project_id, sorted(others)):
        raise InvalidEvaluation(f"it names a difference from evaluation {min(strange)[:80]!r}, which is not in this project")
    plain = msgspec.to_builtins(wanted)
    evaluation_id = new_id()
    evaluations.insert_evaluation(
        tx,
        {
            "id": evaluation_id,
            "project_id": project_id,
            "logged_model_id": logged_model_id,
            "model_id": model_id,
            "version": version,
            **{key: value for key, value in plain.items() if key not in _IN_BODY},
            "body": {key: plain[key] for key in _IN_BODY},
            "scores_size": None,
            "created": now(),
            "creator_id": actor.id,
            "creator_name": actor.name,
        },
    )
    return evaluations.evaluation_by_id(tx, project_id, evaluation_id)
