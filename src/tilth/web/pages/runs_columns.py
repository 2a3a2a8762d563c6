"""Which columns a list of runs has: chosen on a form, kept in a cookie for each project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.guard import AccessTo, Permission, get
from tilth.web.metric_names import is_system, ranked
from tilth.web.pages.frame import Asked, project_url, shell, with_query
from tilth.web.pages.runs_question import read_question
from tilth.web.render import page
from tilth.web.run_table import MAX_COLUMNS, STATS, Column, column_of, columns_from_cookie, cookie_of

COLUMN_COOKIE = "tilth_columns"
MAX_KEYS = 300
YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True)
class Offer:
    """A key with the columns that it can have: one, or for a metric its last, best, least and greatest value."""

    label: str
    kind: str
    columns: list[tuple[str, str, bool]]


def picked_columns(request: Asked, project: str) -> list[Column]:
    """What the reader picked in this project; empty when he never did."""
    return columns_from_cookie(request.cookies.get(f"{COLUMN_COOKIE}_{project}", ""))


@get("/p/{project:str}/run-columns", permission=Permission.RUN_READ)
async def columns_page(request: Asked, access: AccessTo[None]) -> Response[Any]:
    """The form; sent with `columns=set` or `columns=auto`, it keeps the choice and goes back to the list."""
    project, question = access.project, read_question(request)
    runs_url = project_url(project.name, "runs")
    if request.query_params.get("columns"):
        automatic = request.query_params.get("columns") == "auto"
        value = "" if automatic else cookie_of(request.query_params.getall("column", []))
        answer = Redirect(with_query(runs_url, **question.address()), status_code=303)
        answer.set_cookie(
            Cookie(
                key=f"{COLUMN_COOKIE}_{project.name}",
                value=value,
                path=project_url(project.name),
                max_age=YEAR_S if value else 0,
                httponly=True,
                samesite="lax",
                secure=request.scope["scheme"] == "https",
            )
        )
        return answer
    picked = [column.key for column in picked_columns(request, project.name)]
    offers = await access.read(lambda tx: _offers(tx, project.id, set(picked)))
    return page(
        "run_columns.html",
        await shell(request, access, "runs", [("Runs", runs_url), ("Columns", "")]),
        action=project_url(project.name, "run-columns"),
        kept=[(name, value) for name, value in question.address().items() if value],
        offers=offers,
        most=MAX_COLUMNS,
        stats=STATS,
        cut=len(offers) >= MAX_KEYS,
    )


def _figures(key: str) -> list[tuple[str, str]]:
    return [(stat, f"metrics.{key}" if stat == "last" else f"metrics.{key}:{stat}") for stat in STATS]


def _offers(tx: Tx, project_id: str, picked: set[str]) -> list[Offer]:
    keys = queries.keys_there_are(tx, project_id, "metric", limit=MAX_KEYS)
    ordered = [*ranked(keys), *(key for key in keys if is_system(key))]
    offers = [Offer(key, "metric", [(stat, name, name in picked) for stat, name in _figures(key)]) for key in ordered]
    for kind, prefix in (("param", "params."), ("tag", "tags.")):
        known = queries.keys_there_are(tx, project_id, "param" if kind == "param" else "tag", limit=MAX_KEYS)
        visible = [key for key in known if not key.startswith(("mlflow.", "tilth."))]
        offers += [Offer(key, kind, [("show", prefix + key, prefix + key in picked)]) for key in visible]
    known_names = {name for offer in offers for _, name, _ in offer.columns}
    lost = [column for name in sorted(picked - known_names) if (column := column_of(name)) is not None]
    return [*(Offer(column.label, column.kind, [("show", column.key, True)]) for column in lost), *offers]


routes: list[Any] = [columns_page]
