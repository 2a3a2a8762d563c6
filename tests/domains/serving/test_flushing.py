"""Which segments a flush waits for."""

from __future__ import annotations

from pathlib import Path

from tilth.core.clock import Millis, now
from tilth.core.ids import new_id
from tilth.domains.serving.jobs import ShippingDesk
from tilth.wire.plane import PREDICTIONS_FOLDER


def test_a_flush_waits_for_segments_that_were_begun_before_it_and_hold_something(tmp_path: Path) -> None:
    folder = tmp_path / PREDICTIONS_FOLDER
    folder.mkdir(parents=True)
    for name, content in (("open.log", b"frames"), ("closed.closed", b"frames"), ("full-disk.log", b""), ("other.json", b"{}")):
        worker, _, suffix = name.rpartition(".")
        (folder / f"{worker}-{new_id()}.{suffix}").write_bytes(content)
    (folder / "nobody.log").write_bytes(b"frames")
    desk, moment = ShippingDesk(tmp_path, now), now()
    assert desk.waiting(moment) == 2
    assert desk.waiting(Millis(moment - 60_000)) == 0
