"""Which small files of predictions shall become one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tilth.domains.serving.types.predictions import PredictionFile

TARGET_ROWS = 200_000
"""A file of so many rows is left as it is."""
TIER = 8
"""So many files of one size become one of the next: each row is written again about log8(TARGET_ROWS / first size) times."""
MOST_FILES = 200
MOST_BYTES = 64 << 20


def to_join(small: Sequence[PredictionFile], today: str) -> list[PredictionFile]:
    """Files of one deployment, day and set of columns that shall be joined now, oldest first; empty: nothing to do.

    small: files below TARGET_ROWS. today: the UTC day. A day that has ended gets no more files, so that all of its small ones are
    joined; of today's only TIER ones of about one size, or each new file would have the whole day written again.
    """
    groups: dict[tuple[str, str, str, bool], list[PredictionFile]] = defaultdict(list)
    for file in small:
        groups[(file.day, file.deployment_id, file.columns, file.shadow)].append(file)
    for (day, *_), files in sorted(groups.items()):
        chosen = files if day < today else _one_tier(files)
        bounded = _bounded(sorted(chosen, key=lambda file: (file.first, file.id)))
        if len(bounded) > 1:
            return bounded
    return []


def _one_tier(files: Sequence[PredictionFile]) -> list[PredictionFile]:
    """The files of the lowest tier that is full."""
    tiers: dict[int, list[PredictionFile]] = defaultdict(list)
    for file in files:
        tiers[_tier(file.rows)].append(file)
    return next((tiers[tier] for tier in sorted(tiers) if len(tiers[tier]) >= TIER), [])


def _tier(rows: int) -> int:
    tier = 0
    while rows >= TIER:
        rows //= TIER
        tier += 1
    return tier


def _bounded(files: Sequence[PredictionFile]) -> list[PredictionFile]:
    chosen: list[PredictionFile] = []
    rows = size = 0
    for file in files[:MOST_FILES]:
        rows, size = rows + file.rows, size + file.size
        if chosen and (rows > 2 * TARGET_ROWS or size > MOST_BYTES):
            break
        chosen.append(file)
    return chosen
