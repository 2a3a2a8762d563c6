"""A deployment as the API and the pages show it: its row joined with what the workers say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from msgspec.structs import replace

from tilth.domains.serving.rules.liveness import status_of
from tilth.domains.serving.types import WHOLE, Deployment, Generation, Route
from tilth.wire.plane import WorkerStatus
from tilth.wire.serving import DeploymentView, GenerationView, RouteView
from tilth.wire.shipping import RefusedSegment


def deployment_view(
    deployment: Deployment,
    model: str,
    project: str,
    workers: Sequence[WorkerStatus],
    serve_url: str,
    refused: Sequence[RefusedSegment] = (),
) -> DeploymentView:
    """workers: those whose lease is young (rules.liveness.leased). model, project: names. serve_url: of the model servers. refused:
    segments that could not be shipped."""
    status = status_of(deployment.id, deployment.generation, workers)
    return DeploymentView(
        id=deployment.id,
        name=deployment.name,
        project=project,
        model=model,
        alias=deployment.alias,
        version=deployment.version,
        generation=deployment.generation,
        routes=_routes(deployment.routes),
        settings=deployment.settings,
        created=deployment.created,
        updated=deployment.updated,
        changed_by=deployment.changed_by,
        problem=deployment.problem,
        url=f"{serve_url.rstrip('/')}/p/{quote(project)}/deployments/{quote(deployment.name)}/invocations",
        status=replace(status, unkept=unkept(refused, deployment.id, sum(worker.log_failures for worker in status.workers))),
    )


def unkept(refused: Sequence[RefusedSegment], deployment_id: str, log_failures: int) -> str:
    """What there is to say of a deployment some of whose predictions are not kept; else empty. log_failures: how many were not logged."""
    told = []
    if log_failures:
        told.append(f"Answered since the model servers started, and not logged: {log_failures:,}; `tilth doctor` says why")
    held = [segment for segment in refused if deployment_id in segment.deployment_ids]
    if held:
        size = sum(segment.size for segment in held) / 1e6
        told.append(
            f"Segments of the prediction log that could not be shipped and are kept aside: {len(held)} ({size:,.1f} MB), because "
            f"{held[0].why}; `tilth predictions retry` tries again"
        )
    return ". ".join(told)


def generation_view(generation: Generation) -> GenerationView:
    return GenerationView(
        generation=generation.generation,
        cause=generation.cause,
        alias=generation.alias,
        from_version=generation.from_version,
        version=generation.version,
        routes=_routes(generation.routes),
        settings=generation.settings,
        note=generation.note,
        created=generation.created,
        by=generation.by,
    )


def _routes(routes: Sequence[Route]) -> list[RouteView]:
    return [RouteView(route.version, route.weight / WHOLE) for route in routes]
