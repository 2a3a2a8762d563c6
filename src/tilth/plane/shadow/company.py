"""All versions in the shadow, and what they do together: one reading of the log, one log of their own."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.plane.latency import Tally
from tilth.plane.loading import Loader, WarmUpTooSlow
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.residence import Residence
from tilth.plane.shadow.replay import ShadowVersion
from tilth.plane.shadow.tail import Tail
from tilth.plane.shipping.pace import Pace
from tilth.plane.whole_files import write_whole
from tilth.wire import predictions
from tilth.wire.plane import PlaneDeployment, PlaneRoute
from tilth.wire.shipping import SHADOW_WORKER, PlaneShadows, ShadowCounts

logger = logging.getLogger(__name__)

RETRY_S = 30.0
AT_ONCE_S = 1.0
FRAMES_AT_ONCE, BYTES_AT_ONCE = 200, 8 << 20
"""Answers in one write, at most. What was answered and not yet noted when the process is killed is answered once more, and counts once."""


class Company:
    """Blocking, one thread."""

    def __init__(self, home: Path, folder: Path, progress: Path) -> None:
        self._loader = Loader(home, Residence(0))
        self._log = PredictionLog(folder, SHADOW_WORKER)
        self._pace = Pace(home)
        self._progress = progress
        self._missing: list[PlaneDeployment] = []
        self._since: dict[str, int] = {}
        self._versions: dict[tuple[str, str], ShadowVersion] = {}
        self._refused: dict[tuple[str, str], ShadowCounts] = {}
        self._hung: dict[tuple[str, str], int] = {}
        """Those that did not end their warm-up, and since when they stand in the shadow: each try would leave a thread behind."""
        self._next_try = 0.0
        self.tail = Tail(folder, _read(progress))

    def become(self, wanted: PlaneShadows) -> None:
        """Those that are not wanted any more are gone at once; new ones come with `load_missing`."""
        single = [one for deployment in wanted.deployments for one in _one_by_one(deployment)]
        keys = {(one.id, one.versions[0].key) for one in single}
        self._since = wanted.since
        self._versions = {
            key: version for key, version in self._versions.items() if key in keys and version.since == self._since_of(key)
        }
        self._hung = {key: since for key, since in self._hung.items() if key in keys and since == self._since_of(key)}
        self._refused = {key: counts for key, counts in self._refused.items() if key in self._hung}
        known = self._versions.keys() | self._hung.keys()
        self._missing = [one for one in single if (one.id, one.versions[0].key) not in known]
        self._next_try = 0.0

    def load_missing(self, control_url: str) -> None:
        """One that cannot be loaded is tried again after half a minute; the others go on."""
        if not self._missing or clock.monotonic() < self._next_try:
            return
        self._next_try = clock.monotonic() + RETRY_S
        still = []
        for one in self._missing:
            key = (one.id, one.versions[0].key)
            try:
                (version,) = self._loader.load(one, control_url, Tally()).versions
            except TilthError as error:
                logger.error("shadow %s of %s cannot be loaded: %s", key[1], one.name, error)
                self._refused[key] = ShadowCounts(*key, error=str(error)[:1000])
                if isinstance(error.__cause__, WarmUpTooSlow):
                    self._hung[key] = self._since_of(key)
                else:
                    still.append(one)
                continue
            self._refused.pop(key, None)
            self._versions[key] = ShadowVersion(one.id, one.name, version, self._since_of(key))
            logger.info("%s answers in the shadow of %s/%s", key[1], one.project, one.name)
        self._missing = still

    def answer_what_is_new(self) -> bool:
        """For AT_ONCE_S at most; whether more may be there."""
        end = clock.monotonic() + AT_ONCE_S
        waiting: list[bytes] = []
        size = 0
        more = False
        for frame in self.tail.frames():
            answers = (version.answer(frame) for version in self._versions.values() if version.wants(frame))
            fresh = [predictions.encode(answer) for answer in answers if answer is not None]
            waiting += fresh
            size += sum(map(len, fresh))
            if len(waiting) >= FRAMES_AT_ONCE or size >= BYTES_AT_ONCE:
                self._write(waiting)
                waiting, size = [], 0
            if clock.monotonic() > end:
                more = True
                break
        self._write(waiting)
        self._pace.set(self._log)
        return more

    def counts(self) -> tuple[ShadowCounts, ...]:
        return (*(version.counts() for version in self._versions.values()), *self._refused.values())

    def close(self) -> None:
        self.tail.close()
        self._log.close()

    def _since_of(self, key: tuple[str, str]) -> int:
        return self._since.get("/".join(key), 0)

    def _write(self, frames: list[bytes]) -> None:
        try:
            if frames:
                self._log.write(frames)
            write_whole(self._progress, msgspec.json.encode(self.tail.places()))
        except (TilthError, OSError) as error:
            logger.error("%d answers of shadows are lost: %s", len(frames), error)


def _one_by_one(deployment: PlaneDeployment) -> list[PlaneDeployment]:
    """A deployment for each of its shadows, so that one that cannot be loaded does not hold up the others."""
    return [
        msgspec.structs.replace(deployment, versions=(version,), routes=(PlaneRoute(version.key, 10_000),))
        for version in deployment.versions
    ]


def _read(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
