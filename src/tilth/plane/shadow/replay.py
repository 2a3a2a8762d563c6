"""One frame of the log answered once more by another version."""

from __future__ import annotations

import logging
from concurrent.futures import wait

import msgspec

from tilth.core import clock
from tilth.core.errors import Invalid, TilthError
from tilth.plane.executors import ModelHung
from tilth.plane.protocols import CODECS, Answered, Content
from tilth.plane.serving import LoadedVersion
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import ShadowCounts

logger = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""For one answer, where the deployment allows more: the other versions in the shadow wait meanwhile."""
MOST_HUNG = 3
"""So many requests in a row that a version's own processes did not answer in time: it is given up. A thread can be lost only once."""


class Unreadable(Invalid):
    """The request is not one that this version takes: it has other inputs than the version that answered."""


class ShadowVersion:
    """A loaded version in the shadow of one deployment. since: only what was answered at or after this moment (ms) is answered again."""

    def __init__(self, deployment_id: str, deployment: str, version: LoadedVersion, since: int) -> None:
        self.deployment_id = deployment_id
        self._deployment = deployment
        self.since = since
        self._version = version
        self._patience_s = min(version.lane.timeout_s, PATIENCE_S)
        self._requests = self._rows = self._errors = self._skipped = self._hung = 0
        self._error = ""
        self._given_up = False

    def counts(self) -> ShadowCounts:
        return ShadowCounts(
            self.deployment_id,
            self._version.key,
            self._requests,
            self._rows,
            self._errors,
            self._skipped,
            "" if self._given_up else self._version.engine,
            self._error,
        )

    def wants(self, frame: PredictionFrame) -> bool:
        asked = frame.deployment_id == self.deployment_id and frame.moment >= self.since and frame.version != self._version.key
        return asked and not self._given_up

    def answer(self, frame: PredictionFrame) -> PredictionFrame | None:
        """The frame with this version's answer; None where it cannot read the request, fails on it or does not end. Never raises."""
        # In the version's own thread, as one that does not end would take this one with it.
        running = self._version.lane.threads.submit(again, frame, self._version, self._deployment)
        if not wait([running], self._patience_s).done:
            self._errors += 1
            self._give_up(frame)
            return None
        try:
            answered = running.result()
        except ModelHung:
            self._hung += 1
            self._errors += 1
            if self._hung == MOST_HUNG:
                self._give_up(frame)
            return None
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
        self._hung = 0
        self._requests += 1
        self._rows += frame.rows
        return answered

    def _give_up(self, frame: PredictionFrame) -> None:
        self._given_up = True
        self._error = (
            f"gave no answer to prediction {frame.prediction_id} within {self._patience_s:g} s and is asked no more; stop it, and start it "
            "again once it answers in time"
        )
        logger.error("shadow %s of %s %s", self._version.key, self._deployment, self._error)


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
