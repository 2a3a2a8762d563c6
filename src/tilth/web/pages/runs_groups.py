"""Runs put together by a param, a tag, their experiment, status or user; each group leads to its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilth.backends.sql import Tx
from tilth.domains.tracking import queries
from tilth.domains.tracking.rules.filters import parse_group
from tilth.domains.tracking.types import InvalidOrder, InvalidRunFilter
from tilth.web.metric_names import lower_is_better
from tilth.web.pages.runs_question import Question
from tilth.wire.tracking import MetricValue

MAX_GROUPS = 100
MAX_CHOICES = 40


@dataclass(frozen=True, slots=True)
class GroupLine:
    """label: what the runs share. filter: the filter that finds just these runs; empty for those that lack the key."""

    label: str
    runs: int
    mean: MetricValue | None
    best: MetricValue | None
    filter: str


@dataclass(frozen=True, slots=True)
class Grouped:
    """metric: the one whose best and mean are shown, empty if there is none. error: why it cannot be grouped so."""

    by: str
    metric: str
    lines: list[GroupLine]
    complete: bool
    error: str = ""


def group_choices(tx: Tx, project_id: str) -> list[tuple[str, str]]:
    """(name as in an address, label) of what runs can be grouped by."""
    found = [("status", "status"), ("experiment", "experiment"), ("user", "user")]
    for kind, prefix in (("param", "params"), ("tag", "tags")):
        keys = [key for key in queries.known_keys(tx, project_id, kind, MAX_CHOICES) if not key.startswith(("mlflow.", "tilth."))]
        found += [(f"{prefix}.{key}", f"{key} ({kind})") for key in keys]
    return found


def find_groups(tx: Tx, project_id: str, question: Question, metrics: Sequence[str]) -> Grouped:
    metric = metrics[0] if metrics else ""
    try:
        by = parse_group(question.group)
    except (InvalidOrder, InvalidRunFilter) as wrong:
        return Grouped(question.group, metric, [], True, str(wrong))
    found = queries.run_groups(
        tx,
        project_id,
        by=by,
        metric=metric,
        terms=question.terms,
        experiment_id=question.experiment or None,
        lifecycle="deleted" if question.view == "deleted" else "active",
        archived={"active": False, "archived": True}.get(question.view),
        limit=MAX_GROUPS + 1,
    )
    lower = lower_is_better(metric)
    shown = [
        GroupLine(
            label=group.value if group.value is not None else f"no {question.group.rpartition('.')[2]}",
            runs=group.runs,
            mean=group.mean,
            best=group.min if lower else group.max,
            filter=_narrowed(question, group.value),
        )
        for group in found[:MAX_GROUPS]
    ]
    return Grouped(question.group, metric, shown, len(found) <= MAX_GROUPS)


def _narrowed(question: Question, value: str | None) -> str:
    if value is None:
        return ""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    prefix, dot, key = question.group.partition(".")
    name = f'{prefix}."{key}"' if dot else question.group
    return f'{question.text} {name}="{escaped}"'.strip()
