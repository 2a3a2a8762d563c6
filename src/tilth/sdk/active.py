"""One run, from the side of the program that makes it."""

from __future__ import annotations

import io
import json
import mimetypes
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from tilth.core.clock import now
from tilth.core.errors import TilthError
from tilth.core.hashing import CHUNK_BYTES, address_of_file, chunks, content_address
from tilth.core.names import check_artifact_path, check_key
from tilth.sdk import datasets
from tilth.sdk.connection import Connection
from tilth.sdk.errors import InvalidLog, NotEverythingSent, RunHasEnded
from tilth.sdk.sampling import Sampler
from tilth.sdk.sender import Sender
from tilth.wire.tracking import (
    MAX_KEY_CHARS,
    MAX_PARAM_CHARS,
    MAX_TAG_CHARS,
    DatasetInput,
    EndStatus,
    MetricPoint,
    RunInfo,
    RunUpdate,
    to_json_value,
)

FLUSH_TIMEOUT_S = 60.0
UPLOAD_RETRY_S = 60.0


class Run:
    """A run that this program writes to. Made by `tilth.run()`; use it as a context manager, or call `finish`.

    Methods may be called from several threads. What the server refuses is raised by the next call.
    """

    def __init__(
        self, connection: Connection, info: RunInfo, sampler: Sampler, ended: Callable[[Run], None], last_steps: dict[str, int]
    ) -> None:
        self.id = info.id
        self.name = info.name
        self.experiment = info.experiment
        self._connection = connection
        self._sampler = sampler
        self._ended = ended
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._steps = last_steps
        self._params: dict[str, str] = {}
        self._is_open = True
        self._sender = Sender(connection.http, self.path, sampler.sample)

    @property
    def path(self) -> str:
        """Of this run on the server's API."""
        return f"{self._connection.api}/runs/{self.id}"

    @property
    def url(self) -> str:
        """Page of the run."""
        return self._connection.page("runs", self.id)

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
        numbers = {check_key(key, "metric", MAX_KEY_CHARS): _number(key, value) for key, value in given.items()}
        with self._lock:
            points = [MetricPoint(key, to_json_value(value), self._step(key, step), moment) for key, value in numbers.items()]
        self._sender.add(metrics=points)

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
        self._sender.add(tags=texts)

    def note(self, text: str) -> None:
        """Replaces the run's notes (Markdown)."""
        self._check_open()
        self._update(RunUpdate(notes=text))

    def use_dataset(self, name: str, data: Any, source: str | None = None, *, context: str = "") -> DatasetInput:
        """Notes that the run read `data`: a DataFrame, an array, a file or folder, bytes or JSON values. Returns digest and profile.

        source: where it came from, for people. context: such as `training`. Raises UnknownData.
        """
        self._check_open()
        described = datasets.describe(name, data, source, context)
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
        ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
        if hasattr(figure, "savefig"):
            drawn = io.BytesIO()
            figure.savefig(drawn, format=ending or "png", dpi=120, bbox_inches="tight")
            self._put_bytes(drawn.getvalue(), name)
        elif ending == "html" and hasattr(figure, "to_html"):
            self._put_bytes(figure.to_html().encode(), name)
        elif hasattr(figure, "to_image"):
            self._put_bytes(figure.to_image(format=ending or "png"), name)
        elif hasattr(figure, "save"):
            drawn = io.BytesIO()
            figure.save(drawn, format=ending or "png")
            self._put_bytes(drawn.getvalue(), name)
        else:
            raise InvalidLog(f"a {type(figure).__name__} cannot be drawn; give a matplotlib or plotly figure or a PIL image")

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Returns once everything logged so far is stored. Raises NotEverythingSent, and what the server refused."""
        self._sender.flush(timeout_s)
        self._sender.raise_refusal()

    def finish(self, status: EndStatus = "finished", error: str = "") -> None:
        """Sends the rest and ends the run; further calls do nothing. Raises NotEverythingSent, and what the server refused."""
        with self._lock:
            if not self._is_open or self._pid != os.getpid():
                return
            self._is_open = False
        self._ended(self)
        trouble: TilthError | None = None
        try:
            self._sender.add(metrics=self._sampler.sample())
        except TilthError as refusal:
            trouble = refusal
        try:
            self._sender.close(_flush_timeout_s())
        except NotEverythingSent as unsent:
            trouble = trouble or unsent
        self._update(RunUpdate(status=status, ended=now(), error=error, resources=self._sampler.resource_use()))
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

    def later(self, name: str, data: Callable[[], bytes]) -> None:
        """Stores an artifact from the sending thread."""
        self._sender.later(lambda: self._put_bytes(data(), name, retry_for_s=0.0))

    def _step(self, key: str, step: int | None) -> int:
        chosen = self._steps.get(key, -1) + 1 if step is None else step.__index__()
        self._steps[key] = max(chosen, self._steps.get(key, chosen))
        return chosen

    def _check_open(self) -> None:
        if not self._is_open:
            raise RunHasEnded(self.name, self.id)

    def _update(self, update: RunUpdate) -> None:
        self._connection.http.send("PATCH", self.path, msgspec.json.encode(update), retry_for_s=_flush_timeout_s())

    def _put_file(self, file: Path, name: str) -> None:
        def pieces() -> Iterator[bytes]:
            with file.open("rb") as stream:
                yield from chunks(stream, CHUNK_BYTES)

        headers = {
            "x-tilth-sha256": address_of_file(file),
            "content-length": str(file.stat().st_size),
            "content-type": _media(name),
        }
        self._connection.http.send("PUT", self._artifact(name), pieces, headers=headers, retry_for_s=UPLOAD_RETRY_S)

    def _put_bytes(self, data: bytes, name: str, retry_for_s: float = UPLOAD_RETRY_S) -> None:
        headers = {"x-tilth-sha256": content_address(data), "content-type": _media(name)}
        self._connection.http.send("PUT", self._artifact(name), data, headers=headers, retry_for_s=retry_for_s)

    def _artifact(self, name: str) -> str:
        return f"{self.path}/artifacts/{quote(check_artifact_path(name))}"


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
