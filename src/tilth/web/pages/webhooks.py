"""Webhooks of a project: where they send, what came of it."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.domains.alerts import actions, queries
from tilth.domains.alerts.api import make_webhook
from tilth.domains.alerts.rules.messages import ALL_EVENTS, EVENTS
from tilth.guard import Access, AccessTo, Permission, get, post
from tilth.web.commands import shown_command
from tilth.web.formatting import count
from tilth.web.pages.frame import PAGE_ROWS, Asked, back, curl, may, project_url, read_form, read_offset, shell, with_query
from tilth.web.render import page
from tilth.wire.alerts import WebhookCreate

ONE = "/p/{project:str}/webhooks/{name:str}"


@get("/p/{project:str}/webhooks", permission=Permission.WEBHOOK_READ)
async def webhooks_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    return await _list(request, access, None)


@post("/p/{project:str}/webhooks", permission=Permission.WEBHOOK_MANAGE, status_code=200)
async def create_webhook(request: Asked, access: AccessTo[None]) -> Response[str]:
    """Answers with the page itself: the secret is shown this once and stands in no address."""
    form = await read_form(request)
    wanted = WebhookCreate(form.text("name"), form.text("url"), form.many("event") or [ALL_EVENTS])
    made = await make_webhook(request, access, wanted)
    return await _list(request, access, {"name": made.webhook.name, "text": made.secret})


async def _list(request: Asked, access: Access[Any], secret: dict[str, str] | None) -> Response[str]:
    project = access.project
    return page(
        "webhooks.html",
        await shell(request, access, "webhooks", [("Webhooks", "")]),
        base=project_url(project.name, "webhooks"),
        webhooks=await access.read(lambda tx: queries.webhook_views(tx, project.id)),
        secret=secret,
        events=EVENTS,
        may_manage=may(access, Permission.WEBHOOK_MANAGE),
        snippets=[
            ("CLI", shown_command("tilth", "webhook", "list", "--project", project.name)),
            ("curl", curl(f"/api/v1/p/{project.name}/webhooks")),
        ],
    )


@get(ONE, permission=Permission.WEBHOOK_READ)
async def webhook_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    project, offset = access.project, read_offset(request)

    def look(tx: Tx) -> Any:
        known = queries.webhook_named(tx, project.id, name)
        return known, queries.deliveries_page(tx, project.id, known.id, limit=PAGE_ROWS, offset=offset)

    known, found = await access.read(look)
    base, shown = project_url(project.name, "webhooks", name), offset + len(found.deliveries)
    return page(
        "webhook.html",
        await shell(request, access, "webhooks", [("Webhooks", project_url(project.name, "webhooks")), (name, "")]),
        base=base,
        webhook=known,
        deliveries=found.deliveries,
        total_text=count(found.total),
        shown=shown,
        next_url=with_query(base, **{"from": shown}) if shown < found.total else "",
        may_manage=may(access, Permission.WEBHOOK_MANAGE),
        snippets=[
            ("CLI", shown_command("tilth", "webhook", "deliveries", name, "--project", project.name)),
            ("curl", curl(f"/api/v1/p/{project.name}/webhooks/{name}/deliveries")),
        ],
    )


@post(ONE + "/change", permission=Permission.WEBHOOK_MANAGE)
async def change_webhook(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    """The button decides: test, on, off or delete."""
    form, project = await read_form(request), access.project
    base = project_url(project.name, "webhooks")
    if form.has("delete"):
        await access.write(lambda tx: actions.delete_webhook(tx, access.actor, project.id, name))
        return back(base, "removed")
    if form.has("test"):
        await access.write(lambda tx: actions.test_webhook(tx, access.actor, project.id, name))
        return back(f"{base}/{name}", "sent")
    active = form.has("on")
    await access.write(lambda tx: actions.change_webhook(tx, access.actor, project.id, name, active=active))
    return back(f"{base}/{name}", "saved")


@post(ONE + "/retry", permission=Permission.WEBHOOK_MANAGE)
async def retry_delivery(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Redirect:
    form, project = await read_form(request), access.project
    delivery = form.text("delivery")
    await access.write(lambda tx: actions.send_again(tx, access.actor, project.id, name, delivery))
    return back(project_url(project.name, "webhooks", name), "sent")


routes: list[Any] = [webhooks_page, create_webhook, webhook_page, change_webhook, retry_delivery]
