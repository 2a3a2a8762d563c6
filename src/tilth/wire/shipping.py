"""Documents between the shipper of predictions and the control process, and what both write into the home.

The shipper turns closed segments into Parquet files, uploads their bytes by digest and then announces them in one `Shipment`, which
counts as a whole or not at all: a segment that was announced before is told back, and nothing of that shipment is taken.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tilth.wire.labels import Hex32, ScoredRows
from tilth.wire.plane import PlaneDeployment

SHIPPER_STATUS_PATH = "plane/shipping.json"
SHADOW_STATUS_PATH = "plane/shadow.json"
SHADOW_WORKER = "shadow"
"""Segments of this name hold answers of shadows."""
FLUSH_PATH = "plane/flush"
"""Its time of change is the moment of the newest request: segments that are older shall be closed and shipped now."""
SHIPPER_LEASE_MS = 15_000
"""A shipper whose status is older than this is not there: workers then close segments by size and age alone."""

Redaction = Literal["hash", "drop"]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
VersionKey = Annotated[str, Meta(pattern=r"^.{1,250}/[0-9]{1,9}\Z")]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]


class LogPolicy(msgspec.Struct, frozen=True):
    """What of a deployment's predictions is kept. redact: by name of an input or output. key: hex, hashes are made under it.

    sample: parts of 10,000 of the predictions that are kept, chosen by a hash of their ids. label_key: columns that labels name.
    scores: whether labels will be joined to them.
    """

    redact: dict[str, Redaction] = {}
    key: str = ""
    sample: int = 10_000
    label_key: tuple[str, ...] = ()
    scores: bool = True


class ShippedVersion(msgspec.Struct, frozen=True):
    """What the shipper must know of a version that answered for a deployment."""

    deployment: str
    model: str
    version: int
    logged_model_id: str
    manifest_digest: str
    policy: LogPolicy


class ShippedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Parquet file, whose bytes were uploaded before. first, last: moments of its first and last row in ms.

    columns: digest of its names and types; files of equal ones can be joined. versions: keys (`model/3`) of those in it.
    shadow: whether its rows are answers of shadows, which nobody was given.
    """

    deployment_id: Hex32
    day: Day
    digest: Sha256
    size: Count
    rows: Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
    first: Count
    last: Count
    min_id: Hex32
    max_id: Hex32
    columns: Sha256
    versions: Annotated[tuple[VersionKey, ...], Meta(min_length=1, max_length=10_000)]
    shadow: bool = False


class ShippedSegment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """frames: whole ones; undecoded: rows whose values could not be read; dropped: rows of deployments that are gone; torn_bytes: cut off
    at its end by a kill or a power cut."""

    id: Hex32
    frames: Count
    undecoded: Count = 0
    dropped: Count = 0
    torn_bytes: Count = 0


class ShippedScores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What labels of a deployment are joined to; of answers that were given, not of shadows. Sending a row twice changes nothing."""

    deployment_id: Hex32
    rows: ScoredRows


class Shipment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    segments: Annotated[tuple[ShippedSegment, ...], Meta(min_length=1, max_length=1000)]
    files: Annotated[tuple[ShippedFile, ...], Meta(max_length=1000)] = ()


class ShipmentAnswer(msgspec.Struct, frozen=True):
    """known: segments that an earlier shipment brought. If there are any, nothing of this one was taken."""

    known: tuple[str, ...] = ()


class StoredFile(msgspec.Struct, frozen=True):
    """A file as the table of files knows it."""

    id: str
    day: str
    digest: str
    size: int
    rows: int
    first: int
    last: int
    versions: tuple[str, ...]
    shadow: bool = False


class Compaction(msgspec.Struct, frozen=True):
    """Small files of one deployment, day and set of columns that shall become one, oldest first; none: nothing to do."""

    deployment_id: str = ""
    columns: str = ""
    files: tuple[StoredFile, ...] = ()


class Compacted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one file that replaces `replaces` (ids)."""

    replaces: Annotated[tuple[Hex32, ...], Meta(min_length=2, max_length=1000)]
    file: ShippedFile


class PlaneShadows(msgspec.Struct, frozen=True):
    """Versions that answer in the shadow: deployments whose `versions` are their shadows, and since when each does (moment in ms by
    `<deployment id>/<key>`)."""

    deployments: tuple[PlaneDeployment, ...] = ()
    since: dict[str, int] = {}


class ShadowCounts(msgspec.Struct, frozen=True):
    """What became of one shadow since the start of its process: requests it answered, rows in them, those it failed on.

    skipped: requests it could not read (other columns); engine and error: empty where there is none.
    """

    deployment_id: str
    key: str
    requests: int = 0
    rows: int = 0
    errors: int = 0
    skipped: int = 0
    engine: str = ""
    error: str = ""


class ShadowStatus(msgspec.Struct, frozen=True):
    """Written into the home each second while there are shadows. behind_bytes: of the log that it has not read yet; dropped_bytes: that it
    left out because it was too far behind."""

    pid: int
    started: int
    written: int
    behind_bytes: int = 0
    dropped_bytes: int = 0
    error: str = ""
    shadows: tuple[ShadowCounts, ...] = ()


class RefusedSegment(msgspec.Struct, frozen=True):
    """A segment that was set aside because control refused it, or because it could not be read, again and again.

    size: bytes. at: moment in ms when it was set aside. deployment_ids: of those whose predictions it holds, as far as it could be read.
    """

    id: str
    size: int
    at: int
    why: str
    deployment_ids: tuple[str, ...] = ()


class RetriedSegments(msgspec.Struct, frozen=True):
    segments: int


class ShipperStatus(msgspec.Struct, frozen=True):
    """Written into the home after each round. error: why the last one failed, else empty. waiting_bytes: of closed segments.

    shipped, undecoded, dropped: rows since its start; torn_bytes: likewise. refused: the oldest 100.
    """

    pid: int
    started: int
    written: int
    shipped: int = 0
    undecoded: int = 0
    dropped: int = 0
    torn_bytes: int = 0
    waiting_bytes: int = 0
    error: str = ""
    refused: tuple[RefusedSegment, ...] = ()
