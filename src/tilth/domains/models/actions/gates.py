"""Gates are added, asked and removed; an alias moves only where they and the approvals let it."""

from __future__ import annotations

from typing import Literal

import msgspec

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId, new_id
from tilth.core.names import check_name
from tilth.domains.audit.actions import record
from tilth.domains.models.queries import gates, registry
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.rules import naming
from tilth.domains.models.rules.gates import Beats, parse_gate
from tilth.domains.models.types import GateExists, GateFailed, GuardedName, NotApproved, ReasonMissing, TooManyGates
from tilth.wire.evaluations import AddGate, GateCheck, GateView, Policy, Verdict

Cause = Literal["evaluated", "asked", "alias"]


def add_gate(tx: Tx, actor: Actor, project_id: ProjectId, name: str, wanted: AddGate) -> GateView:
    """Raises UnknownModel, InvalidGate, GateExists, TooManyGates, InvalidName."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    expression = parse_gate(wanted.expression)
    if isinstance(expression, Beats):
        naming.check_alias(expression.alias)
    if wanted.evaluation:
        check_name(wanted.evaluation, "evaluation")
    aliases = sorted({naming.check_alias(alias) for alias in wanted.aliases})
    text, known = str(expression), gates.gates_of(tx, model)
    for each in known:
        if (each.expression, each.evaluation, each.aliases) == (text, wanted.evaluation, aliases):
            raise GateExists(name, each.number, text)
    if len(known) >= gates.MAX_GATES:
        raise TooManyGates(name, gates.MAX_GATES)
    number = gates.last_gate_number(tx, model) + 1
    gates.insert_gate(
        tx,
        {
            "id": new_id(),
            "project_id": project_id,
            "model_id": model.id,
            "number": number,
            "expression": text,
            "evaluation": wanted.evaluation,
            "aliases": aliases,
            "created": now(),
            "creator_id": actor.id,
            "creator_name": actor.name,
            "removed": None,
        },
    )
    record(tx, actor, "gate.added", project_id=project_id, thing=name, detail={"gate": number, "says": text, "aliases": aliases})
    return gates.gate_of(tx, model, number)


def remove_gate(tx: Tx, actor: Actor, project_id: ProjectId, name: str, number: int) -> GateView:
    """Raises UnknownModel, UnknownGate."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    found = gates.gate_of(tx, model, number)
    gates.mark_gate_removed(tx, model, number, now())
    record(tx, actor, "gate.removed", project_id=project_id, thing=name, detail={"gate": number, "says": found.expression})
    return found


def check_gates(tx: Tx, actor: Actor, project_id: ProjectId, name: str, version: int, alias: str | None) -> GateCheck:
    """Asks the gates and keeps what they say. alias None: all gates. Raises UnknownModel, UnknownVersion."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    verdicts = gates.verdicts_of(tx, model, version, alias)
    return keep_check(tx, actor, model, version, "asked", verdicts, alias=alias or "")


def set_policy(tx: Tx, actor: Actor, project_id: ProjectId, name: str | None, policy: Policy) -> None:
    """name None: the policy of the project, for models without one of their own. Raises UnknownModel, InvalidName."""
    model_id = "" if name is None else registry.model_by_name(tx, project_id, name, lock=True).id
    checked = Policy(
        sorted({naming.check_alias(alias) for alias in policy.free_aliases}),
        sorted({naming.check_alias(alias) for alias in policy.approval_for}),
        policy.separate_duties,
    )
    gates.put_policy(tx, project_id, model_id, checked, now())
    record(
        tx, actor, "model_policy.changed", project_id=project_id, thing=name or "all models", detail=msgspec.to_builtins(checked)
    )


def admit_to_alias(tx: Tx, actor: Actor, model: RegisteredModel, version: int, alias: str, override_reason: str | None) -> None:
    """Lets the alias move to the version, and keeps why. Raises GateFailed, NotApproved; with a reason neither stops it."""
    policy = gates.policy_of(tx, model).policy
    verdicts = gates.verdicts_of(tx, model, version, alias)
    failed = [each for each in verdicts if each.outcome != "passed"]
    newest = gates.newest_approval(tx, model, version) if alias in policy.approval_for else None
    unapproved = alias in policy.approval_for and (newest is None or newest.state != "approved")
    if override_reason is None:
        if failed:
            raise GateFailed(
                model.name, version, alias, [(each.expression, each.reason) for each in failed], _advice(model, version, failed)
            )
        if unapproved:
            raise NotApproved(model.name, version, alias, _STANDS[newest.state if newest else ""])
    if override_reason is not None and (failed or unapproved):
        record(
            tx,
            actor,
            "gate.overridden",
            project_id=model.project_id,
            thing=f"{model.name}@{alias}",
            detail={
                "to": version,
                "reason": override_reason,
                "gates": [each.expression for each in failed],
                "approved": not unapproved,
            },
        )
    if verdicts or alias in policy.approval_for:
        keep_check(
            tx,
            actor,
            model,
            version,
            "alias",
            verdicts,
            alias=alias,
            override_reason=override_reason or "",
            approved=not unapproved,
        )


def check_name_given_up(tx: Tx, model: RegisteredModel, may_loosen: bool) -> None:
    """Another model may take the name, and starts without gates. may_loosen: the caller may remove them. Raises GuardedName."""
    if not may_loosen and (gates.gates_of(tx, model) or gates.policy_of(tx, model).of == "model"):
        raise GuardedName(model.name)


def judge_imported_alias(tx: Tx, actor: Actor, model: RegisteredModel, version: int, alias: str) -> bool:
    """Whether gates and approvals let an alias in that comes from elsewhere."""
    try:
        admit_to_alias(tx, actor, model, version, alias, None)
    except (GateFailed, NotApproved):
        return False
    return True


def check_reason(reason: str) -> str:
    """Raises ReasonMissing."""
    if not 3 <= len(reason.strip()) <= 1000 or "\0" in reason:
        raise ReasonMissing
    return reason.strip()


def keep_check(
    tx: Tx,
    actor: Actor,
    model: RegisteredModel,
    version: int,
    cause: Cause,
    verdicts: list[Verdict],
    *,
    alias: str = "",
    override_reason: str = "",
    approved: bool = True,
) -> GateCheck:
    at, passed = now(), approved and all(each.outcome == "passed" for each in verdicts)
    gates.insert_check(
        tx,
        {
            "id": new_id(),
            "project_id": model.project_id,
            "model_id": model.id,
            "version": version,
            "alias": alias,
            "cause": cause,
            "passed": passed,
            "override_reason": override_reason,
            "verdicts": msgspec.to_builtins(verdicts),
            "at": at,
            "actor_id": actor.id,
            "actor_name": actor.name,
        },
    )
    return GateCheck(version, alias, cause, passed, override_reason, verdicts, at, actor.name)


_STANDS = {"": "was not even asked for", "requested": "still waits for its approval", "rejected": "was rejected"}


def _advice(model: RegisteredModel, version: int, failed: list[Verdict]) -> str:
    if any(each.outcome == "unknown" for each in failed):
        return f"Evaluate it: `tilth model evaluate {model.name}/{version} DATA --target COLUMN`, or tilth.evaluate(...)"
    return "Register a better version, or let an owner override it: `tilth model alias ... --override REASON`"
