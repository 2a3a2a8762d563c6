"""A rollout in a terminal: rows of its steps and guardrails, and a live view."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tilth.cli.caller import cell, words

STEP_COLUMNS = ("step", "percent", "bake_s", "state", "generation", "started", "live_since")
FINDING_COLUMNS = ("guardrail", "state", "candidate", "champion", "limit", "words")
VERDICT_COLUMNS = ("number", "at", "step", "kind", "by", "reason")
TONES = {
    "ok": "green",
    "passed": "green",
    "finished": "green",
    "current": "cyan",
    "running": "cyan",
    "broken": "bold red",
    "rolled_back": "bold red",
    "unclear": "yellow",
    "waiting": "dim",
    "idle": "dim",
}
TRACK = 40


def headline(rollout: dict[str, Any]) -> dict[str, Any]:
    """What the rollout is, a field for each line."""
    seen = rollout["evidence"] or {}
    sides = {side: seen.get(side) or {} for side in ("candidate", "champion")}
    return {
        "deployment": rollout["deployment"],
        "model": rollout["model"],
        "candidate": f"version {rollout['candidate']}, {sides['candidate'].get('requests', 0):,} requests in this step",
        "champion": f"version {rollout['champion']}, {sides['champion'].get('requests', 0):,} requests in this step",
        "state": rollout["state"].replace("_", " "),
        "reason": rollout["reason"],
        "created": rollout["created"],
        "by": rollout["by"],
        "ended": rollout["ended"],
        "id": rollout["id"],
    }


def step_rows(rollout: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"step": number, **step} for number, step in enumerate(rollout["steps"], 1)]


def finding_rows(rollout: dict[str, Any]) -> list[dict[str, Any]]:
    found = (rollout["evidence"] or {}).get("findings", [])
    return [{**finding, "candidate": finding["value"]} for finding in found]


def verdict_rows(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**verdict, "step": verdict["step"] + 1, "kind": verdict["kind"].replace("_", " ")} for verdict in verdicts]


def live_view(rollout: dict[str, Any]) -> Group:
    """For rich.live.Live: the track of steps, the reason, and each guardrail."""
    seen = rollout["evidence"] or {}
    done = round(TRACK * seen.get("percent", 0) / 100)
    track = Text.assemble(("━" * done, "cyan"), ("━" * (TRACK - done), "dim"), f"  {seen.get('percent', 0):g} %")
    counted = (seen.get("candidate") or {}).get("requests", 0)
    title = Text.assemble(
        (f"{rollout['deployment']}  ", "bold"),
        f"version {rollout['champion']} → {rollout['candidate']}  ",
        (rollout["state"].replace("_", " "), TONES.get(rollout["state"], "")),
        f"  {counted:,} requests in step {rollout['step'] + 1} of {len(rollout['steps'])}",
    )
    table = Table(*(words(column) for column in FINDING_COLUMNS), box=box.SIMPLE_HEAD, pad_edge=False)
    for row in finding_rows(rollout):
        cells = [Text(cell(column, row.get(column))) for column in FINDING_COLUMNS]
        cells[1].stylize(TONES.get(row["state"], ""))
        table.add_row(*cells)
    return Group(title, track, Text(rollout["reason"], style="dim"), table)
