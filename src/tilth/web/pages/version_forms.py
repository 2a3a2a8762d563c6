"""What people change on the page of a model version: its card, where aliases point, whether it may be served, and its end."""

from __future__ import annotations

from typing import Any, Literal

from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.domains.models import actions, queries
from tilth.domains.models.rules.card import HUMAN_FIELDS
from tilth.domains.models.types import NotImported
from tilth.guard import AccessTo, Permission, post
from tilth.web.pages.frame import Asked, back, project_url, read_form
from tilth.web.pages.version import VERSION


@post(VERSION + "/card", permission=Permission.MODEL_WRITE)
async def fill_card(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    form = await read_form(request)
    fields: dict[str, str | None] = {key: form.text(key) or None for key in HUMAN_FIELDS if form.has(key)}
    await access.write(lambda tx: actions.fill_card(tx, access.actor, access.project.id, name, version, fields))
    return _back(access, name, version, "saved")


@post(VERSION + "/aliases", permission=Permission.ALIAS_SET)
async def set_alias(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    form = await read_form(request)
    alias, remove = form.text("alias"), form.has("remove")

    def change(tx: Tx) -> None:
        if remove:
            actions.remove_alias(tx, access.actor, access.project.id, name, alias)
        else:
            actions.set_alias(tx, access.actor, access.project.id, name, alias, version)

    await access.write(change)
    return _back(access, name, version, "removed" if remove else "alias")


@post(VERSION + "/delete", permission=Permission.MODEL_DELETE)
async def delete_version(access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    await access.write(lambda tx: actions.delete_version(tx, access.actor, access.project.id, name, version))
    return back(project_url(access.project.name, "models", name), "trashed")


@post(VERSION + "/override", permission=Permission.GATE_RELAX)
async def override(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    form = await read_form(request)
    alias, reason = form.text("alias"), form.text("reason")
    await access.write(
        lambda tx: actions.set_alias(tx, access.actor, access.project.id, name, alias, version, override_reason=reason)
    )
    return _back(access, name, version, "alias")


@post(VERSION + "/trust", permission=Permission.MODEL_TRUST)
async def trust(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    reason = (await read_form(request)).text("reason")

    def change(tx: Tx) -> None:
        logged_model_id = queries.version_view(tx, access.project.id, name, version).logged_model_id
        if logged_model_id is None:
            raise NotImported(f"{name}/{version}")
        actions.trust_model(tx, access.actor, access.project.id, logged_model_id, reason)

    await access.write(change)
    return _back(access, name, version, "saved")


@post(VERSION + "/approval", permission=Permission.MODEL_WRITE)
async def request_approval(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    comment = (await read_form(request)).text("comment")
    await access.write(lambda tx: actions.request_approval(tx, access.actor, access.project.id, name, version, comment))
    return _back(access, name, version, "saved")


@post(VERSION + "/approval/decide", permission=Permission.APPROVAL_DECIDE)
async def decide_approval(request: Asked, access: AccessTo[None], name: FromPath[str], version: FromPath[int]) -> Redirect:
    form = await read_form(request)
    decision: Literal["approve", "reject"] = "approve" if form.text("decision") == "approve" else "reject"
    comment = form.text("comment")
    await access.write(lambda tx: actions.decide_approval(tx, access.actor, access.project.id, name, version, decision, comment))
    return _back(access, name, version, "saved")


def _back(access: Any, name: str, version: int, done: str) -> Redirect:
    return back(project_url(access.project.name, "models", name, "versions", version), done)


routes: list[Any] = [
    fill_card,
    set_alias,
    delete_version,
    override,
    trust,
    request_approval,
    decide_approval,
]
