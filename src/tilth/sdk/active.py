"""One run, from the side of the program that makes it."""

from __future__ import annotations

import json
import mimetypes
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from tilth.core.clock import now
from tilth.core.errors import TilthError
from tilth.core.ids import new_id
from tilth.core.names import check_artifact_path, check_key
from tilth.sdk import datasets, journal, uploads
from tilth.sdk.comparing import compare
from tilth.sdk.connection import Connection
from tilth.sdk.differences import Comparison
from tilth.sdk.errors import InvalidLog, NotEverythingSent, RunHasEnded
from tilth.sdk.figures import drawn
from tilth.sdk.listing import MOST_POINTS, History, history
from tilth.sdk.ranks import ALONE, Rank
from tilth.sdk.sampling import Sampler
from tilth.sdk.sender import Sender
from tilth.sdk.spill import AWAY_AFTER_S, Spill
from tilth.wire.journal import Began
from tilth.wire.tracking import (
    MAX_KEY_CHARS,
    MAX_PARAM_CHARS,
    MAX_TAG_CHARS,
    DatasetInput,
    EndStatus,
    MetricPoint,
    RunCreate,
    RunRow,
    RunUpdate,
    to_json_value,
)

FLUSH_TIMEOUT_S = 60.0
UPLOAD_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A run as it stands when this process takes it up.

    create: what makes it, where the server does not know it yet. last_steps: of its metrics. rank_metrics: whether ranks beyond the first
    log metrics, too.
    """

    id: str
    name: str
    experiment: str
    create: RunCreate | None = None
    last_steps: dict[str, int] = field(default_factory=dict)
    rank: Rank = ALONE
    rank_metrics: bool = False


class Run:
    """A run that this program writes to. Made by `tilth.run()`; use it as a context manager, or call `finish`.

    Methods may be called from several threads. What the server refuses is raised by the next call. Of several ranks only the first one
    writes params, tags, notes, data sets and the end; what others log is left out, or stands under `rank1/` and so on.
    """

    def __init__(self, connection: Connection, begun: Begun, sampler: Sampler) -> None:
        self.id = begun.id
        self.name = begun.name
        self.experiment = begun.experiment
        self.rank = begun.rank
        self._connection = connection
        self._sampler = sampler
        self._at_end: list[Callable[[Run], None]] = []
        self._on_sample: list[Callable[[], None]] = []
        self._on_log: list[Callable[[int, str, float], None]] = []
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._steps = begun.last_steps
        self._logs_metrics = begun.rank.is_first or begun.rank_metrics
        self._params: dict[str, str] = {}
        self._is_open = True
        self._spill = _spill(connection, begun)
        if begun.create is not None:
            self._spill.open()
        self._sender = Sender(connection.http, self.path, self._spill, self._sample, beats=begun.rank.is_first)

    @property
    def path(self) -> str:
        """Of this run on the server's API."""
        return f"{self._connection.api}/runs/{self.id}"

    @property
    def url(self) -> str:
        """Page of the run; empty where no server is known."""
        return self._connection.page("runs", self.id) if self._connection.url else ""

    @property
    def is_open(self) -> bool:
        return self._is_open

    def log(self, metrics: Mapping[str, float] | None = None, /, *, step: int | None = None, **values: float) -> None:
        """Logs metrics: `run.log(loss=0.3, step=7)` or `run.log({"val/loss": 0.3})`. NaN and infinities are legal.

        Without a step each metric counts up by itself, from 0. Raises InvalidLog, InvalidName.
        """
        self._check_open()
        if step is not None and (isinstance(step, bool) or not hasattr(step, "__index__")):
            raise InvalidLog(f"step {step!r} is not an integer; count steps 0, 1, 2, ...")
        moment = now()
        given = {**(metrics or {}), **values}
        if not self._logs_metrics:
            return
        given = {f"{self.rank.prefix}{key}": value for key, value in given.items()}
        numbers = {check_key(key, "metric", MAX_KEY_CHARS): _number(key, value) for key, value in given.items()}
        with self._lock:
            points = [MetricPoint(key, to_json_value(value), self._step(key, step), moment) for key, value in numbers.items()]
        self._sender.add(metrics=points)
        for note in self._on_log:
            for point in points:
                note(point.step, point.key, numbers[point.key])

    def params(self, params: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Logs params, once each: the same value again is fine, another one raises. Raises InvalidLog, InvalidName."""
        self._check_open()
        texts = {check_key(key, "param", MAX_KEY_CHARS): _text(value) for key, value in {**(params or {}), **values}.items()}
        with self._lock:
            for key, text in texts.items():
                if len(text) > MAX_PARAM_CHARS:
                    raise InvalidLog(
                        f"param {key!r} has {len(text)} characters, {MAX_PARAM_CHARS} are allowed; log it by run.log_text"
                    )
                if self._params.get(key, text) != text:
                    raise InvalidLog(
                        f"param {key!r} is {self._params[key][:80]!r} and cannot become {text[:80]!r}: params are written once; "
                        "log what changes by run.log or run.tag"
                    )
            self._params.update(texts)
        if self.rank.is_first:
            self._sender.add(params=texts)

    def tag(self, tags: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Sets tags; None removes one. Raises InvalidLog, InvalidName."""
        self._check_open()
        texts = {
            check_key(key, "tag", MAX_KEY_CHARS): None if value is None else _text(value)
            for key, value in {**(tags or {}), **values}.items()
        }
        for key, text in texts.items():
            if text is not None and len(text) > MAX_TAG_CHARS:
                raise InvalidLog(f"tag {key!r} has {len(text)} characters, {MAX_TAG_CHARS} are allowed; log it by run.log_text")
        if self.rank.is_first:
            self._sender.add(tags=texts)

    def note(self, text: str) -> None:
        """Replaces the run's notes (Markdown)."""
        self._check_open()
        if self.rank.is_first:
            self._update(RunUpdate(notes=text))

    def use_dataset(self, name: str, data: Any, source: str | None = None, *, context: str = "") -> DatasetInput:
        """Notes that the run read `data`: a DataFrame, an array, a file or folder, bytes or JSON values. Returns digest and profile.

        source: where it came from, for people. context: such as `training`. Raises UnknownData.
        """
        return self.note_dataset(datasets.describe(name, data, source, context))

    def note_dataset(self, described: DatasetInput) -> DatasetInput:
        """As `use_dataset`, of data whose digest is known already."""
        self._check_open()
        if self.rank.is_first:
            self._sender.add(dataset=described)
        return described

    def log_artifact(self, path: str | Path, name: str | None = None) -> None:
        """Stores a file, or every file of a folder, under `name` (its own name if left out). Returns once it is stored."""
        self._check_open()
        source = Path(path)
        target = name or source.resolve().name
        if source.is_dir():
            for file in sorted(file for file in source.rglob("*") if file.is_file() and not file.is_symlink()):
                self._put_file(file, f"{target}/{file.relative_to(source).as_posix()}")
        elif source.is_file():
            self._put_file(source, target)
        else:
            raise InvalidLog(f"no file or folder {str(source)[:200]!r} to log; look for a typing mistake in the path")

    def log_text(self, text: str, name: str) -> None:
        """Stores a text file (UTF-8)."""
        self._put_bytes(text.encode(), name)

    def log_json(self, value: Any, name: str) -> None:
        """Stores JSON values as a file."""
        self._put_bytes(json.dumps(value, indent=1, ensure_ascii=False).encode(), name)

    def log_figure(self, figure: Any, name: str) -> None:
        """Stores a matplotlib or plotly figure or a PIL image; the ending of `name` chooses the format (png, svg, html)."""
        self._put_bytes(drawn(figure, name), name)

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Returns once everything logged so far is stored, by the server or in the journal.

        Raises NotEverythingSent, and what the server refused.
        """
        self._sender.flush(timeout_s)
        self._sender.raise_refusal()

    def finish(self, status: EndStatus = "finished", error: str = "") -> None:
        """Sends the rest and ends the run; further calls do nothing. What the server cannot take now waits in the journal.

        Raises NotEverythingSent if that cannot be written, and what the server refused.
        """
        with self._lock:
            if not self._is_open or self._pid != os.getpid():
                return
            self._is_open = False
        for last in self._at_end:
            last(self)
        trouble: TilthError | None = None
        try:
            self._sender.add(metrics=self._sample())
        except TilthError as refusal:
            trouble = refusal
        try:
            self._sender.close(_flush_timeout_s())
        except NotEverythingSent as unsent:
            trouble = trouble or unsent
        if self.rank.is_first:
            self._update(RunUpdate(status=status, ended=now(), error=error, resources=self._sampler.resource_use()))
        self._tell_what_waits()
        if trouble is not None:
            raise trouble
        self._sender.raise_refusal()

    def fail(self, error: BaseException) -> None:
        """Ends the run as failed (killed for KeyboardInterrupt) with the traceback. Trouble with sending is printed, not raised."""
        killed = isinstance(error, KeyboardInterrupt)
        text = "".join(traceback.format_exception(error))
        try:
            self.finish("killed" if killed else "failed", text)
        except TilthError as trouble:
            # The program's own exception must come through, not ours.
            sys.stderr.write(f"tilth: run {self.name!r}: {trouble}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.finish()
        else:
            self.fail(error)

    def __repr__(self) -> str:
        return f"<Run {self.name!r} {self.id}>"

    def history(self, key: str, *, most: int = MOST_POINTS) -> History:
        """The curve of a metric, once what was logged so far is stored. Raises what the server refuses."""
        if self._is_open:
            self.flush()
        return history(self.id, f"{self.rank.prefix}{key}", most=most, through=self._connection)

    def compare(self, *others: str | Run | RunRow) -> Comparison:
        """What is different between this run and others; as `tilth.compare`."""
        return compare(self, *others)

    def later(self, name: str, data: Callable[[], bytes]) -> None:
        """Stores an artifact from the sending thread."""
        self._sender.later(lambda: self._put_bytes(data(), name))

    def at_end(self, last: Callable[[Run], None]) -> None:
        """Called when the run ends, before the rest is sent."""
        self._at_end.append(last)

    def on_sample(self, look: Callable[[], None]) -> None:
        """Called every few seconds from the sending thread."""
        self._on_sample.append(look)

    def on_log(self, note: Callable[[int, str, float], None]) -> None:
        """Called with (step, metric, value) by whoever logs."""
        self._on_log.append(note)

    @property
    def sends_at_once(self) -> bool:
        """Whether the server takes what is logged now."""
        return self._spill.sends_at_once

    def _sample(self) -> list[MetricPoint]:
        points = self._sampler.sample()
        for point in points:
            point.key = point.key.replace("system/", f"system/{self.rank.prefix}", 1)
        for look in self._on_sample:
            look()
        return points

    def _tell_what_waits(self) -> None:
        folder = self._spill.close()
        if folder is not None:
            where = f"Tilth at {self._connection.url}" if self._connection.url else "a Tilth server"
            command = (
                "tilth sync" if folder.parent == journal.journal_root(os.environ, Path.cwd()) else f"tilth sync {folder.parent}"
            )
            sys.stderr.write(f"tilth: run {self.name!r} waits on disk in {folder}; send it to {where} with: {command}\n")

    def _step(self, key: str, step: int | None) -> int:
        chosen = self._steps.get(key, -1) + 1 if step is None else step.__index__()
        self._steps[key] = max(chosen, self._steps.get(key, chosen))
        return chosen

    def _check_open(self) -> None:
        if not self._is_open:
            raise RunHasEnded(self.name, self.id)

    def _update(self, update: RunUpdate) -> None:
        content, patience_s = msgspec.json.encode(update), self._patience_s(_flush_timeout_s())
        self._spill.change(update, lambda: self._connection.http.send("PATCH", self.path, content, retry_for_s=patience_s))

    def _put_file(self, file: Path, name: str) -> None:
        http, place, media = self._connection.http, self._artifact(name), _media(name)
        patience_s = self._patience_s(UPLOAD_RETRY_S)
        self._spill.send_or(
            lambda: uploads.send_file(http, self._connection.api, place, file, media, retry_for_s=patience_s),
            lambda journal: journal.keep_file(file, name, media),
        )

    def _put_bytes(self, data: bytes, name: str) -> None:
        http, place, media = self._connection.http, self._artifact(name), _media(name)
        patience_s = self._patience_s(UPLOAD_RETRY_S)
        self._spill.send_or(
            lambda: uploads.send_bytes(http, place, data, media, retry_for_s=patience_s),
            lambda journal: journal.keep_bytes(data, name, media),
        )

    def _patience_s(self, most_s: float) -> float:
        """How long something is sent again and again before it goes to disk."""
        return most_s if self._spill.patience_s is None else min(most_s, self._spill.patience_s)

    def _artifact(self, name: str) -> str:
        return f"{self.path}/artifacts/{quote(check_artifact_path(name))}"


def _spill(connection: Connection, begun: Begun) -> Spill:
    first = Began(
        writer=new_id(),
        run_id=begun.id,
        name=begun.name,
        url=connection.url,
        project=connection.project,
        host=socket.gethostname(),
        pid=os.getpid(),
        started=now(),
        create=begun.create,
        ends_run=begun.rank.is_first,
    )
    root, sync = journal.journal_root(os.environ, Path.cwd()), journal.policy(os.environ)
    http = None if connection.mode == "offline" or not connection.url else connection.http
    patience_s = None if connection.mode == "online" else AWAY_AFTER_S
    return Spill(root, sync, first, http, connection.api, patience_s=patience_s)


def _media(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _flush_timeout_s() -> float:
    try:
        return float(os.environ.get("TILTH_FLUSH_TIMEOUT_S", FLUSH_TIMEOUT_S))
    except ValueError:
        return FLUSH_TIMEOUT_S


def _number(key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidLog(f"metric {key!r} is {str(value)[:80]!r}, not a number; log text by run.tag or run.params") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
