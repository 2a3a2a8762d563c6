"""The audit log of one project."""

from __future__ import annotations

from typing import Any

from litestar import Response

from tilth.backends.sql import Tx
from tilth.domains.audit import queries
from tilth.domains.audit.api import read_cursor
from tilth.domains.audit.types import AuditEvent
from tilth.guard import AccessTo, Permission, get
from tilth.web.formatting import of_total
from tilth.web.pages.frame import PAGE_ROWS, Asked, curl, project_url, shell, with_query
from tilth.web.render import page


@get("/p/{project:str}/audit", permission=Permission.AUDIT_READ)
async def audit_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    query, project = request.query_params.get("q", "").strip()[:500], access.project
    before = read_cursor(request.query_params.get("before", ""))
    base = project_url(project.name, "audit")

    def ask(tx: Tx) -> tuple[list[AuditEvent], int]:
        events = queries.events_of_project(tx, project.id, words=query, before=before, limit=PAGE_ROWS + 1)
        return events, queries.count_of_project(tx, project.id)

    events, total = await access.read(ask)
    shown, more = events[:PAGE_ROWS], len(events) > PAGE_ROWS
    last = shown[-1] if shown else None
    return page(
        "audit.html",
        await shell(request, access, "audit", [("Audit log", "")]),
        base=base,
        query=query,
        events=shown,
        shown_text=of_total(len(shown), total) + (" match" if query else " events"),
        next_url=with_query(base, q=query, before=f"{last.at}-{last.id}") if more and last is not None else None,
        snippets=[
            ("CLI", f"tilth audit list --project {project.name} --json"),
            ("curl", curl(f"/api/v1/p/{project.name}/audit")),
        ],
    )


routes: list[Any] = [audit_page]
