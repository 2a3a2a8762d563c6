"""A version is proposed, and a person who did not make it decides."""

from __future__ import annotations

from typing import Literal

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.models.queries import gates, registry
from tilth.domains.models.rules import naming
from tilth.domains.models.rules.life import next_state
from tilth.domains.models.types import OwnApproval, VersionApproved, VersionRejected
from tilth.wire.evaluations import ApprovalView

MAX_COMMENT = 10_000


def request_approval(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int, comment: str) -> ApprovalView:
    """Raises UnknownModel, UnknownVersion, WrongApprovalState, TooLongText."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    newest = gates.newest_approval(tx, model, version)
    state = next_state(f"{name}/{version}", newest.state if newest else None, "request")
    gates.insert_approval(
        tx,
        {
            "id": new_id(),
            "project_id": project_id,
            "model_id": model.id,
            "version": version,
            "state": state,
            "comment": _checked(comment),
            "requested": now(),
            "requester_id": actor.id,
            "requester_name": actor.name,
            "decision_comment": "",
            "decided": None,
            "decider_id": None,
            "decider_name": "",
        },
    )
    record(tx, actor, "approval.requested", project_id=project_id, thing=f"{name}/{version}", detail={"comment": comment[:500]})
    return gates.approvals_of(tx, model, version)[0]


def decide_approval(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int, step: Literal["approve", "reject"], comment: str
) -> ApprovalView:
    """Raises UnknownModel, UnknownVersion, WrongApprovalState, OwnApproval, TooLongText.

    Taking back an approval leaves the aliases where they are: it stops the next move.
    """
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    newest = gates.newest_approval(tx, model, version)
    state = next_state(f"{name}/{version}", newest.state if newest else None, step)
    assert newest is not None, "no step but `request` leads on from nothing"
    if gates.policy_of(tx, model).policy.separate_duties:
        if actor.id == gates.author_of(tx, model, version):
            raise OwnApproval(actor.name, name, version, "registered")
        if actor.id == newest.requester_id:
            raise OwnApproval(actor.name, name, version, "asked for the approval of")
    gates.decide_approval(
        tx,
        project_id,
        newest.id,
        state=state,
        decision_comment=_checked(comment),
        decided=now(),
        decider_id=actor.id,
        decider_name=actor.name,
    )
    action = "approval.given" if state == "approved" else "approval.refused"
    record(tx, actor, action, project_id=project_id, thing=f"{name}/{version}", detail={"comment": comment[:500]})
    event = VersionApproved if state == "approved" else VersionRejected
    outbox.add(tx, event(project_id, name, version, actor.name, comment[:500]))
    return gates.approvals_of(tx, model, version)[0]


def _checked(comment: str) -> str:
    return naming.check_text(comment.strip(), "comment", MAX_COMMENT)
