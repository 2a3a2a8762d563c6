"""Where a model that was made elsewhere comes from, what a look at its files found, and who trusts it. Moments in ms since the epoch."""

from __future__ import annotations

from typing import Literal

import msgspec

ScanVerdict = Literal["clean", "flagged", "not-scannable"]
"""`clean`: nothing in the files can run. `flagged`: something that runs was found. `not-scannable`: something may run, and no look from
outside can tell what; never a reason to believe that it is harmless."""


class RecordProvenance(msgspec.Struct, forbid_unknown_fields=True):
    """Said by who imports a model, before its files are sealed.

    source: name of the file or folder, without where it lay. sha256: of the file, or of the folder's manifest (core.hashing).
    runs_code: loading or asking the model may run code that came with it. note: why it cannot be served at all, empty if it can.
    """

    source: str
    sha256: str
    format: str
    runs_code: bool
    verdict: ScanVerdict
    findings: list[str] = []
    scanner: str = ""
    note: str = ""


class TrustModel(msgspec.Struct, forbid_unknown_fields=True):
    """reason: 3 to 1,000 characters, kept in the audit trail and shown beside the model."""

    reason: str


class ProvenanceView(msgspec.Struct, frozen=True):
    """trusted: when a maintainer said that its code may run, None while nobody did. The rest as in RecordProvenance."""

    source: str
    sha256: str
    format: str
    runs_code: bool
    verdict: ScanVerdict
    findings: list[str]
    scanner: str
    note: str
    recorded: int
    recorded_by: str
    trusted: int | None = None
    trusted_by: str = ""
    trust_reason: str = ""
