"""Whether predictions reach their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tilth.cli.checks.findings import Finding, broken, ok
from tilth.core.clock import Millis
from tilth.wire.shipping import SHIPPER_LEASE_MS, SHIPPER_STATUS_PATH, ShipperStatus


def check_shipping(home: Path, now: Millis) -> Iterator[Finding]:
    """For a server that runs: what the shipper last said of itself."""
    try:
        status = msgspec.json.decode((home / SHIPPER_STATUS_PATH).read_bytes(), type=ShipperStatus)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        status = None
    look = "look at `tilth logs shipping`"
    if status is None or now - status.written > SHIPPER_LEASE_MS:
        yield broken(
            "kept predictions",
            "no shipper reports, so that predictions wait on the disk",
            f"{look}, then `tilth stop` and `tilth up`",
        )
        return
    waiting = f"{status.waiting_bytes / 1e6:,.1f} MB wait to be shipped"
    yield broken("kept predictions", f"{waiting}: {status.error}", look) if status.error else ok("kept predictions", waiting)
    for segment in status.refused:
        found = f"segment {segment.id} ({segment.size / 1e6:,.1f} MB) was set aside, for it could not be shipped: {segment.why}"
        yield broken("kept predictions", found, "mend the reason, then `tilth predictions retry`")
