"""What of a prediction is kept: which ones, and which of their fields. Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec

from tilth.wire.shipping import LogPolicy

WHOLE = 10_000


def is_kept(prediction_id: str, policy: LogPolicy) -> bool:
    """The same answer for the same prediction, whoever asks and however often: all rows of a request are kept, or none."""
    if policy.sample >= WHOLE:
        return True
    # Not its first digits: they are the time.
    digest = hashlib.blake2b(prediction_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % WHOLE < policy.sample


def weight_of(policy: LogPolicy) -> float:
    """How many predictions each kept one stands for."""
    return WHOLE / policy.sample


def redacted(name: str, values: list[Any], policy: LogPolicy) -> list[Any]:
    """The values, or their hashes. Those of a dropped field must not be asked for."""
    if not policy.redact or policy.redact.get(name) != "hash":
        return values
    key = policy.key.encode()
    return [None if value is None else hashed(value, key) for value in values]


def hashed(value: Any, key: bytes) -> str:
    """32 hexadecimal digits: equal values of one deployment have equal ones, and only who has the key can make them."""
    return hmac.new(key, msgspec.json.encode(value), hashlib.sha256).hexdigest()[:32]
