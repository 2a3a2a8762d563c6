"""Our own API of gates, policies and approvals, and of what they say about a version."""

from __future__ import annotations

from litestar.params import FromPath, FromQuery, JSONBody

from tilth.backends.sql import Tx
from tilth.domains.models import actions, queries
from tilth.guard import AccessTo, Permission, delete, get, post, put
from tilth.wire.evaluations import (
    AddGate,
    ApprovalView,
    AskApproval,
    CheckGates,
    DecideApproval,
    GateCheck,
    GateList,
    GateView,
    OverrideAlias,
    Policy,
    PolicyView,
    VersionDifference,
    VersionLife,
)
from tilth.wire.registry import ModelView

PROJECT = "/api/v1/p/{project:str}"
MODEL = PROJECT + "/models/{name:str}"
VERSION = MODEL + "/versions/{version:int}"


@get(MODEL + "/gates", permission=Permission.MODEL_READ)
async def list_gates(access: AccessTo[None], name: FromPath[str]) -> GateList:
    return await access.read(lambda tx: GateList(queries.gates_of(tx, queries.model_by_name(tx, access.project.id, name))))


@post(MODEL + "/gates", permission=Permission.GATE_ADD)
async def add_gate(access: AccessTo[None], name: FromPath[str], data: JSONBody[AddGate]) -> GateView:
    return await access.write(lambda tx: actions.add_gate(tx, access.actor, access.project.id, name, data))


@delete(MODEL + "/gates/{number:int}", permission=Permission.GATE_RELAX)
async def remove_gate(access: AccessTo[None], name: FromPath[str], number: FromPath[int]) -> None:
    await access.write(lambda tx: actions.remove_gate(tx, access.actor, access.project.id, name, number))


@post(VERSION + "/gates/check", permission=Permission.MODEL_WRITE, status_code=200)
async def check_gates(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[CheckGates]
) -> GateCheck:
    """Asks the gates now and keeps what they say."""
    return await access.write(lambda tx: actions.check_gates(tx, access.actor, access.project.id, name, version, data.alias))


@post(MODEL + "/aliases/{alias:str}/override", permission=Permission.GATE_RELAX, status_code=200)
async def override_alias(
    access: AccessTo[None], name: FromPath[str], alias: FromPath[str], data: JSONBody[OverrideAlias]
) -> ModelView:
    """Sets the alias in spite of gates and approvals; the reason is kept."""
    project_id = access.project.id

    def write(tx: Tx) -> ModelView:
        actions.set_alias(tx, access.actor, project_id, name, alias, data.version, override_reason=data.reason)
        return queries.model_view(tx, project_id, name)

    return await access.write(write)


@get(MODEL + "/policy", permission=Permission.MODEL_READ)
async def read_policy(access: AccessTo[None], name: FromPath[str]) -> PolicyView:
    """What holds for the model: its own policy, the project's, or the default."""
    return await access.read(lambda tx: queries.policy_of(tx, queries.model_by_name(tx, access.project.id, name)))


@put(MODEL + "/policy", permission=Permission.GATE_RELAX)
async def set_policy(access: AccessTo[None], name: FromPath[str], data: JSONBody[Policy]) -> PolicyView:
    project_id = access.project.id

    def write(tx: Tx) -> PolicyView:
        actions.set_policy(tx, access.actor, project_id, name, data)
        return queries.policy_of(tx, queries.model_by_name(tx, project_id, name))

    return await access.write(write)


@get(PROJECT + "/model-policy", permission=Permission.MODEL_READ)
async def read_project_policy(access: AccessTo[None]) -> PolicyView:
    return await access.read(lambda tx: queries.project_policy(tx, access.project.id))


@put(PROJECT + "/model-policy", permission=Permission.GATE_RELAX)
async def set_project_policy(access: AccessTo[None], data: JSONBody[Policy]) -> PolicyView:
    """For every model of the project that has no policy of its own."""
    project_id = access.project.id

    def write(tx: Tx) -> PolicyView:
        actions.set_policy(tx, access.actor, project_id, None, data)
        return queries.project_policy(tx, project_id)

    return await access.write(write)


@get(VERSION + "/life", permission=Permission.MODEL_READ)
async def read_life(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> VersionLife:
    """Where the version stands: evaluations, what the gates say now, approvals, the checks that were kept."""
    return await access.read(lambda tx: queries.version_life(tx, access.project.id, name, version))


@post(VERSION + "/approval", permission=Permission.MODEL_WRITE)
async def request_approval(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[AskApproval]
) -> ApprovalView:
    return await access.write(
        lambda tx: actions.request_approval(tx, access.actor, access.project.id, name, version, data.comment)
    )


@post(VERSION + "/approval/approve", permission=Permission.APPROVAL_DECIDE, status_code=200)
async def approve(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[DecideApproval]
) -> ApprovalView:
    return await access.write(
        lambda tx: actions.decide_approval(tx, access.actor, access.project.id, name, version, "approve", data.comment)
    )


@post(VERSION + "/approval/reject", permission=Permission.APPROVAL_DECIDE, status_code=200)
async def reject(
    access: AccessTo[None], name: FromPath[str], version: FromPath[int], data: JSONBody[DecideApproval]
) -> ApprovalView:
    """Also takes back an approval; aliases stay where they are."""
    return await access.write(
        lambda tx: actions.decide_approval(tx, access.actor, access.project.id, name, version, "reject", data.comment)
    )


@get(MODEL + "/diff", permission=Permission.MODEL_READ)
async def read_difference(access: AccessTo[None], name: FromPath[str], a: FromQuery[int], b: FromQuery[int]) -> VersionDifference:
    """Version b beside version a, part by part."""
    return await access.read(lambda tx: queries.version_difference(tx, access.project.id, name, a, b))


routes = [
    list_gates,
    add_gate,
    remove_gate,
    check_gates,
    override_alias,
    read_policy,
    set_policy,
    read_project_policy,
    set_project_policy,
    read_life,
    request_approval,
    approve,
    reject,
    read_difference,
]
