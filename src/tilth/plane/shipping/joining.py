"""Small files of a day become one: control says which, this process joins them, control puts the result in their place."""

from __future__ import annotations

import io
import logging

import polars as pl

from tilth.core.errors import Conflict, NotFound
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.layout import columns_digest
from tilth.plane.shipping.rows import written
from tilth.wire.shipping import Compacted, Compaction, ShippedFile

logger = logging.getLogger(__name__)


def join_next(control: Control) -> bool:
    """Joins one group of files; whether there was one. Raises ControlUnreachable."""
    wanted = control.compaction()
    if len(wanted.files) < 2:
        return False
    try:
        joined = _joined(control, wanted)
        content = written(joined)
        file = _announced(wanted, joined, control.upload(content), len(content))
        control.replace(Compacted(tuple(one.id for one in wanted.files), file))
    except (Conflict, NotFound) as gone:
        # Retention, or another home's shipper, was faster.
        logger.info("files were not joined: %s", gone)
        return False
    logger.info("joined %d files of %s into one of %d rows", len(wanted.files), wanted.files[0].day, len(joined))
    return True


def _joined(control: Control, wanted: Compaction) -> pl.DataFrame:
    frames = [pl.read_parquet(io.BytesIO(control.download(file.id))) for file in wanted.files]
    return pl.concat(frames, how="vertical")


def _announced(wanted: Compaction, joined: pl.DataFrame, digest: str, size: int) -> ShippedFile:
    first = wanted.files[0]
    ids = joined["prediction_id"]
    at = joined["at"].dt.timestamp("ms")
    return ShippedFile(
        deployment_id=wanted.deployment_id,
        day=first.day,
        digest=digest,
        size=size,
        rows=len(joined),
        first=int(at.min()),  # type: ignore[arg-type]
        last=int(at.max()),  # type: ignore[arg-type]
        min_id=str(ids.min()),
        max_id=str(ids.max()),
        columns=columns_digest(joined.schema),
        versions=tuple(sorted({version for file in wanted.files for version in file.versions})),
        shadow=first.shadow,
    )
