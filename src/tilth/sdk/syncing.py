"""Sends the runs that wait in a journal. Safe to start twice, to kill and to start again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from tilth.core.errors import TilthError, Unavailable
from tilth.sdk import journal, journal_reading
from tilth.sdk.delivery import Delivery, RunNotThere
from tilth.sdk.http import LOOPBACK, Http
from tilth.wire.journal import Began

QUIET_S = 600.0
"""A writer on another machine counts as dead after so long without a word: its lock cannot be seen from here."""
RETRY_S = 30.0


@dataclass
class Report:
    """What a round did. sent: run id -> bytes; refused: sentences; waiting: run id -> why it still waits."""

    sent: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Destination:
    """Where journals go. project: before that of the journal. anywhere: also what was meant for another address."""

    http: Http
    project: str
    fallback_project: str
    anywhere: bool
    home: Path | None = None

    def api(self, begun: Began) -> str:
        name = self.project or begun.project or self.fallback_project
        return f"/api/v1/p/{quote(name, safe='')}"

    def takes(self, begun: Began, folder: Path) -> bool:
        """A journal in the server's own home may name an address of yesterday; another one must name this server."""
        if self.anywhere or not begun.url or begun.url.rstrip("/") == self.http.url.rstrip("/"):
            return True
        own = self.home is not None and self.home in folder.parents
        return own and urlsplit(begun.url).hostname in LOOPBACK


Progress = Callable[[int, int], None]
"""(bytes sent, bytes there)"""


def waiting_bytes(root: Path) -> int:
    """Bytes of entries that were not sent yet."""
    total = 0
    for folder in journal_reading.journals(root):
        total += (folder / journal.ENTRIES).stat().st_size - journal_reading.read_position(folder).sent
    return total


def sync(root: Path, to: Destination, progress: Progress = lambda done, whole: None) -> Report:
    """One round over every journal. Raises Unavailable when the server goes away: what was sent stays sent."""
    report, whole = Report(), waiting_bytes(root)
    done = 0

    def sent(size: int) -> None:
        nonlocal done
        done += size
        progress(min(done, whole), whole)

    again = [folder for folder in journal_reading.journals(root) if not _attempt(folder, to, report, sent)]
    for folder in again:
        # Ranks and children go on with a run that another journal makes: by now it may be there.
        _attempt(folder, to, report, sent)
    return report


def watch(root: Path, to: Destination, every_s: float, heard: Callable[[Report], None], progress: Progress) -> None:
    """Rounds without end; while the server is away it waits."""
    while True:
        try:
            heard(sync(root, to, progress))
        except Unavailable as away:
            heard(Report(waiting={"": str(away)}))
        time.sleep(every_s)


def _attempt(folder: Path, to: Destination, report: Report, sent: Callable[[int], object]) -> bool:
    """False: worth another attempt in this round."""
    if not folder.is_dir():
        return True
    with journal_reading.sending(folder) as ours:
        if not ours:
            report.waiting[folder.name] = "another process is sending it"
            return True
        try:
            return _send(folder, to, report, sent)
        except Unavailable:
            raise
        except RunNotThere as missing:
            report.waiting[folder.name] = str(missing)
            return False
        except TilthError as refusal:
            report.waiting[folder.name] = str(refusal)
            return True


def _send(folder: Path, to: Destination, report: Report, sent: Callable[[int], object]) -> bool:
    if not (folder / journal.ENTRIES).is_file():
        return True
    begun = journal_reading.began(folder)
    if not to.takes(begun, folder):
        report.waiting[folder.name] = f"it was meant for {begun.url}; send it there, or here, by naming the address with --url"
        return True
    before = journal_reading.read_position(folder).sent
    delivery = Delivery(to.http, to.api(begun), folder, sent=sent, retry_for_s=RETRY_S)
    delivery.send()
    report.waiting.pop(folder.name, None)
    if delivery.position.sent > before:
        report.sent[begun.run_id] = report.sent.get(begun.run_id, 0) + delivery.position.sent - before
    if journal_reading.is_written(folder, begun, QUIET_S):
        report.waiting[folder.name] = f"run {begun.run_id} is still writing"
    elif delivery.at_end():
        _put_away(folder, delivery, begun, report)
    return True


def _put_away(folder: Path, delivery: Delivery, begun: Began, report: Report) -> None:
    """Everything is with the server; what it refused stays on disk."""
    if begun.ends_run and not delivery.said_its_end:
        delivery.end_lost()
    if delivery.position.refused:
        kept = folder.with_name(f"{folder.name}.refused")
        report.refused += [f"run {begun.run_id}: {text}" for text in delivery.position.refused]
        report.refused.append(f"what was refused of it stays in {kept}")
        shutil.rmtree(kept, ignore_errors=True)
        folder.rename(kept)
    else:
        shutil.rmtree(folder, ignore_errors=True)
