"""Gates, the checks that were kept, approvals and policies: what is asked of them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import and_, func, insert, select, tuple_, update

from tilth.backends.sql import Tx, upsert
from tilth.domains.models.queries import evaluations, registry
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.rules import gates as rules
from tilth.domains.models.tables import approval, gate, gate_check, model_policy, model_version, registered_model
from tilth.domains.models.types import UnknownGate
from tilth.wire.evaluations import ApprovalState, ApprovalView, GateCheck, GateView, Policy, PolicyView, Verdict

MAX_GATES = 100
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Approval:
    """The newest request for one version."""

    id: str
    state: ApprovalState
    requester_id: str


@dataclass(frozen=True, slots=True)
class WaitingApproval:
    model: str
    version: int
    requested_by: str
    requested: int


def gates_of(tx: Tx, model: RegisteredModel) -> list[GateView]:
    """By number, at most 100."""
    rows = tx.all(
        select(gate.c.number, gate.c.expression, gate.c.evaluation, gate.c.aliases, gate.c.created, gate.c.creator_name)
        .where(gate.c.project_id == model.project_id, gate.c.model_id == model.id, gate.c.removed.is_(None))
        .order_by(gate.c.number)
        .limit(MAX_GATES)
    )
    return [GateView(row.number, row.expression, row.evaluation, row.aliases, row.created, row.creator_name) for row in rows]


def gate_of(tx: Tx, model: RegisteredModel, number: int) -> GateView:
    """Raises UnknownGate."""
    found = next((each for each in gates_of(tx, model) if each.number == number), None)
    if found is None:
        raise UnknownGate(model.name, number)
    return found


def last_gate_number(tx: Tx, model: RegisteredModel) -> int:
    """Removed ones count: a number is never given twice."""
    found = tx.scalar(select(func.max(gate.c.number)).where(gate.c.project_id == model.project_id, gate.c.model_id == model.id))
    return int(found or 0)


def verdicts_of(tx: Tx, model: RegisteredModel, version: int, alias: str | None = None) -> list[Verdict]:
    """What the gates say of the version now: those that guard `alias`, or all of them."""
    policy = policy_of(tx, model).policy
    asked = [each for each in gates_of(tx, model) if alias is None or rules.guards(each.aliases, alias, policy.free_aliases)]
    if not asked:
        return []
    measured = evaluations.evaluations_of_version(tx, model, version)
    incumbents: dict[str, rules.Incumbent] = {}
    found = []
    for each in asked:
        expression = rules.parse_gate(each.expression)
        incumbent = None
        if isinstance(expression, rules.Beats):
            if expression.alias not in incumbents:
                incumbents[expression.alias] = _incumbent(tx, model, expression.alias)
            incumbent = incumbents[expression.alias]
        found.append(rules.judge(each.number, each.expression, each.evaluation, version, measured, incumbent))
    return found


def _incumbent(tx: Tx, model: RegisteredModel, alias: str) -> rules.Incumbent:
    number = registry.alias_version(tx, model, alias)
    return rules.Incumbent(number, evaluations.evaluations_of_version(tx, model, number) if number is not None else ())


def checks_of(tx: Tx, model: RegisteredModel, version: int | None = None, *, limit: int = 20) -> list[GateCheck]:
    """Checks that were kept, newest first; of one version, or of the whole model."""
    conditions = [gate_check.c.project_id == model.project_id, gate_check.c.model_id == model.id]
    if version is not None:
        conditions.append(gate_check.c.version == version)
    rows = tx.all(
        select(
            gate_check.c.version,
            gate_check.c.alias,
            gate_check.c.cause,
            gate_check.c.passed,
            gate_check.c.override_reason,
            gate_check.c.verdicts,
            gate_check.c.at,
            gate_check.c.actor_name,
        )
        .where(*conditions)
        .order_by(gate_check.c.id.desc())
        .limit(min(limit, MAX_PAGE))
    )
    return [
        GateCheck(
            row.version,
            row.alias,
            row.cause,
            row.passed,
            row.override_reason,
            msgspec.convert(row.verdicts, list[Verdict]),
            row.at,
            row.actor_name,
        )
        for row in rows
    ]


def approvals_of(tx: Tx, model: RegisteredModel, version: int) -> list[ApprovalView]:
    """Newest first, at most 100."""
    rows = tx.all(
        select(*approval.c)
        .where(approval.c.project_id == model.project_id, approval.c.model_id == model.id, approval.c.version == version)
        .order_by(approval.c.id.desc())
        .limit(100)
    )
    return [
        ApprovalView(
            row.state,
            row.requested,
            row.requester_name,
            row.comment,
            row.decided,
            row.decider_name,
            row.decision_comment,
        )
        for row in rows
    ]


def newest_approval(tx: Tx, model: RegisteredModel, version: int) -> Approval | None:
    row = tx.one(
        select(approval.c.id, approval.c.state, approval.c.requester_id)
        .where(approval.c.project_id == model.project_id, approval.c.model_id == model.id, approval.c.version == version)
        .order_by(approval.c.id.desc())
        .limit(1)
    )
    return Approval(row.id, row.state, row.requester_id) if row is not None else None


def approval_states(tx: Tx, model: RegisteredModel, versions: Sequence[int]) -> dict[int, ApprovalState]:
    """The state of the newest request of each of at most 500 versions; versions that nobody asked for are left out."""
    wanted = list(versions)[:MAX_PAGE]
    mine = (approval.c.project_id == model.project_id, approval.c.model_id == model.id, approval.c.version.in_(wanted))
    newest = select(func.max(approval.c.id)).where(*mine).group_by(approval.c.version)
    rows = tx.all(select(approval.c.version, approval.c.state).where(*mine, approval.c.id.in_(newest)).limit(MAX_PAGE))
    return {row.version: row.state for row in rows}


def newest_approvals(tx: Tx, project_id: str, newest: Mapping[str, int]) -> dict[str, ApprovalState]:
    """What became of the newest request for the newest version; models without one are left out.

    newest: number of that version by name of the model, at most 500.
    """
    wanted = tuple_(registered_model.c.name, approval.c.version).in_(list(newest.items())[:MAX_PAGE])
    mine = (approval.c.project_id == project_id, registered_model.c.deleted_at.is_(None), wanted)
    joined = approval.join(registered_model, registered_model.c.id == approval.c.model_id)
    last = select(func.max(approval.c.id)).select_from(joined).where(*mine).group_by(approval.c.model_id)
    rows = tx.all(
        select(registered_model.c.name, approval.c.state)
        .select_from(joined)
        .where(*mine, approval.c.id.in_(last))
        .limit(MAX_PAGE)
    )
    return {row.name: row.state for row in rows}


def waiting_approvals(tx: Tx, project_id: str, limit: int = 100) -> list[WaitingApproval]:
    """Requests that nobody has decided yet, newest first; of models and versions that are not deleted."""
    rows = tx.all(
        select(registered_model.c.name, approval.c.version, approval.c.requester_name, approval.c.requested)
        .join(registered_model, registered_model.c.id == approval.c.model_id)
        .join(
            model_version,
            and_(model_version.c.model_id == approval.c.model_id, model_version.c.version == approval.c.version),
        )
        .where(
            approval.c.project_id == project_id,
            approval.c.state == "requested",
            registered_model.c.deleted_at.is_(None),
            model_version.c.deleted_at.is_(None),
        )
        .order_by(approval.c.id.desc())
        .limit(min(limit, MAX_PAGE))
    )
    return [WaitingApproval(row.name, row.version, row.requester_name, row.requested) for row in rows]


def author_of(tx: Tx, model: RegisteredModel, version: int) -> str:
    """Id of who registered the version, empty for one that does not exist."""
    found = tx.scalar(
        select(model_version.c.creator_id).where(
            model_version.c.project_id == model.project_id,
            model_version.c.model_id == model.id,
            model_version.c.version == version,
        )
    )
    return str(found or "")


def policy_of(tx: Tx, model: RegisteredModel) -> PolicyView:
    """The model's own policy, else that of its project, else the default."""
    rows = tx.all(
        select(
            model_policy.c.model_id, model_policy.c.free_aliases, model_policy.c.approval_for, model_policy.c.separate_duties
        ).where(model_policy.c.project_id == model.project_id, model_policy.c.model_id.in_([model.id, ""]))
    )
    found = {row.model_id: Policy(row.free_aliases, row.approval_for, row.separate_duties) for row in rows}
    if model.id and model.id in found:
        return PolicyView(found[model.id], "model")
    return PolicyView(found[""], "project") if "" in found else PolicyView(Policy(), "default")


def project_policy(tx: Tx, project_id: str) -> PolicyView:
    return policy_of(tx, RegisteredModel("", project_id, "", "", 0))


def insert_gate(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(gate).values(**row))


def mark_gate_removed(tx: Tx, model: RegisteredModel, number: int, at: int) -> None:
    tx.run(
        update(gate)
        .where(gate.c.project_id == model.project_id, gate.c.model_id == model.id, gate.c.number == number)
        .values(removed=at)
    )


def insert_check(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(gate_check).values(**row))


def insert_approval(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(approval).values(**row))


def decide_approval(tx: Tx, project_id: str, approval_id: str, **changes: Any) -> None:
    tx.run(update(approval).where(approval.c.project_id == project_id, approval.c.id == approval_id).values(**changes))


def put_policy(tx: Tx, project_id: str, model_id: str, policy: Policy, at: int) -> None:
    """model_id empty: the policy of the project."""
    columns = {
        "free_aliases": policy.free_aliases,
        "approval_for": policy.approval_for,
        "separate_duties": policy.separate_duties,
        "updated": at,
    }
    tx.run(
        upsert(model_policy, keys=["project_id", "model_id"], update=list(columns)).values(
            project_id=project_id, model_id=model_id, **columns
        )
    )
