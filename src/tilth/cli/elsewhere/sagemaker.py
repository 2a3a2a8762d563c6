"""Requests and a script for Amazon SageMaker. Pure: values in, documents out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tilth.core.hashing import canonical_json, content_address

MODEL_FILE, CONFIG_FILE, ENDPOINT_FILE, SCRIPT_FILE = "model.json", "endpoint-config.json", "endpoint.json", "create.sh"

SCRIPT = """\
#!/usr/bin/env bash
# Makes the endpoint {endpoint}, or moves it to version {version}. Needs the AWS command line and its credentials. Run it again if it
# broke off: what is there stays.
set -euo pipefail
cd "$(dirname "$0")"

made() {{ aws sagemaker "describe-$1" "--$1-name" "$2" > /dev/null 2>&1; }}

made model {versioned} || aws sagemaker create-model --cli-input-json file://model.json
made endpoint-config {versioned} || aws sagemaker create-endpoint-config --cli-input-json file://endpoint-config.json
if made endpoint {endpoint}; then
  aws sagemaker update-endpoint --cli-input-json file://endpoint.json
else
  aws sagemaker create-endpoint --cli-input-json file://endpoint.json
fi
aws sagemaker wait endpoint-in-service --endpoint-name {endpoint}
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """label: name of the endpoint. number: of the model version, part of the names of what SageMaker never changes."""

    label: str
    number: str
    version: str
    seal: str
    image: str
    role: str
    instance_type: str = "ml.m5.large"
    instances: int = 1

    @property
    def versioned(self) -> str:
        """Another name for other content: what is made under a name stays as it is."""
        content = canonical_json([self.seal, self.image, self.role, self.instance_type, self.instances])
        return f"{self.label}-{self.number}-{content_address(content)[:8]}"


def requests(wanted: Endpoint) -> dict[str, dict[str, Any]]:
    """File -> the request, in the words of SageMaker's API."""
    tags = [{"Key": "tilth:version", "Value": wanted.version}, {"Key": "tilth:seal", "Value": wanted.seal}]
    variant = {
        "VariantName": "all",
        "ModelName": wanted.versioned,
        "InitialInstanceCount": wanted.instances,
        "InstanceType": wanted.instance_type,
        "InitialVariantWeight": 1.0,
    }
    return {
        MODEL_FILE: {
            "ModelName": wanted.versioned,
            "ExecutionRoleArn": wanted.role,
            "PrimaryContainer": {"Image": wanted.image, "Mode": "SingleModel"},
            "EnableNetworkIsolation": True,
            "Tags": tags,
        },
        CONFIG_FILE: {"EndpointConfigName": wanted.versioned, "ProductionVariants": [variant], "Tags": tags},
        ENDPOINT_FILE: {"EndpointName": wanted.label, "EndpointConfigName": wanted.versioned},
    }


def script(wanted: Endpoint) -> str:
    return SCRIPT.format(endpoint=wanted.label, version=wanted.version, versioned=wanted.versioned)
