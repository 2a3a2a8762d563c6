"""The audit log of one project, and the state of the chain that holds it together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from litestar import Response

from tilth.backends.sql import Tx
from tilth.domains.audit import queries
from tilth.domains.audit.api import read_cursor
from tilth.domains.audit.jobs import verify_chain
from tilth.domains.audit.types import AuditEvent, Broken
from tilth.guard import DATABASE, Access, AccessTo, Permission, get, post
from tilth.web.formatting import of_total
from tilth.web.pages.frame import PAGE_ROWS, Asked, curl, may, project_url, shell, with_query
from tilth.web.render import page


@dataclass(frozen=True, slots=True)
class Verified:
    holds: bool
    text: str


@get("/p/{project:str}/audit", permission=Permission.AUDIT_READ)
async def audit_page(request: Asked, access: AccessTo[None]) -> Response[str]:
    return await _drawn(request, access, "unasked")


@post("/p/{project:str}/audit/verify", permission=Permission.AUDIT_READ_ALL, status_code=200)
async def verify_audit(request: Asked, access: AccessTo[None]) -> Response[str]:
    """Walks the chain of the whole organisation: for auditors. Changes nothing, so it answers with the page itself."""
    state = request.app.state
    verdict = await asyncio.to_thread(verify_chain, state[DATABASE], state["tilth_checkpoints"])
    if isinstance(verdict, Broken):
        found = Verified(False, f"The chain breaks at position {verdict.position:,}: {verdict.reason}.")
    else:
        found = Verified(
            True, f"{verdict.events:,} rows and {verdict.checkpoints:,} signed checkpoints hold, up to {verdict.head[:12]}."
        )
    return await _drawn(request, access, found)


async def _drawn(request: Asked, access: Access[Any], verdict: Verified | Literal["unasked"]) -> Response[str]:
    query, project = request.query_params.get("q", "").strip()[:500], access.project
    before = read_cursor(request.query_params.get("before", ""))
    base = project_url(project.name, "audit")

    def ask(tx: Tx) -> tuple[list[AuditEvent], int]:
        events = queries.events_of_project(tx, project.id, words=query, before=before, limit=PAGE_ROWS + 1)
        return events, queries.count_of_project(tx, project.id)

    events, total = await access.read(ask)
    shown, more = events[:PAGE_ROWS], len(events) > PAGE_ROWS
    last = shown[-1] if shown else None
    text = f"{len(shown):,} match" if query else f"{of_total(len(shown), total)} events"
    return page(
        "audit.html",
        await shell(request, access, "audit", [("Audit log", "")]),
        base=base,
        query=query,
        events=shown,
        shown_text=text,
        verdict=verdict,
        may_verify=may(access, Permission.AUDIT_READ_ALL),
        next_url=with_query(base, q=query, before=f"{last.at}-{last.id}") if more and last is not None else None,
        snippets=[
            ("CLI", f"tilth audit list --project {project.name} --json"),
            ("curl", curl(f"/api/v1/p/{project.name}/audit")),
        ],
    )


routes: list[Any] = [audit_page, verify_audit]
