"""The table of runs: which columns it has and what stands in a cell. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote

from tilth.web.formatting import bar_width, number, setting
from tilth.web.metric_names import lower_is_better, ranked
from tilth.wire.tracking import RunInfo

Kind = Literal["metric", "param", "tag"]
Stat = Literal["last", "best", "min", "max"]

STATS: tuple[Stat, ...] = ("last", "best", "min", "max")

MAX_COLUMNS = 24
AUTOMATIC_METRICS = 5
AUTOMATIC_PARAMS = 5
AUTOMATIC_CHARS = 86
"""Letters of all columns (four more for the space around each) that fit beside the fixed columns on a screen of 1440 pixels."""
MAX_CELL_CHARS = 120
CLIPPED_CHARS = 40
"""A longer text may be wider than its cell."""
MAX_TITLE_CHARS = 500
PREFIX: dict[Kind, str] = {"metric": "metrics.", "param": "params.", "tag": "tags."}
KIND: dict[str, Kind] = {prefix: kind for kind, prefix in PREFIX.items()}


@dataclass(frozen=True, slots=True)
class Column:
    """key: as filters and orders name it, such as `metrics.auc`; of a metric's least value `metrics.auc:min`.

    numeric: stands right, in figures of one width. name: of the metric, param or tag itself.
    """

    key: str
    label: str
    kind: Kind
    numeric: bool = False
    shown: bool = True
    stat: Stat = "last"

    @property
    def name(self) -> str:
        bare = self.key.removeprefix(PREFIX[self.kind])
        return bare if self.stat == "last" else bare.removesuffix(f":{self.stat}")

    @property
    def figure(self) -> str:
        """`last`, `min` or `max`: the best is the least or the greatest value, as the metric's name tells."""
        return self.stat if self.stat != "best" else "min" if lower_is_better(self.name) else "max"

    @property
    def sorts(self) -> bool:
        """Whether runs can be ordered by it: by least and greatest values they cannot."""
        return self.stat == "last"


@dataclass(frozen=True, slots=True)
class Cell:
    """title: the whole value where `text` is shorter, else empty."""

    text: str
    css: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class RunLine:
    run: RunInfo
    cells: Sequence[Cell]
    duration: int


@dataclass(frozen=True, slots=True)
class RunValues:
    """What the runs of a page hold: kind -> run id -> key -> value. A metric's least value stands under `auc:min`."""

    metrics: Mapping[str, Mapping[str, float]]
    params: Mapping[str, Mapping[str, str]]
    tags: Mapping[str, Mapping[str, str]]

    def of(self, column: Column, run_id: str) -> float | str | None:
        name = column.name
        if column.kind == "metric":
            return self.metrics.get(run_id, {}).get(name if column.stat == "last" else f"{name}:{column.figure}")
        table = self.params if column.kind == "param" else self.tags
        return table.get(run_id, {}).get(name)


def column_of(key: str) -> Column | None:
    """The column of `metrics.auc`, `metrics.auc:best`, `params.depth` or `tags.team`; None for anything else."""
    for prefix, kind in KIND.items():
        if key.startswith(prefix) and len(key) > len(prefix):
            bare = key.removeprefix(prefix)
            name, _, ending = bare.rpartition(":")
            if kind == "metric" and name and ending in STATS[1:]:
                return Column(key, f"{ending} {name}", kind, numeric=True, stat=ending)
            return Column(key, bare, kind, numeric=kind == "metric")
    return None


def columns_from_cookie(text: str) -> list[Column]:
    """The columns that a reader picked; empty when he never did."""
    found = (column_of(unquote(part)) for part in text.split("|")[:MAX_COLUMNS])
    return [column for column in found if column is not None]


def cookie_of(keys: Sequence[str]) -> str:
    return "|".join(quote(key, safe="") for key in keys[:MAX_COLUMNS] if column_of(key) is not None)[:3500]


def automatic_columns(values: RunValues, run_ids: Sequence[str]) -> list[Column]:
    """The most telling metrics, and the params in which the runs differ."""
    usual = ranked(usual_keys(values.metrics, run_ids))
    params = usual_keys(values.params, run_ids)
    differing = [key for key in params if len({values.params.get(run_id, {}).get(key) for run_id in run_ids}) > 1]
    chosen = differing or params
    wanted = [
        *(Column(f"metrics.{key}", key, "metric", numeric=True) for key in usual[:AUTOMATIC_METRICS]),
        *(Column(f"params.{key}", key, "param") for key in chosen[:AUTOMATIC_PARAMS]),
    ]
    fitting: list[Column] = []
    left = AUTOMATIC_CHARS
    for column in wanted:
        texts = (values.of(column, run_id) for run_id in run_ids) if column.kind == "param" else ()
        longest = max((len(cell_text(str(text))[0]) for text in texts if text is not None), default=0)
        chars = max(len(column.label), 6, min(longest, CLIPPED_CHARS)) + 4
        if chars <= left or len(fitting) < 2:
            fitting.append(column)
            left -= chars
    return fitting


def usual_keys(by_run: Mapping[str, Mapping[str, object]], run_ids: Sequence[str]) -> list[str]:
    """Keys that at least a quarter as many runs have as the most frequent key has."""
    often = Counter(key for run_id in run_ids for key in by_run.get(run_id, {}))
    most = max(often.values(), default=0)
    return sorted(key for key, times in often.items() if times * 4 >= most)


def differing_columns(columns: Sequence[Column], values: RunValues, run_ids: Sequence[str]) -> list[Column]:
    """Those whose value is not the same in every run."""
    return [column for column in columns if len({values.of(column, run_id) for run_id in run_ids}) > 1]


def lines(
    runs: Sequence[RunInfo], columns: Sequence[Column], values: RunValues, barred: set[str], now: int
) -> tuple[list[Column], list[RunLine]]:
    """The columns (params that hold only numbers become numeric) and one line per run. barred: columns that get inline bars."""
    ids = [run.id for run in runs]
    shaped = [replace(c, numeric=c.numeric or _all_numbers(values.of(c, i) for i in ids)) for c in columns]
    ranges = {c.key: _range([values.of(c, i) for i in ids]) for c in shaped if c.key in barred}
    rows = [
        RunLine(
            run, [_cell(column, values.of(column, run.id), ranges.get(column.key)) for column in shaped], duration_of(run, now)
        )
        for run in runs
    ]
    return shaped, rows


def duration_of(run: RunInfo, now: int) -> int:
    """Milliseconds from start to end, or to now, or (for a run that vanished) to its last sign of life."""
    end = run.ended or (now if run.status in ("running", "scheduled") else run.last_heartbeat or run.started)
    return max(0, end - run.started)


def cell_text(value: str) -> tuple[str, str]:
    """A param or a tag as a cell shows it, and the whole of it where the cell may not."""
    text = setting(value)
    if len(text) > MAX_CELL_CHARS:
        text = f"{text[:MAX_CELL_CHARS]}…"
    return text, value[:MAX_TITLE_CHARS] if text != value or len(value) > CLIPPED_CHARS else ""


def _cell(column: Column, value: float | str | None, span: tuple[float, float] | None) -> Cell:
    if value is None:
        return Cell("–", "num dim" if column.numeric else "dim")
    if isinstance(value, str):
        text, whole = cell_text(value)
        return Cell(text, "num" if column.numeric else "", whole)
    css = "num" if span is None else f"num bar w{bar_width(value, *span)}"
    return Cell(number(value), css)


def _range(found: Sequence[float | str | None]) -> tuple[float, float] | None:
    finite = [value for value in found if isinstance(value, (int, float)) and math.isfinite(value)]
    return (min(finite), max(finite)) if len(finite) > 1 else None


def _all_numbers(found: object) -> bool:
    texts = [value for value in found if value is not None]  # type: ignore[attr-defined]
    return bool(texts) and all(isinstance(text, (int, float)) or _reads_as_number(text) for text in texts)


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
