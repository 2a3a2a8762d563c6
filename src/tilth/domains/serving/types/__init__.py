"""Values, events and errors of deployments and of what belongs to them. Pure."""

from tilth.domains.serving.types.deployments import (
    PLANE_TOPIC,
    WHOLE,
    Cause,
    Deployment,
    DeploymentChanged,
    Generation,
    InvalidSplit,
    NothingToRollBack,
    NotServable,
    Route,
    TwoTargets,
    UnknownDeployment,
    UnknownGeneration,
)

__all__ = [
    "PLANE_TOPIC",
    "WHOLE",
    "Cause",
    "Deployment",
    "DeploymentChanged",
    "Generation",
    "InvalidSplit",
    "NotServable",
    "NothingToRollBack",
    "Route",
    "TwoTargets",
    "UnknownDeployment",
    "UnknownGeneration",
]
