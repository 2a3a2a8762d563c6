"""Manifests for Kubernetes, and for KServe on it. Pure: values in, documents out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tilth.cli.elsewhere.image import PORT, USER

Document = dict[str, Any]
DRAIN_S = 30
FORGOTTEN_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a manifest is made of. label: name for the platform; name: of the deployment; cpu, memory: in Kubernetes' own words.

    replicas: at least; most: at most, by load. env: further variables of the container.
    """

    label: str
    name: str
    version: str
    seal: str
    project: str
    image: str
    replicas: int = 2
    most: int = 8
    cpu: str = "1"
    memory: str = "1Gi"

    @property
    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": self.label,
            "app.kubernetes.io/part-of": "tilth",
            "app.kubernetes.io/managed-by": "tilth",
        }

    @property
    def annotations(self) -> dict[str, str]:
        return {
            "tilth.dev/deployment": self.name,
            "tilth.dev/project": self.project,
            "tilth.dev/version": self.version,
            "tilth.dev/seal": self.seal,
        }


def kubernetes(wanted: Wanted) -> dict[str, list[Document]]:
    """File -> its documents: a Deployment behind a Service, scaled by load, never all taken down at once."""
    return {
        "deployment.yaml": [_service_account(wanted), _deployment(wanted)],
        "service.yaml": [_service(wanted)],
        "autoscaling.yaml": [_autoscaler(wanted), _disruption_budget(wanted)],
    }


def kserve(wanted: Wanted) -> dict[str, list[Document]]:
    """An InferenceService with a custom container that speaks the Open Inference Protocol (v2) and v1."""
    container = _container(wanted, name="kserve-container")
    # KServe makes its own Service and names ports by their protocol.
    container["ports"] = [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}]
    spec = {
        "predictor": {
            "minReplicas": wanted.replicas,
            "maxReplicas": wanted.most,
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [_scratch()],
        }
    }
    metadata = {"name": wanted.label, "labels": wanted.labels, "annotations": wanted.annotations}
    return {
        "inference-service.yaml": [
            {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}
        ]
    }


def _metadata(wanted: Wanted) -> Document:
    return {"name": wanted.label, "labels": wanted.labels, "annotations": wanted.annotations}


def _service_account(wanted: Wanted) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": wanted.label, "labels": wanted.labels},
        "automountServiceAccountToken": False,
    }


def _deployment(wanted: Wanted) -> Document:
    selector = {"app.kubernetes.io/name": wanted.label}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {**selector}},
    }
    pod = {
        "serviceAccountName": wanted.label,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": DRAIN_S,
        "topologySpreadConstraints": [spread],
        "containers": [{**_container(wanted, name="model"), "lifecycle": {"preStop": _pause()}}],
        "volumes": [_scratch()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(wanted),
        "spec": {
            # The autoscaler sets the number: one written here would undo it at each apply.
            "revisionHistoryLimit": 5,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": wanted.labels, "annotations": wanted.annotations}, "spec": pod},
        },
    }


def _container(wanted: Wanted, *, name: str) -> Document:
    return {
        "name": name,
        "image": wanted.image,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": wanted.cpu, "memory": wanted.memory},
            # No limit of CPU: a throttled model server is late for a tenth of a second at a time.
            "limits": {"memory": wanted.memory},
        },
        "startupProbe": _probe("/v2/health/ready", periodSeconds=2, failureThreshold=90),
        "readinessProbe": _probe("/v2/health/ready", periodSeconds=5, failureThreshold=2),
        "livenessProbe": _probe("/v2/health/live", periodSeconds=10, failureThreshold=3),
        # Of the container, not of the pod: Knative below KServe refuses the latter.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }


def _probe(path: str, **times: int) -> Document:
    return {"httpGet": {"path": path, "port": PORT}, "timeoutSeconds": 2, **times}


def _pause() -> Document:
    """A pod answers on while the cluster still learns that it goes. KServe does without: Knative waits by itself, and refuses hooks."""
    return {"exec": {"command": ["python", "-c", f"import time; time.sleep({FORGOTTEN_AFTER_S})"]}}


def _scratch() -> Document:
    return {"name": "scratch", "emptyDir": {"sizeLimit": "256Mi"}}


def _service(wanted: Wanted) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(wanted),
        "spec": {
            "type": "ClusterIP",
            "selector": {"app.kubernetes.io/name": wanted.label},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def _autoscaler(wanted: Wanted) -> Document:
    target = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(wanted),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": wanted.label},
            "minReplicas": wanted.replicas,
            "maxReplicas": wanted.most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def _disruption_budget(wanted: Wanted) -> Document:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(wanted),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": wanted.label}}},
    }
