"""`tilth deploy` and `tilth deployment ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands.deployment_shadow import replay, shadow, shadow_report
from tilth.cli.deployment_rows import DEPLOYMENT_COLUMNS, deployments_of, row_of
from tilth.cli.references import parse_reference
from tilth.cli.waiting import wait_until
from tilth.core.errors import Conflict, Unavailable
from tilth.core.names import slug_of

RECORD_FIELDS = (*DEPLOYMENT_COLUMNS, "generation", "url", "created", "updated", "changed_by", "problem")
WORKER_COLUMNS = (
    "worker",
    "condition",
    "generation",
    "engine",
    "requests",
    "errors",
    "refused",
    "log_failures",
    "error",
    "notes",
)
GENERATION_COLUMNS = ("generation", "version", "split", "alias", "cause", "by", "created", "note")
POLL_S = 1.0
cancel_option = click.option("--cancel-rollout", is_flag=True, help="End the rollout that is under way, if there is one.")


class DeploymentFailed(Conflict):
    """A model server refused the new version; what was live before still is."""


class NotLive(Unavailable):
    """The deployment was accepted and is not live yet."""


@click.command(
    epilog="""\b
Examples:
  tilth deploy flight-delay@champion --wait
  tilth deploy flight-delay/3 --name flight-delay-canary
  tilth deploy flight-delay/3 --set process=true --set memory_mb=2000
  tilth deploy flight-delay/3 --target ray --replicas 4
"""
)
@click.argument("reference")
@click.option("--name", help="Name of the deployment (default: that of the model).")
@click.option("--wait", is_flag=True, help="Wait until every model server serves it.")
@click.option("--timeout-s", type=click.FloatRange(1, 3600), default=120, show_default=True, help="How long to wait.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting, such as load=lazy; others stay.")
@cancel_option
@click.option("--target", type=click.Choice(["tilth", "ray"]), default="tilth", show_default=True, help="Where it is served.")
@click.option("--replicas", type=click.IntRange(1, 1000), default=1, show_default=True, help="On Ray: how many.")
@click.option("--ray-port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="On Ray: port of its proxy.")
@click.option("--shared", type=click.Path(path_type=Path, file_okay=False), help="On Ray: a folder that all machines see.")
@shared()
def deploy(
    caller: Caller,
    reference: str,
    name: str | None,
    wait: bool,
    timeout_s: float,
    settings: tuple[str, ...],
    cancel_rollout: bool,
    target: str,
    replicas: int,
    ray_port: int,
    shared: Path | None,
) -> None:
    """Put the model version REFERENCE (`flight-delay@champion`, `flight-delay/3`) behind a prediction address.

    A deployment of that name changes over without a failed request; one of an alias follows it when it moves. On Ray it is an
    application of Ray Serve, pinned to the version that REFERENCE names now.
    """
    named = parse_reference(reference)
    name = name or slug_of(named.model)
    if target == "ray":
        # Imported here: the model server's own code would make every other deploy half a second slower.
        from tilth.cli.elsewhere.ray_target import RayOptions, deploy_on_ray

        deploy_on_ray(caller, reference, name, RayOptions(replicas, ray_port, shared))
        return
    body = {**named.to_target(), "cancel_rollout": cancel_rollout, "settings": dict(map(_setting, settings))}
    with Api(caller.target()) as api:
        path = api.in_project("deployments", name)
        state: dict[str, Any] = api.call("PUT", path, body)
        if wait:
            state = _wait_live(api, f"{path}/wait", name, state["generation"], timeout_s, quiet=caller.as_json)
    verb = "is live" if wait else "was accepted and is live in a moment"
    caller.done(f"deployment {name}, version {state['version']} of {state['model']}, {verb}: POST {state['url']}", state)


@click.group(
    epilog="\b\nExamples:\n  tilth deployment list\n  tilth deployment show flight-delay\n  tilth deployment rollback flight-delay --wait\n"
)
def deployment() -> None:
    """Deployments: model versions behind prediction addresses. `tilth deploy` makes and changes them."""


deployment.add_command(shadow)
deployment.add_command(shadow_report)
deployment.add_command(replay)


@deployment.command("list", epilog="\b\nExample:\n  tilth deployment list --json\n")
@shared()
def list_deployments(caller: Caller) -> None:
    """List the deployments of the project."""
    with Api(caller.target()) as api:
        found = deployments_of(api)
    caller.show_rows(
        found if caller.as_json else map(row_of, found),
        DEPLOYMENT_COLUMNS,
        "no deployments; `tilth deploy MODEL@ALIAS` makes one",
    )


@deployment.command("show", epilog="\b\nExample:\n  tilth deployment show flight-delay\n")
@click.argument("name")
@shared()
def show_deployment(caller: Caller, name: str) -> None:
    """Show a deployment: what it routes to, what each model server says, and its latency."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("deployments", name))
    if caller.as_json:
        caller.show_record(found)
        return
    row = row_of(found["deployment"])
    caller.show_record({key: row[key] for key in RECORD_FIELDS})
    click.echo()
    caller.show_rows(row["status"]["workers"], WORKER_COLUMNS, "no model server answers; see `tilth logs serve`")
    click.echo()
    caller.show_rows(map(_with_split, found["generations"]), GENERATION_COLUMNS, "no generations")


def _with_split(generation: dict[str, Any]) -> dict[str, Any]:
    routes = generation["routes"]
    shares = ", ".join(f"{route['version']}={route['share'] * 100:g}" for route in routes)
    return {**generation, "split": shares if len(routes) > 1 else ""}


@deployment.command(
    "rollback",
    epilog="\b\nExamples:\n  tilth deployment rollback flight-delay --wait\n  tilth deployment rollback flight-delay --to 3\n",
)
@click.argument("name")
@click.option("--to", "generation", type=click.IntRange(1), help="Generation (default: the last of another version).")
@click.option("--note", default="", help="Why; shown with the new generation.")
@click.option("--wait", is_flag=True, help="Wait until every model server serves it.")
@click.option("--timeout-s", type=click.FloatRange(1, 3600), default=120, show_default=True, help="How long to wait.")
@cancel_option
@shared()
def roll_back(
    caller: Caller, name: str, generation: int | None, note: str, wait: bool, timeout_s: float, cancel_rollout: bool
) -> None:
    """Serve the version of an earlier generation again, pinned: the deployment no longer follows its alias."""
    with Api(caller.target()) as api:
        path = api.in_project("deployments", name)
        state: dict[str, Any] = api.call(
            "POST", f"{path}/rollback", {"to_generation": generation, "note": note, "cancel_rollout": cancel_rollout}
        )
        if wait:
            state = _wait_live(api, f"{path}/wait", name, state["generation"], timeout_s, quiet=caller.as_json)
    verb = "is live" if wait else "is live in a moment"
    caller.done(f"deployment {name} is back at version {state['version']} of {state['model']}, which {verb}", state)


@deployment.command(
    "split",
    epilog="\b\nExamples:\n  tilth deployment split flight-delay 3=5 2=95 --wait\n  tilth deployment split flight-delay 3=100\n",
)
@click.argument("name")
@click.argument("shares", nargs=-1, required=True, metavar="VERSION=PERCENT...")
@click.option("--note", default="", help="Why; shown with the new generation.")
@click.option("--wait", is_flag=True, help="Wait until every model server serves it.")
@click.option("--timeout-s", type=click.FloatRange(1, 3600), default=120, show_default=True, help="How long to wait.")
@cancel_option
@shared()
def split(
    caller: Caller, name: str, shares: tuple[str, ...], note: str, wait: bool, timeout_s: float, cancel_rollout: bool
) -> None:
    """Share the requests out over versions of the deployment's model; the shares must add up to 100.

    The same caller (header X-Route-Key) always meets the same version. The deployment is pinned: it follows no alias.
    """
    body = {"shares": [_share(each) for each in shares], "note": note, "cancel_rollout": cancel_rollout}
    with Api(caller.target()) as api:
        path = api.in_project("deployments", name)
        state: dict[str, Any] = api.call("PUT", f"{path}/split", body)
        if wait:
            state = _wait_live(api, f"{path}/wait", name, state["generation"], timeout_s, quiet=caller.as_json)
    told = ", ".join(f"version {route['version']} {route['share'] * 100:g} %" for route in state["routes"])
    caller.done(f"deployment {name} {'shares' if wait else 'shares in a moment'}: {told}", state)


def _share(text: str) -> dict[str, Any]:
    version, _, percent = text.partition("=")
    try:
        return {"version": int(version), "percent": float(percent.removesuffix("%"))}
    except ValueError:
        raise click.UsageError(f"{text!r} is no share: write VERSION=PERCENT, such as 3=5 or 3=2.5") from None


@deployment.command("delete", epilog="\b\nExample:\n  tilth deployment delete flight-delay\n")
@click.argument("name")
@shared()
def delete_deployment(caller: Caller, name: str) -> None:
    """Take a deployment away; its address answers 404 within a second."""
    with Api(caller.target()) as api:
        api.call("DELETE", api.in_project("deployments", name))
    caller.done(f"deleted deployment {name}", {"deleted": name})


def _setting(given: str) -> tuple[str, Any]:
    """The value as JSON where it is some, else as text: `true`, `3`, `["customer"]`, `lazy`."""
    key, equals, value = given.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{given!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _wait_live(api: Api, path: str, name: str, generation: int, timeout_s: float, *, quiet: bool) -> dict[str, Any]:
    """The deployment once `generation` of it is live. On a terminal it says how far that is. Raises DeploymentFailed, NotLive."""
    quiet = quiet or not sys.stderr.isatty()
    found: dict[str, Any] = {}

    def settled() -> bool:
        nonlocal found
        found = api.get(path, generation=generation, timeout_s=min(POLL_S, timeout_s))
        if not quiet:
            click.echo(
                f"\r{name}: {found['status']['state']} on {len(found['status']['workers'])} model servers ", nl=False, err=True
            )
        return found["status"]["state"] in ("live", "failed")

    done = wait_until(settled, timeout_s)
    if not quiet:
        click.echo(err=True)
    if found["status"]["state"] == "failed":
        before = "; what was live before still is" if found["status"]["serving"] else ""
        raise DeploymentFailed(f"deployment {name} failed: {found['status']['error'].rstrip('.')}{before}")
    if not done:
        raise NotLive(
            f"deployment {name} is not live after {timeout_s:.0f} s; see `tilth deployment show {name}` and `tilth logs serve`"
        )
    return found
