"""One frame of the log answered once more by another version."""

from __future__ import annotations

import logging

import msgspec

from tilth.core import clock
from tilth.core.errors import Invalid, TilthError
from tilth.plane.protocols import CODECS, Answered, Content
from tilth.plane.serving import LoadedVersion
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import ShadowCounts

logger = logging.getLogger(__name__)


class Unreadable(Invalid):
    """The request is not one that this version takes: it has other inputs than the version that answered."""


class ShadowVersion:
    """A loaded version in the shadow of one deployment. since: only what was answered at or after this moment (ms) is answered again."""

    def __init__(self, deployment_id: str, deployment: str, version: LoadedVersion, since: int) -> None:
        self.deployment_id = deployment_id
        self._deployment = deployment
        self.since = since
        self._version = version
        self._requests = self._rows = self._errors = self._skipped = 0
        self._error = ""

    def counts(self) -> ShadowCounts:
        return ShadowCounts(
            self.deployment_id,
            self._version.key,
            self._requests,
            self._rows,
            self._errors,
            self._skipped,
            self._version.engine,
            self._error,
        )

    def wants(self, frame: PredictionFrame) -> bool:
        return frame.deployment_id == self.deployment_id and frame.moment >= self.since and frame.version != self._version.key

    def answer(self, frame: PredictionFrame) -> PredictionFrame | None:
        """The frame with this version's answer; None where it cannot read the request or fails on it. Never raises."""
        try:
            answered = again(frame, self._version, self._deployment)
        except Unreadable as error:
            self._skipped += 1
            self._error = str(error)
            return None
        except Exception as error:  # the model is the user's code: it may raise anything
            self._errors += 1
            self._error = f"{type(error).__name__}: {str(error)[:300]}"
            if self._errors == 1:
                logger.warning("shadow %s failed on prediction %s", self._version.key, frame.prediction_id, exc_info=error)
            return None
        self._requests += 1
        self._rows += frame.rows
        return answered


def again(frame: PredictionFrame, version: LoadedVersion, deployment: str) -> PredictionFrame:
    """What the version answers to the same request. Raises Unreadable, and whatever the model raises."""
    codec = CODECS.get(frame.protocol)
    if codec is None:
        raise Unreadable(f"the protocol {frame.protocol!r} is unknown here")
    # From the body to the body, as the model server counts.
    started = clock.perf()
    try:
        asked = codec.read(frame.body, Content(frame.content_type, frame.header_bytes or None), version.signature)
        inputs = version.encoder.encode(asked.given)
    except TilthError as error:
        raise Unreadable(str(error)) from error
    results = version.predict(inputs)
    answered = Answered(frame.prediction_id, deployment, version.model, version.version, version.outputs, results, asked.wish)
    written = codec.write(answered)
    micros = round((clock.perf() - started) * 1e6)
    return msgspec.structs.replace(
        frame,
        version=version.key,
        answer=written.body,
        answer_header_bytes=written.header_bytes,
        latency_us=micros,
        shadow=True,
    )
