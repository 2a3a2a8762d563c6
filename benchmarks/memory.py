"""What an idle platform weighs: PSS of the whole process tree of `tilth up` with the demo model deployed and asked a few times.

Beside it `mlflow server` as it starts by default, with nothing deployed. PSS counts a page that n processes share 1/n in each, so
other Python programs on the machine make both look a little lighter.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import sleep

from benchmarks.clients import Connection, median, one_client, request
from benchmarks.demo_model import deploy_in, invocations
from benchmarks.figures import Figure, run_script
from benchmarks.processes import Weight, folder, mlflow_server, tilth_up, weigh

IDLE_S = 10.0
SAMPLES = 5


def measure(quick: bool) -> list[Figure]:
    idle_s = 1.0 if quick else IDLE_S
    with folder() as place:
        bare, ours = our_weight(place, idle_s, quick)
        with mlflow_server(place) as peer:
            theirs = settled(peer.pid, idle_s)
    parts = ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in named(ours).items())
    return [
        Figure(
            "idle platform, demo model deployed",
            "MB",
            ours.pss_mb,
            400,
            f"mlflow server, {theirs.processes} processes",
            theirs.pss_mb,
            note=f"{ours.processes} processes: {parts}",
        ),
        Figure("idle platform, nothing deployed", "MB", bare.pss_mb, None, "the same", theirs.pss_mb),
    ]


def our_weight(place: Path, idle_s: float, quick: bool) -> tuple[Weight, Weight]:
    """Before and after the deployment."""
    with tilth_up(place / "home") as running:
        bare = settled(running.pid, idle_s)
        bodies = deploy_in(running, quick)
        # Several connections, so that each worker has answered.
        for _ in range(8):
            connection = Connection(running.serve_url)
            asked = [request(running.serve_url, "POST", invocations(running), body, running.token) for body in bodies[:25]]
            outcome = one_client(connection, asked)
            connection.close()
            if outcome.failed:
                raise AssertionError(f"predictions failed: {outcome.errors}")
        return bare, settled(running.pid, idle_s)


def settled(pid: int, idle_s: float) -> Weight:
    """The median of a few looks after a while of idleness."""
    sleep(idle_s)
    looks = []
    for _ in range(SAMPLES):
        looks.append(weigh(pid))
        sleep(0.2)
    middle = median([look.pss_mb for look in looks])
    return next(look for look in looks if look.pss_mb == middle)


def named(weight: Weight) -> dict[str, float]:
    """MB by part of the platform."""
    parts: dict[str, float] = {}
    for command, megabytes in weight.each.items():
        part = next((word for word in ("supervisor", "app", "plane") if f"tilth.{word}" in command.replace(".cli", "")), "other")
        part = {"app": "control", "plane": "model servers"}.get(part, part)
        parts[part] = parts.get(part, 0.0) + megabytes
    return parts


if __name__ == "__main__":
    sys.exit(run_script("memory", __doc__ or "", measure))
