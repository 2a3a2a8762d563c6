"""Models from elsewhere over HTTP: where they come from, and who trusts them."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody

from tilth.backends.sql import Tx
from tilth.domains.models import actions, queries
from tilth.guard import AccessTo, Permission, post, put
from tilth.wire.provenance import RecordProvenance, TrustModel
from tilth.wire.registry import LoggedModelView

MODEL = "/api/v1/p/{project:str}/logged-models/{logged_model_id:str}"


@put(MODEL + "/provenance", permission=Permission.MODEL_WRITE)
async def record_provenance(
    access: AccessTo[None], logged_model_id: FromPath[str], data: JSONBody[RecordProvenance]
) -> LoggedModelView:
    """Says where an open logged model comes from; what may run code is served only once a maintainer trusts it."""

    def write(tx: Tx) -> LoggedModelView:
        actions.record_provenance(tx, access.actor, access.project.id, logged_model_id, data)
        return queries.logged_model_view(tx, access.project.id, logged_model_id)

    return await access.write(write)


@post(MODEL + "/trust", permission=Permission.MODEL_TRUST, status_code=200)
async def trust_model(access: AccessTo[None], logged_model_id: FromPath[str], data: JSONBody[TrustModel]) -> LoggedModelView:
    """Says that the code of an imported model may run, in a process of its own."""

    def write(tx: Tx) -> LoggedModelView:
        actions.trust_model(tx, access.actor, access.project.id, logged_model_id, data.reason)
        return queries.logged_model_view(tx, access.project.id, logged_model_id)

    return await access.write(write)


routes = [record_provenance, trust_model]
