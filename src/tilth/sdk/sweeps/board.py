"""A sweep as the server knows it: its parent run, the trials below it, who runs it, and whether somebody wants it stopped."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tilth.core.clock import MINUTE, Millis, now
from tilth.core.errors import TilthError
from tilth.core.ids import new_id
from tilth.sdk import current
from tilth.sdk.active import Run
from tilth.sdk.connection import Connection, connection
from tilth.sdk.sweeps.errors import InvalidSweep, NoSweep, SweepTaken
from tilth.wire.sweeps import (
    BEST_TAG,
    PARAMS_TAG,
    REPLACED_TAG,
    RUNNER_TAG,
    SPEC_TAG,
    STATE_TAG,
    STOP_TAG,
    STOPPED_TAG,
    TRIAL_TAG,
    SweepSpec,
    SweepState,
    whole_of,
)
from tilth.wire.tracking import MAX_TAG_CHARS, LogBatch, RunDetail, RunPage

LEASE = Millis(MINUTE)
RENEW_EVERY_S = 10.0
LOOK_EVERY_S = 2.0
OVER = ("finished", "failed")


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial that is over. value: of the metric, None if it failed. stopped: ended early, because going on was not worth it."""

    number: int
    run_id: str
    params: dict[str, Any]
    value: float | None
    stopped: bool = False
    error: str = ""


@dataclass(slots=True)
class Standing:
    """What a sweep that is gone on with has already. unfinished: trials to run once more, with the values they had."""

    done: list[TrialResult] = field(default_factory=list)
    unfinished: dict[int, dict[str, Any]] = field(default_factory=dict)


class Board:
    """Open from `begin` or `resume` to `close`. A thread of its own keeps the lease and looks for a wish to stop."""

    def __init__(self, target: Connection, parent: Run, spec: SweepSpec) -> None:
        self.spec = spec
        self.parent = parent
        self._target = target
        self._id = new_id()
        self._closed = threading.Event()
        self.stop_wanted = threading.Event()
        self._lease()
        self._thread = threading.Thread(target=self._watch, name="tilth-sweep", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Page of the sweep."""
        return self._target.page("sweeps", self.parent.id)

    @classmethod
    def begin(cls, spec: SweepSpec, *, name: str | None, experiment: str | None) -> Board:
        """Raises InvalidSweep, and what `tilth.run` raises."""
        written = msgspec.json.encode(spec).decode()
        if len(written) > MAX_TAG_CHARS:
            raise InvalidSweep(
                f"this sweep takes {len(written):,} characters to write down, more than {MAX_TAG_CHARS:,}; name fewer values"
            )
        parent = current.run(name or f"sweep of {spec.metric}", experiment=experiment, nested=True)
        parent.tag({SPEC_TAG: written, STATE_TAG: "running"})
        return cls(connection(), parent, spec)

    @classmethod
    def resume(cls, run_id: str) -> Board:
        """Raises NoSweep, SweepTaken."""
        target = connection()
        found = target.http.call("GET", f"{target.api}/runs/{run_id}", RunDetail)
        spec = spec_of(found)
        left_ms = _lease_end(found.tags.get(RUNNER_TAG, "")) - now()
        if left_ms > 0:
            raise SweepTaken(run_id, LEASE / 1000)
        parent = current.run(resume=run_id, nested=True)
        parent.tag({STATE_TAG: "running", STOP_TAG: None})
        return cls(target, parent, spec)

    def standing(self) -> Standing:
        """From the trials of earlier processes. Those that were cut off are marked as replaced: they are run once more."""
        standing = Standing()
        for run, tags, value in self._children():
            number, params = whole_of(tags[TRIAL_TAG]), _params(tags.get(PARAMS_TAG, ""))
            if not number or params is None:
                continue  # Somebody else wrote the tags.
            if run.status in OVER:
                result = TrialResult(
                    number,
                    run.id,
                    params,
                    value if run.status == "finished" else None,
                    STOPPED_TAG in tags,
                    "" if value is not None else "failed",
                )
                standing.done.append(result)
            else:
                standing.unfinished[number] = params
                self._tag(run.id, {REPLACED_TAG: "yes"})
        done = {result.number for result in standing.done}
        standing.unfinished = {number: params for number, params in standing.unfinished.items() if number not in done}
        return standing

    def note_best(self, best: TrialResult | None) -> None:
        if best is not None:
            self.parent.tag({BEST_TAG: best.run_id})

    def mark(self, run_id: str, tags: dict[str, str | None]) -> None:
        self._tag(run_id, tags)

    def objective(self, run_id: str) -> tuple[float | None, list[str]]:
        """(last value of the metric, what the run logged)."""
        found = self._target.http.call("GET", f"{self._target.api}/runs/{run_id}", RunDetail)
        values = {metric.key: float(metric.value) for metric in found.metrics}
        return values.get(self.spec.metric), [key for key in values if not key.startswith("system/")]

    def close(self, state: SweepState, error: str = "") -> None:
        """Gives the lease back and ends the parent run."""
        self._closed.set()
        self._thread.join()
        self.parent.tag({STATE_TAG: state, RUNNER_TAG: None, STOP_TAG: None})
        self.parent.finish({"finished": "finished", "stopped": "killed", "running": "killed", "failed": "failed"}[state], error)  # type: ignore[arg-type]

    def _children(self) -> list[tuple[Any, dict[str, str], float | None]]:
        metric = self.spec.metric
        columns = ",".join(
            [f"metrics.{metric}", f"tags.{TRIAL_TAG}", f"tags.{PARAMS_TAG}", f"tags.{REPLACED_TAG}", f"tags.{STOPPED_TAG}"]
        )
        query: dict[str, Any] = {"filter": f'parent="{self.parent.id}"', "limit": 500, "columns": columns}
        found: list[tuple[Any, dict[str, str], float | None]] = []
        while True:
            page = self._target.http.call("GET", f"{self._target.api}/runs", RunPage, query=query)
            for row in page.runs:
                if TRIAL_TAG in row.tags and REPLACED_TAG not in row.tags:
                    value = float(row.metrics[metric]) if metric in row.metrics else None
                    found.append((row.run, row.tags, None if value is not None and math.isnan(value) else value))
            if not page.next_page_token:
                return found
            query["page_token"] = page.next_page_token

    def _tag(self, run_id: str, tags: dict[str, str | None]) -> None:
        self._target.http.send("POST", f"{self._target.api}/runs/{run_id}/log", msgspec.json.encode(LogBatch(tags=tags)))

    def _lease(self) -> None:
        self._tag(self.parent.id, {RUNNER_TAG: f"{self._id} {now() + LEASE}"})

    def _watch(self) -> None:
        since_renewed = 0.0
        while not self._closed.wait(LOOK_EVERY_S):
            since_renewed += LOOK_EVERY_S
            try:
                if since_renewed >= RENEW_EVERY_S:
                    self._lease()
                    since_renewed = 0.0
                found = self._target.http.call("GET", f"{self._target.api}/runs/{self.parent.id}", RunDetail)
                if STOP_TAG in found.tags:
                    self.stop_wanted.set()
            except TilthError:
                continue  # The server is away for a moment; trials wait for it by themselves.


def spec_of(found: RunDetail) -> SweepSpec:
    """Raises NoSweep."""
    try:
        return msgspec.json.decode(found.tags[SPEC_TAG], type=SweepSpec)
    except (KeyError, msgspec.MsgspecError) as error:
        raise NoSweep(found.run.id) from error


def _params(text: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _lease_end(text: str) -> int:
    return whole_of(text.partition(" ")[2])
