"""Where a run's values go while its server is away, and how they come back from there without any of them overtaking another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import Invalid, TilthError, Unavailable
from tilth.sdk import journal_reading
from tilth.sdk.delivery import Delivery
from tilth.sdk.http import Http
from tilth.sdk.journal import Journal, Policy
from tilth.wire.journal import Began, Changed, Logged
from tilth.wire.tracking import LogBatch, RunUpdate

AWAY_AFTER_S = 5.0
FIRST_PAUSE_S = 2.0
MAX_PAUSE_S = 30.0


class RefusedAfterwards(Invalid):
    """The server did not take something that had waited in the journal."""


class Spill:
    """The journal of one writer, opened when it is needed.

    http: None in a run that never talks to a server. patience_s: how long the server may be silent before values go to disk; None: until
    the run ends. begun: first line of a journal.
    """

    def __init__(
        self, root: Path, sync: Policy, begun: Began, http: Http | None, api: str, *, patience_s: float | None = AWAY_AFTER_S
    ) -> None:
        self.root, self.writer, self.patience_s = root, begun.writer, patience_s
        self._sync, self._begun, self._http, self._api = sync, begun, http, api
        self._lock = threading.RLock()
        self._journal: Journal | None = None
        self._pause_s = FIRST_PAUSE_S
        self._next_try = monotonic() + FIRST_PAUSE_S
        self._refused: list[str] = []
        self._told = 0

    def for_child(self, writer: str) -> Spill:
        """For a forked process: a journal of its own, in which the run is made by its parent."""
        begun = msgspec.structs.replace(self._begun, writer=writer, create=None, ends_run=False)
        return Spill(self.root, self._sync, begun, self._http, self._api, patience_s=self.patience_s)

    @property
    def is_open(self) -> bool:
        return self._journal is not None

    @property
    def is_offline(self) -> bool:
        """Whether this run never talks to a server."""
        return self._http is None

    @property
    def sends_at_once(self) -> bool:
        """Whether the server takes what is logged now."""
        return not self.is_open and not self.is_offline

    @property
    def folder(self) -> Path | None:
        """Of the journal, while there is one."""
        return self._journal.folder if self._journal is not None else None

    def open(self) -> Journal:
        """Raises OSError."""
        with self._lock:
            if self._journal is None:
                self._journal = Journal(self.root, self._begun, self._sync)
                self._pause_s = FIRST_PAUSE_S
                self._next_try = monotonic() + FIRST_PAUSE_S
            return self._journal

    def add(self, batch: LogBatch) -> bool:
        """Writes the batch if the journal is open; whether it did."""
        with self._lock:
            if self._journal is None and not self.is_offline:
                return False
            self.open().append(Logged(batch))
            return True

    def add_tried(self, batch: LogBatch) -> None:
        """The server may have it already: it goes out again just as it is."""
        with self._lock:
            self.open().append(Logged(batch, tried=True))

    def change(self, update: RunUpdate, send: Callable[[], object]) -> None:
        """Tells the server, or the journal. Raises what the server refuses."""
        self.send_or(send, lambda journal: journal.append(Changed(update)))

    def send_or(self, send: Callable[[], object], keep: Callable[[Journal], None]) -> None:
        """`send` while the server answers; else, or once it does not, `keep`."""
        with self._lock:
            if self._journal is not None or self.is_offline:
                keep(self.open())
                return
        try:
            send()
        except Unavailable:
            with self._lock:
                keep(self.open())

    def sync(self) -> None:
        with self._lock:
            if self._journal is not None:
                self._journal.sync()

    def catch_up(self, stop: Callable[[], bool], *, at_once: bool = False) -> None:
        """Sends the journal if the time for another attempt has come, and closes it once it is empty. Raises what Delivery.send raises."""
        standing = self._journal
        if standing is None or self._http is None or not (at_once or monotonic() >= self._next_try):
            return
        self._next_try = monotonic() + self._pause_s
        self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2)
        with journal_reading.sending(standing.folder) as ours:
            if not ours:
                return
            delivery = Delivery(self._http, self._api, standing.folder, stop=stop)
            try:
                delivery.send()
            finally:
                self._refused += delivery.position.refused[self._told :]
                self._told = len(delivery.position.refused)
            with self._lock, standing.held():
                if delivery.at_end():
                    self._journal = None
                    self._begun = msgspec.structs.replace(self._begun, create=None)
                    self._told = 0
                    standing.drop()

    def take_refused(self) -> list[TilthError]:
        """What the server did not take of the journal since the last call."""
        found, self._refused = self._refused, []
        return [RefusedAfterwards(f"{text} (it had waited in the journal)") for text in found]

    def close(self) -> Path | None:
        """Ends the journal; its folder if something waits in it."""
        with self._lock:
            if self._journal is None:
                return None
            folder = self._journal.folder
            self._journal.close()
            self._journal = None
            return folder
