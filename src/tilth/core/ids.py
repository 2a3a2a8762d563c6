"""Identifiers: 32 hexadecimal digits of a UUID version 7 (RFC 9562), so that they sort by the time they were made."""

from __future__ import annotations

import itertools
import os
import time
from typing import NewType

ProjectId = NewType("ProjectId", str)
PrincipalId = NewType("PrincipalId", str)
TokenId = NewType("TokenId", str)
ExperimentId = NewType("ExperimentId", str)
RunId = NewType("RunId", str)
LoggedModelId = NewType("LoggedModelId", str)
"""`m-` and 32 hexadecimal digits, as MLflow writes it."""
DeploymentId = NewType("DeploymentId", str)
PredictionId = NewType("PredictionId", str)
Digest = NewType("Digest", str)
"""SHA-256 of some bytes, 64 lower-case hexadecimal digits: the address of a blob."""

_count = itertools.count(int.from_bytes(os.urandom(2), "big"))


def new_id() -> str:
    """A new identifier. Those made in one process in one millisecond still sort by order of birth, up to 4,096 of them."""
    millis = time.time_ns() // 1_000_000
    sequence = next(_count) & 0xFFF
    tail = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    return f"{(millis << 80) | (0x7 << 76) | (sequence << 64) | (0b10 << 62) | tail:032x}"


def new_logged_model_id() -> LoggedModelId:
    return LoggedModelId(f"m-{new_id()}")
