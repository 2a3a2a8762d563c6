"""Sends what a journal holds to a server: in order, nothing twice, nothing left out, going on where an earlier attempt stopped.

Why nothing counts twice: a batch carries its writer and a number that grows, and the server skips numbers that it has seen. Batches are
sent in groups under the number of their last; the bounds of a group are on disk before it leaves, so that a repeated group is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Denied, Invalid, NotFound, TilthError, Unauthenticated, Unavailable
from tilth.core.hashing import address_of_file
from tilth.core.names import check_artifact_path
from tilth.sdk import journal, journal_reading, uploads
from tilth.sdk.http import Http
from tilth.wire.journal import Began, Changed, Entry, Logged, Position, Stored
from tilth.wire.tracking import MAX_INPUTS, MAX_METRICS, MAX_PARAMS, MAX_TAGS, LogBatch, RunInfo, RunUpdate

GROUP_BYTES = 1 << 20
NOT_OF_THE_VALUES = (Unavailable, Unauthenticated, Denied)
"""Refusals that say nothing about what was sent: other credentials, or another time, and the same values are welcome."""


class RunNotThere(NotFound):
    """The journal goes on with a run that the server does not know (yet)."""


class FileChanged(Conflict):
    """A file that the journal only points to is gone or has changed since."""


def deliver_apart(send: Callable[[LogBatch], None], batch: LogBatch, refused: Callable[[TilthError], None]) -> None:
    """Sends a batch; if the server refuses it, its parts, so that only the culprit is lost. Raises NOT_OF_THE_VALUES.

    A part goes out under a writer of its own, made from that of the batch: sending all of it again changes nothing.
    """
    try:
        send(batch)
    except NOT_OF_THE_VALUES:
        raise
    except TilthError as refusal:
        parts = parts_of(batch)
        if len(parts) < 2:
            refused(refusal)
            return
        writer = hashlib.sha256(f"{batch.writer}:{batch.number}".encode()).hexdigest()[:32]
        for number, part in enumerate(parts, start=1):
            deliver_apart(send, msgspec.structs.replace(part, writer=writer, number=number), refused)


def parts_of(batch: LogBatch) -> list[LogBatch]:
    """Halves of the metrics, and every param, tag and data set alone."""
    half = max(1, len(batch.metrics) // 2)
    metrics = [part for part in (batch.metrics[:half], batch.metrics[half:]) if part]
    return [
        *(LogBatch(metrics=part) for part in metrics),
        *(LogBatch(params={key: value}) for key, value in batch.params.items()),
        *(LogBatch(tags={key: value}) for key, value in batch.tags.items()),
        *(LogBatch(inputs=[data]) for data in batch.inputs),
    ]


@dataclass
class _Group:
    """Batches that go out as one."""

    begin: int
    end: int
    batches: list[LogBatch] = field(default_factory=list)

    def takes(self, batch: LogBatch) -> bool:
        """Whether one more fits. Values of one key keep their order: a later tag or param would hide an earlier one."""
        held = self.batches
        return not held or (
            sum(len(one.metrics) for one in held) + len(batch.metrics) <= MAX_METRICS
            and sum(len(one.inputs) for one in held) + len(batch.inputs) <= MAX_INPUTS
            and len(self._keys("params")) + len(batch.params) <= MAX_PARAMS
            and len(self._keys("tags")) + len(batch.tags) <= MAX_TAGS
            and self._keys("params").isdisjoint(batch.params)
            and self.end - self.begin < GROUP_BYTES
        )

    def _keys(self, what: str) -> set[str]:
        return {key for one in self.batches for key in getattr(one, what)}

    def whole(self) -> LogBatch:
        last = self.batches[-1]
        return LogBatch(
            metrics=[point for one in self.batches for point in one.metrics],
            params={key: value for one in self.batches for key, value in one.params.items()},
            tags={key: value for one in self.batches for key, value in one.tags.items()},
            inputs=[data for one in self.batches for data in one.inputs],
            writer=last.writer,
            number=last.number,
        )


class Delivery:
    """One folder of a journal on its way to one project. Hold `journal_reading.sending(folder)` while it works.

    api: path of the project's API. sent: called with the bytes of entries that were acknowledged. stop: asked between requests.
    """

    def __init__(
        self,
        http: Http,
        api: str,
        folder: Path,
        *,
        sent: Callable[[int], object] = lambda size: None,
        stop: Callable[[], bool] = lambda: False,
        retry_for_s: float = 0.0,
    ) -> None:
        self._http, self._api, self._folder = http, api, folder
        self._sent, self._stop, self._retry_for_s = sent, stop, retry_for_s
        self._began = journal_reading.began(folder)
        self._path = f"{api}/runs/{self._began.run_id}"
        self.position = journal_reading.read_position(folder)
        self.last_moment: Millis | None = None
        self.said_its_end = False

    @property
    def began(self) -> Began:
        return self._began

    def send(self) -> None:
        """Sends everything that is there. Raises Unavailable, and what refuses the run itself (RunNotThere, Conflict, Denied, ...)."""
        self._look_back()
        while not self._stop():
            group = self._next_group()
            if group is None:
                return
            entry, begin, end = group
            if isinstance(entry, _Group):
                self._send_group(entry)
            else:
                self._send_entry(entry)
            self._advance(begin, end)

    def at_end(self) -> bool:
        """Whether nothing is left to send, a torn last line aside."""
        return self._next_group() is None

    def end_lost(self) -> None:
        """The writer died without a word on how its run ended."""
        reason = "the run's process ended without saying how, while the server was away; its journal was sent afterwards"
        update = RunUpdate(status="lost", ended=self.last_moment or self._began.started, error=reason)
        self._http.call("PATCH", self._path, RunInfo, body=update, retry_for_s=self._retry_for_s)

    def _look_back(self) -> None:
        """What was sent already tells, too, when the run was last alive and how it ended."""
        for entry, _, end in journal_reading.entries(self._folder):
            self._note(entry)
            if end >= self.position.sent:
                break

    def _note(self, entry: Entry) -> None:
        match entry:
            case Logged(batch=batch):
                moments = [point.ts for point in batch.metrics if point.ts is not None]
                self.last_moment = Millis(max([*moments, self.last_moment or 0])) if moments else self.last_moment
            case Changed(update=update):
                if update.status is not msgspec.UNSET:
                    self.said_its_end = update.status not in ("running", "scheduled")

    def _next_group(self) -> tuple[_Group | Entry, int, int] | None:
        group: _Group | None = None
        bound = self.position.until if self.position.until > self.position.sent else None
        for entry, begin, end in journal_reading.entries(self._folder, self.position.sent):
            if not isinstance(entry, Logged):
                return (group, group.begin, group.end) if group is not None else (entry, begin, end)
            if group is None:
                group = _Group(begin, end, [entry.batch])
                if entry.tried and bound is None:
                    break
            elif (end <= bound) if bound is not None else (not entry.tried and group.takes(entry.batch)):
                group.batches.append(entry.batch)
                group.end = end
            else:
                break
        return (group, group.begin, group.end) if group is not None else None

    def _advance(self, begin: int, end: int) -> None:
        for entry, _, until in journal_reading.entries(self._folder, begin):
            self._note(entry)
            if until >= end:
                break
        self._write(Position(sent=end, refused=self.position.refused))
        self._sent(end - begin)

    def _write(self, position: Position) -> None:
        self.position = position
        journal_reading.write_position(self._folder, position)

    def _send_group(self, group: _Group) -> None:
        if self.position.until != group.end:
            self._write(Position(self.position.sent, group.end, refused=self.position.refused))
        if not self.position.apart:
            try:
                self._repeat(group.whole())
                return
            except NOT_OF_THE_VALUES:
                raise
            except TilthError:
                self._check_run()
                self._write(Position(self.position.sent, group.end, apart=True, refused=self.position.refused))
        for batch in group.batches:
            deliver_apart(self._repeat, batch, self._refuse)

    def _repeat(self, batch: LogBatch) -> None:
        content = msgspec.json.encode(batch)
        self._http.send("POST", f"{self._path}/log", content, retry_for_s=self._retry_for_s)

    def _check_run(self) -> None:
        """A batch of a run that is not there, or may not be written, must not be given up value by value."""
        try:
            info = self._http.send("GET", self._path, retry_for_s=self._retry_for_s)
        except NotFound as missing:
            raise RunNotThere(str(missing)) from missing
        if msgspec.json.decode(info.content)["run"]["deleted"]:
            raise Conflict(f"run {self._began.run_id} was deleted; restore it with `tilth run restore {self._began.run_id}`")

    def _send_entry(self, entry: Entry) -> None:
        match entry:
            case Began(create=create) if create is not None:
                self._http.call("POST", f"{self._api}/runs", RunInfo, body=create, retry_for_s=self._retry_for_s)
            case Began():
                self._check_run()
            case Stored():
                self._send_artifact(entry)
            case Changed(update=update):
                self._tell(lambda: self._http.call("PATCH", self._path, RunInfo, body=update, retry_for_s=self._retry_for_s))

    def _send_artifact(self, stored: Stored) -> None:
        file = Path(stored.file) if stored.file else self._folder / journal.FILES / stored.digest
        place = f"{self._path}/artifacts/{quote(check_artifact_path(stored.path))}"

        def send() -> None:
            if stored.file and (not file.is_file() or address_of_file(file) != stored.digest):
                raise FileChanged(f"{stored.file} is gone or has changed since it was logged as {stored.path!r}: it was not sent")
            retry = self._retry_for_s
            uploads.send_file(self._http, self._api, place, file, stored.content_type, retry_for_s=retry, digest=stored.digest)

        self._tell(send)

    def _tell(self, send: Callable[[], object]) -> None:
        try:
            send()
        except Unavailable:
            raise
        except (Conflict, Invalid, NotFound) as refusal:
            self._check_run()
            self._refuse(refusal)

    def _refuse(self, refusal: TilthError) -> None:
        self._write(msgspec.structs.replace(self.position, refused=[*self.position.refused, str(refusal)]))
