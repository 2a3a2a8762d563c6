"""Deployments as rows of a table."""

from __future__ import annotations

from typing import Any

from tilth.cli.client import Api

MOST_DEPLOYMENTS = 1000
DEPLOYMENT_COLUMNS = ("name", "model", "alias", "version", "state", "workers", "requests", "p50_ms", "p95_ms", "p99_ms")


def deployments_of(api: Api) -> list[dict[str, Any]]:
    return list(api.rows(api.in_project("deployments"), "deployments", MOST_DEPLOYMENTS))


def row_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The deployment with its state beside its name; latency is that of the last minute."""
    status = deployment["status"]
    return {
        **deployment,
        "state": status["state"],
        "workers": len(status["workers"]),
        "requests": status["requests"],
        "p50_ms": status["latency"]["p50_ms"],
        "p95_ms": status["latency"]["p95_ms"],
        "p99_ms": status["latency"]["p99_ms"],
    }
