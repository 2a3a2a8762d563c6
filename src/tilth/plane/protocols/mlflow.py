"""MLflow's scoring protocol: `/invocations` with its JSON forms, CSV and Parquet. Pure, and part of the hot path."""

from __future__ import annotations

import re
from typing import Any

from tilth.core.errors import TilthError
from tilth.plane.answers import Answer, HeaderPairs, UnsupportedMediaType, refusal
from tilth.plane.forms import Table, read_form
from tilth.plane.protocols.files import read_csv, read_parquet
from tilth.plane.protocols.port import LARGE_BYTES, Asked, Content
from tilth.plane.protocols.predicted import read_predictions, write_predictions
from tilth.wire.signature import Signature

_JSON = re.compile(rb'application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?', re.IGNORECASE)
_CSV = re.compile(rb'text/csv\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?(;\s*header\s*=\s*present\s*)?', re.IGNORECASE)
_PARQUET = re.compile(rb"application/(x-parquet|parquet|vnd\.apache\.parquet)\s*", re.IGNORECASE)

LARGE_CSV_BYTES = 16 << 10
"""Each of its cells is read by itself."""


class MlflowScoring:
    name = "mlflow"
    compresses = False
    write = staticmethod(write_predictions)

    def check(self, content_type: bytes) -> None:
        if content_type == b"application/json":
            return
        if not _JSON.fullmatch(content_type) and not _CSV.fullmatch(content_type) and not _PARQUET.fullmatch(content_type):
            shown = content_type[:80].decode("latin-1") or "none"
            raise UnsupportedMediaType(
                f"content type {shown} is not read here; send application/json or text/csv in UTF-8, or application/x-parquet"
            )

    def heavy(self, content: Content, size: int) -> bool:
        if size > LARGE_BYTES:
            return True
        if content.type == "application/json":
            return False
        kind = content.type.encode("latin-1")
        return (size > LARGE_CSV_BYTES and _CSV.fullmatch(kind) is not None) or _PARQUET.fullmatch(kind) is not None

    def read(self, body: bytes, content: Content, signature: Signature) -> Asked:
        if content.type == "application/json":
            return Asked(read_form(body))
        kind = content.type.encode("latin-1")
        if _JSON.fullmatch(kind):
            return Asked(read_form(body))
        given: Table = read_csv(body, signature) if _CSV.fullmatch(kind) else read_parquet(body, signature)
        return Asked(given)

    def read_answer(self, body: bytes, header_bytes: int) -> Any:
        return read_predictions(body)

    def refuse(self, error: TilthError, headers: HeaderPairs = ()) -> Answer:
        return refusal(error, headers)
