"""What keeps a model from elsewhere from being served. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.core.hashing import is_digest
from tilth.domains.models.types import InvalidProvenance, ReasonMissing
from tilth.wire.provenance import RecordProvenance, ScanVerdict

MAX_NAME_CHARS = 500
MAX_FINDINGS = 100
MAX_FINDING_CHARS = 500
MAX_NOTE_CHARS = 1000


def checked(said: RecordProvenance) -> RecordProvenance:
    """Raises InvalidProvenance."""
    if not said.source.strip() or len(said.source) > MAX_NAME_CHARS:
        raise InvalidProvenance(f"the source needs a name of 1 to {MAX_NAME_CHARS} characters")
    if not is_digest(said.sha256):
        raise InvalidProvenance(f"{said.sha256[:80]!r} is no SHA-256: 64 hexadecimal digits")
    if len(said.format) > MAX_NAME_CHARS or len(said.scanner) > MAX_NAME_CHARS or len(said.note) > MAX_NOTE_CHARS:
        raise InvalidProvenance(f"format and scanner have at most {MAX_NAME_CHARS} characters, a note {MAX_NOTE_CHARS:,}")
    if len(said.findings) > MAX_FINDINGS or any(len(finding) > MAX_FINDING_CHARS for finding in said.findings):
        raise InvalidProvenance(f"at most {MAX_FINDINGS} findings are kept, of {MAX_FINDING_CHARS} characters each")
    if any("\0" in text for text in (said.source, said.format, said.scanner, said.note, *said.findings)):
        raise InvalidProvenance("a text holds a NUL character, which no database keeps; remove it")
    if said.verdict == "clean" and (said.runs_code or said.findings):
        raise InvalidProvenance("what may run code, or has findings, is not clean: say flagged or not-scannable")
    return said


def moved_in(name: str, digest: str) -> RecordProvenance:
    """What is known about a model that says of itself that it may run code, where nobody here said where it comes from."""
    return RecordProvenance(
        source=name[:MAX_NAME_CHARS], sha256=digest, format="tilth", runs_code=True, verdict="not-scannable", scanner="none"
    )


def checked_reason(reason: str) -> str:
    """Raises ReasonMissing."""
    reason = reason.strip()
    if not 3 <= len(reason) <= MAX_NOTE_CHARS or "\0" in reason:
        raise ReasonMissing
    return reason


def why_barred(
    logged_model_id: str, *, note: str, runs_code: bool, verdict: ScanVerdict, findings: Sequence[str], trusted: bool
) -> str | None:
    """Why it may not be served, None when it may."""
    if note:
        return note
    if trusted or not (runs_code or verdict == "flagged"):
        return None
    found = f" ({findings[0]})" if findings else ""
    said = f"the look at its files flagged it{found}" if verdict == "flagged" else "loading it may run code that came with it"
    return (
        f"it was imported from elsewhere and {said}, and nobody has said that it is trusted: "
        f"a maintainer who knows where it comes from says `tilth model trust {logged_model_id} --reason ...`"
    )
