"""Models that come from elsewhere, over HTTP. For maintainers: they bear ids, numbers and times of another registry."""

from __future__ import annotations

from litestar.params import JSONBody

from tilth.domains.models.actions import imports
from tilth.guard import AccessTo, Permission, post
from tilth.wire.imports import ImportedLoggedModel, ImportedModelVersions, ImportLoggedModel, ImportModel

BASE = "/api/v1/p/{project:str}/import"


@post(BASE + "/logged-models", permission=Permission.RUN_IMPORT, status_code=200)
async def import_logged_model(access: AccessTo[None], data: JSONBody[ImportLoggedModel]) -> ImportedLoggedModel:
    """Then its files are put to `.../logged-models/{id}/files/` and it is finalised, as any other."""
    return await access.write(lambda tx: imports.import_logged_model(tx, access.actor, access.project.id, data))


@post(BASE + "/models", permission=Permission.RUN_IMPORT, status_code=200)
async def import_model(access: AccessTo[None], data: JSONBody[ImportModel]) -> ImportedModelVersions:
    return await access.write(lambda tx: imports.import_model(tx, access.actor, access.project.id, data))


routes = [import_logged_model, import_model]
