"""`tilth export kubernetes|kserve|sagemaker`: a deployment as manifests of other platforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from tilth.cli.caller import Caller, shared
from tilth.cli.elsewhere import sagemaker as aws
from tilth.cli.elsewhere.deployed import deployed
from tilth.cli.elsewhere.kubernetes import Document, Wanted
from tilth.cli.elsewhere.kubernetes import kserve as inference_service
from tilth.cli.elsewhere.kubernetes import kubernetes as manifests

OUT = click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.")
IMAGE = click.option("--image", required=True, help="The image that `tilth image` made, as the platform can pull it.")


def sized(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of what runs on Kubernetes."""
    for option in (
        click.option("--memory", default="1Gi", show_default=True, help="Memory of one, requested and at most."),
        click.option("--cpu", default="1", show_default=True, help="Cores that one asks for."),
        click.option("--max-replicas", "most", type=click.IntRange(1, 1000), default=8, show_default=True, help="Most, by load."),
        click.option("--replicas", type=click.IntRange(1, 1000), default=2, show_default=True, help="At least so many."),
    ):
        command = option(command)
    return command


@click.command(
    "kubernetes",
    epilog="\b\nExample:\n  tilth export kubernetes flight-delay --image registry.example.org/flight-delay:3 --out ./k8s\n",
)
@click.argument("deployment")
@IMAGE
@OUT
@sized
@shared()
def export_kubernetes(caller: Caller, deployment: str, image: str, out: Path, **size: Any) -> None:
    """Deployment, Service, autoscaler and disruption budget: `kubectl apply -f FOLDER`."""
    _write_manifests(caller, out, manifests(_wanted(caller, deployment, image, size)), f"kubectl apply -f {out}")


@click.command(
    "kserve",
    epilog="\b\nExample:\n  tilth export kserve flight-delay --image registry.example.org/flight-delay:3 --out ./kserve\n",
)
@click.argument("deployment")
@IMAGE
@OUT
@sized
@shared()
def export_kserve(caller: Caller, deployment: str, image: str, out: Path, **size: Any) -> None:
    """An InferenceService of KServe with the image as its container, answering the protocols v2 and v1."""
    _write_manifests(caller, out, inference_service(_wanted(caller, deployment, image, size)), f"kubectl apply -f {out}")


@click.command(
    "sagemaker",
    epilog="\b\nExample:\n  tilth export sagemaker flight-delay --image registry.example.org/flight-delay:3 --role ARN --out ./aws\n",
)
@click.argument("deployment")
@IMAGE
@OUT
@click.option("--role", required=True, help="ARN of the role that SageMaker runs it by.")
@click.option("--instance-type", default="ml.m5.large", show_default=True, help="Kind of machine.")
@click.option("--instances", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@shared()
def export_sagemaker(
    caller: Caller, deployment: str, image: str, out: Path, role: str, instance_type: str, instances: int
) -> None:
    """Requests for model, endpoint configuration and endpoint, and a script that sends them by the AWS command line."""
    what = deployed(caller.target(), deployment)
    number = what.model.name.rpartition("/")[2]
    wanted = aws.Endpoint(what.label, number, what.model.name, what.model.seal, image, role, instance_type, instances)
    out.mkdir(parents=True, exist_ok=True)
    found = aws.requests(wanted)
    for name, request in found.items():
        (out / name).write_bytes(msgspec.json.format(msgspec.json.encode(request), indent=2) + b"\n")
    script = out / aws.SCRIPT_FILE
    script.write_text(aws.script(wanted))
    script.chmod(0o755)
    files = [*found, aws.SCRIPT_FILE]
    caller.done(f"{out}: {', '.join(files)}; send them: {script}", {"folder": str(out), "files": files})


def _wanted(caller: Caller, deployment: str, image: str, size: dict[str, Any]) -> Wanted:
    if size["most"] < size["replicas"]:
        raise click.UsageError(f"--max-replicas {size['most']} is less than --replicas {size['replicas']}")
    what = deployed(caller.target(), deployment)
    return Wanted(what.label, what.view.name, what.model.name, what.model.seal, what.view.project, image, **size)


def _write_manifests(caller: Caller, out: Path, files: dict[str, list[Document]], what_next: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, documents in files.items():
        (out / name).write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120))
    caller.done(f"{out}: {', '.join(files)}; start it: {what_next}", {"folder": str(out), "files": list(files)})
