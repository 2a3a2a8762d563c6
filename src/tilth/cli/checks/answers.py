"""Whether what should answer does: ports, control, model servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from tilth.app.settings import Settings
from tilth.cli.checks.findings import Finding, broken, note, ok
from tilth.cli.client import API, Api
from tilth.cli.ports import holder_of
from tilth.core.clock import Millis
from tilth.core.errors import TilthError
from tilth.core.home import Target
from tilth.wire.plane import LEASE_MS, STATUS_FOLDER, WorkerStatus


def check_ports(settings: Settings) -> Iterator[Finding]:
    """For a server that does not run: whether its ports are free."""
    for key, port in (("port", settings.port), ("serve_port", settings.serve_port)):
        holder = holder_of(port) if port else None
        if holder is None:
            yield ok(key, f"{port} is free" if port else "any free one")
        else:
            flag = f"--{key.replace('_', '-')}"
            found = f"{port} is in use by process {holder[0]} ({holder[1][:80]})"
            yield broken(key, found, f"start with {flag} and another number, or set {key} in tilth.toml")


def check_control(target: Target) -> Finding:
    try:
        with Api(target, timeout_s=5) as api:
            health = api.get(f"{API}/health")
            who = api.get(f"{API}/whoami")
    except TilthError as error:
        return broken("control", str(error), "look at `tilth logs control`, then `tilth stop` and `tilth up`")
    return ok("control", f"{target.url} answers, version {health['version']}, signed in as {who['name']}")


def check_events(target: Target) -> Finding:
    """Events that were given up: a deployment may not have followed its alias, say."""
    try:
        with Api(target, timeout_s=5) as api:
            found = api.get(f"{API}/outbox")
    except TilthError as error:
        return note("events", f"could not be looked at: {error}", "sign in as an organisation auditor or admin")
    if found["dead"]:
        first = found["dead"][0]
        told = f"{len(found['dead'])} could not be delivered; the first is {first['event']} ({first['id']}): {first['error']}"
        return broken("events", told, f"mend the reason, then POST {target.url}{API}/outbox/<id>/retry")
    return ok("events", f"{found['waiting']} on their way, none given up")


def check_model_servers(home: Path, target: Target, now: Millis) -> Iterator[Finding]:
    """What the model servers last said of themselves, and whether their port answers."""
    statuses = list(_statuses(home))
    living = [status for status in statuses if now - status.written < LEASE_MS]
    if not living:
        silent = f"{len(statuses)} were seen, none within {LEASE_MS // 1000} s" if statuses else "none was ever seen"
        yield broken("model servers", silent, "look at `tilth logs serve`, then `tilth stop` and `tilth up`")
        return
    yield ok("model servers", f"{len(living)} alive: {', '.join(f'{status.worker} (process {status.pid})' for status in living)}")
    for status in living:
        for deployment in status.deployments:
            if deployment.error:
                found = (
                    f"{status.worker} refused generation {deployment.failed_generation} of {deployment.id}: {deployment.error}"
                )
                yield broken("deployment", found, "deploy a version that loads; what was live before still serves")
            for version in deployment.versions:
                if version.condition in ("stuck", "restarting"):
                    found = f"{status.worker} cannot answer for {version.key}, which is {version.condition}: {version.error}"
                    mend = "deploy it with `--set process=true`, which lets what hangs be ended, or deploy another version"
                    yield broken("model", found, mend)
                if version.remark:
                    found = f"{version.key} {version.remark} in {status.worker}"
                    yield note("model", found, "deploy it with `--set process=true`, or a version that does not hang")
            if deployment.log_failures:
                found = f"{status.worker} could not log {deployment.log_failures} predictions of {deployment.id}"
                yield broken("prediction log", found, f"look at space and rights of {home / 'predictions'}")
    if target.serve_url:
        yield _answers(target)


def _answers(target: Target) -> Finding:
    try:
        with Api(replace(target, url=target.serve_url), timeout_s=5) as api:
            api.get("/health/live")
    except TilthError as error:
        return broken("predictions", str(error), "look at `tilth logs serve`, then `tilth stop` and `tilth up`")
    return ok("predictions", f"{target.serve_url} answers")


def _statuses(home: Path) -> Iterator[WorkerStatus]:
    for path in sorted((home / STATUS_FOLDER).glob("*.json")):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=WorkerStatus)
        except (OSError, msgspec.MsgspecError):
            continue


def check_settings_note(settings: Settings) -> Finding:
    reach = (
        "this machine only" if settings.loopback else f"other machines, by {'TLS' if settings.tls_cert else 'a trusted proxy'}"
    )
    kind = "SQLite" if settings.on_sqlite else "PostgreSQL"
    return (
        ok("settings", f"{kind}, reachable from {reach}")
        if settings.loopback
        else note("settings", f"{kind}, reachable from {reach}")
    )
