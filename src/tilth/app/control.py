"""The control app: every route of the API and the pages behind one guard, one error table and one set of protections."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State

from tilth.app import mlflow_server, operations
from tilth.app.http import error_handlers
from tilth.app.protection import Protection
from tilth.app.wiring import System
from tilth.domains.alerts import api as alerts
from tilth.domains.audit import api as audit
from tilth.domains.comments import api as comments
from tilth.domains.identity import api as identity
from tilth.domains.models import api as models
from tilth.domains.serving import api as serving
from tilth.domains.tracking import api as tracking
from tilth.guard import DATABASE, GATE, AccessTo, Permission, dependencies, get, guarded_routes
from tilth.web import render_error
from tilth.web import routes as pages

VERSION = version("tilth")
MAX_BODY_BYTES = 10_000_000


@get("/api/v1/health", permission=Permission.PUBLIC)
async def health(access: AccessTo[None]) -> dict[str, str]:
    """Answers once the control process takes requests."""
    return {"status": "ok", "version": VERSION}


def create_app(system: System) -> Protection:
    """The whole control process as one ASGI app. Refuses to start it if any route is unguarded (UnguardedRoute)."""
    # Outside of Litestar, whose own middleware does not see addresses that no route answers.
    return Protection(create_routes(system), [*system.settings.allowed_hosts, system.settings.host])


def create_routes(system: System) -> Litestar:
    app = Litestar(
        route_handlers=[
            health,
            *operations.routes,
            *mlflow_server.routes,
            *identity.routes,
            *comments.routes,
            *audit.routes,
            *tracking.routes,
            *models.routes,
            *serving.routes,
            *alerts.routes,
            *pages,
        ],
        dependencies=dependencies(),
        exception_handlers=error_handlers(render_error),
        compression_config=CompressionConfig(
            backend="gzip", gzip_compress_level=5, minimum_size=1024, exclude_opt_key="tilth_uncompressed"
        ),
        request_max_body_size=MAX_BODY_BYTES,
        state=State(_state(system)),
        # Litestar would set the root logger to INFO and log each request; the setting log_level decides that here.
        logging_config=None,
        # Its documentation pages load scripts from elsewhere, which the content security policy forbids.
        openapi_config=None,
    )
    guarded_routes(app)
    return app


def _state(system: System) -> dict[str, Any]:
    return {
        GATE: system.gate,
        DATABASE: system.database,
        "tilth_blobs": system.blobs,
        "tilth_doorkeeper": system.doorkeeper,
        "tilth_settings": system.settings,
        "tilth_publisher": system.publisher,
        "tilth_statuses": system.statuses,
        "tilth_prediction_reader": system.predictions,
        "tilth_shipping_desk": system.shipping,
        "tilth_trials": system.trials,
        "tilth_serve_url": system.serve_url,
        "tilth_control_url": system.control_url,
        "tilth_checkpoints": system.checkpoints,
        alerts.SEALER: system.sealer,
        alerts.RECEIVERS: system.receivers,
        "tilth_max_artifact_bytes": system.settings.max_artifact_bytes,
        "tilth_signed_download_s": system.settings.signed_download_s,
        "tilth_heartbeat_timeout_s": system.settings.heartbeat_timeout_s,
        "tilth_trash_days": system.settings.trash_days,
    }
