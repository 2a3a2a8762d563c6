"""Columns of a list of runs: `metrics.auc`, `metrics.auc:max`, `params.depth`, `tags.team`."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.domains.tracking.types import InvalidPage

MAX_COLUMNS = 500
STATISTICS = ("last", "min", "max", "count", "step")


@dataclass(frozen=True, slots=True)
class Columns:
    """metrics: (name of the column, key, one of STATISTICS). None anywhere: everything."""

    metrics: tuple[tuple[str, str, str], ...] | None = None
    params: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None


EVERYTHING = Columns()


def parse_columns(text: str | None) -> Columns:
    """Names with commas between; None is everything, "" nothing. Unknown kinds are left out. Raises InvalidPage."""
    if text is None:
        return EVERYTHING
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if len(names) > MAX_COLUMNS:
        raise InvalidPage(
            f"{len(names)} columns were asked for; at most {MAX_COLUMNS} are sent: choose fewer, or leave `columns` out"
        )
    metrics: list[tuple[str, str, str]] = []
    params: list[str] = []
    tags: list[str] = []
    for name in names:
        kind, _, key = name.partition(".")
        match kind.rstrip("s"):
            case "metric":
                base, colon, statistic = key.rpartition(":")
                known = colon and statistic in STATISTICS
                metrics.append((key, base, statistic) if known else (key, key, "last"))
            case "param":
                params.append(key)
            case "tag":
                tags.append(key)
    return Columns(tuple(metrics), tuple(params), tuple(tags))
