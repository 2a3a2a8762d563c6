"""Addresses of MLflow's own pages, which its clients print (`/#/experiments/0/runs/<id>`), lead to ours."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

from litestar.response import Redirect

from tilth.backends.sql import Tx
from tilth.domains.tracking.queries.experiment_numbers import ids_of_numbers
from tilth.guard import AccessTo, Permission, get
from tilth.web.pages.frame import Asked, project_url

_RUN = re.compile(r"/experiments/\d+/runs/(?P<run>[0-9A-Za-z_-]{1,64})(?:[/?].*)?")
_EXPERIMENT = re.compile(r"/experiments/(?P<number>\d{1,9})(?:[/?].*)?")
_MODEL = re.compile(r"/models/(?P<model>[^/?]{1,1000})(?:/versions/(?P<version>\d{1,9}))?(?:[/?].*)?")


@get("/p/{project:str}/from-mlflow", permission=Permission.PROJECT_READ)
async def from_mlflow(request: Asked, access: AccessTo[None]) -> Redirect:
    """at: what stands behind `#` in MLflow's address. What is not understood leads to the runs, as MLflow's first page would."""
    at, project = request.query_params.get("at", "")[:2000], access.project
    runs = project_url(project.name, "runs")
    if found := _RUN.fullmatch(at):
        return _to(project_url(project.name, "runs", found["run"]))
    if found := _MODEL.fullmatch(at):
        parts: tuple[str | int, ...] = ("versions", int(found["version"])) if found["version"] else ()
        return _to(project_url(project.name, "models", unquote(found["model"]), *parts))
    if at.rstrip("/") == "/models":
        return _to(project_url(project.name, "models"))
    if found := _EXPERIMENT.fullmatch(at):
        number = int(found["number"])

        def find(tx: Tx) -> str | None:
            return ids_of_numbers(tx, project.id, [number]).get(number)

        experiment = await access.read(find)
        return _to(f"{runs}?experiment={quote(experiment, safe='')}" if experiment is not None else runs)
    return _to(runs)


def _to(address: str) -> Redirect:
    return Redirect(address, status_code=303)


routes: list[Any] = [from_mlflow]
