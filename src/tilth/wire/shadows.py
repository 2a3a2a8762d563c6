"""Versions in the shadow as our own API shows them: how they are doing, and how their answers compare. Moments in ms, latencies in ms."""

from __future__ import annotations

import msgspec

from tilth.wire.rollouts import ScoreBin


class ShadowView(msgspec.Struct, frozen=True):
    """running: its process is there and has it loaded. requests, rows, errors: since the start of that process.

    skipped: requests it could not read. behind_bytes, dropped_bytes: of the log that the process has yet to read, and left out.
    """

    deployment: str
    model: str
    version: int
    started: int
    by: str
    running: bool
    engine: str
    error: str
    requests: int
    rows: int
    errors: int
    skipped: int
    behind_bytes: int
    dropped_bytes: int


class ShadowList(msgspec.Struct, frozen=True):
    shadows: list[ShadowView]


class Latencies(msgspec.Struct, frozen=True):
    """Of single requests; None where none is known."""

    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class Disagreement(msgspec.Struct, frozen=True):
    """One row on which two versions differ the most."""

    row_id: str
    candidate: float | str | None
    champion: float | str | None


class Agreement(msgspec.Struct, frozen=True):
    """How the answers of one version compare with those that were given, over the same rows.

    rows: compared ones; answered: rows that were answered in that time (both at most `most_rows`, the newest), so that
    coverage = rows / answered. same: share of equal answers (a relative difference below 1e-9). same_class: share with the same
    class, where answers are classes, several scores, or probabilities (at 0.5), else None. mean_difference, max_difference: of
    absolute differences, None for text. stability: population stability index in nats of the candidate's scores against the
    champion's; 0.1 is read as "look", 0.25 as "act".
    """

    rows: int
    answered: int
    coverage: float
    same: float
    same_class: float | None
    mean_difference: float | None
    max_difference: float | None
    stability: float | None
    bins: list[ScoreBin]
    candidate: Latencies
    champion: Latencies
    disagreements: list[Disagreement]
    most_rows: int


class ShadowReport(msgspec.Struct, frozen=True):
    """against: versions that answered. since, until: of the rows that were compared."""

    deployment: str
    version: int
    against: list[int]
    since: int
    until: int
    agreement: Agreement
