"""The run that is under way: how one is started, and what may be called without naming it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from tilth.core.clock import now
from tilth.core.errors import TilthError
from tilth.core.ids import new_id
from tilth.sdk import capture
from tilth.sdk.active import Run
from tilth.sdk.connection import Connection, connection
from tilth.sdk.errors import NoCurrentRun, RunStillOpen
from tilth.sdk.sampling import Sampler
from tilth.wire.tracking import DatasetInput, EndStatus, RunCreate, RunDetail, RunInfo, RunUpdate

RUN_ID_VARIABLE = "TILTH_RUN_ID"

_open: list[Run] = []
_lock = threading.Lock()
_unhandled: BaseException | None = None
_watching = False


def run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    parent: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    resume: str | None = None,
    nested: bool = False,
    notes: str = "",
) -> Run:
    """Starts a run, or goes on with `resume`; use it in a `with` statement, or call `finish` in the end.

    experiment: made if it is not there. parent: a run id; nested=True takes the current run. Under `tilth exec` the first call takes up
    the run that was started for the program. Raises NoServer, NoServerAnswers, RunStillOpen, and what the server refuses.
    """
    target = connection()
    given = os.environ.get(RUN_ID_VARIABLE)
    with _lock:
        if _open and not nested and parent is None:
            raise RunStillOpen(_open[-1].name)
        parent = parent or (_open[-1].id if _open and nested else None)
    if resume is None and given and not _open and parent is None and _not_taken_yet(given):
        resume = given
    folder = capture.code_folder()
    found = capture.environment(folder)
    texts = {key: str(value) for key, value in (tags or {}).items()}
    last_steps: dict[str, int] = {}
    if resume is not None:
        info, last_steps = _resumed(target, resume, RunUpdate(status="running", environment=found))
    else:
        wanted = RunCreate(
            id=new_id(),
            experiment=experiment or os.environ.get("TILTH_EXPERIMENT"),
            name=name,
            parent_run_id=parent,
            started=now(),
            source=found.entry_point[:2000],
            notes=notes,
            environment=found,
        )
        info = target.http.call("POST", f"{target.api}/runs", RunInfo, body=wanted)
    started = Run(target, info, Sampler(), _forget, last_steps)
    with _lock:
        _open.append(started)
    _watch_the_end()
    if texts:
        started.tag(texts)
    if params:
        started.params(params)
    _capture_code(started, folder, dirty=found.git is not None and found.git.dirty)
    return started


def current_run() -> Run | None:
    """The innermost run that is open in this process, or None."""
    with _lock:
        return _open[-1] if _open else None


def log(metrics: Mapping[str, float] | None = None, /, *, step: int | None = None, **values: float) -> None:
    """As Run.log, on the current run. Raises NoCurrentRun."""
    _needed("log").log(metrics, step=step, **values)


def params(params: Mapping[str, Any] | None = None, /, **values: Any) -> None:
    _needed("params").params(params, **values)


def tag(tags: Mapping[str, Any] | None = None, /, **values: Any) -> None:
    _needed("tag").tag(tags, **values)


def note(text: str) -> None:
    _needed("note").note(text)


def use_dataset(name: str, data: Any, source: str | None = None, *, context: str = "") -> DatasetInput:
    return _needed("use_dataset").use_dataset(name, data, source, context=context)


def log_artifact(path: str | Path, name: str | None = None) -> None:
    _needed("log_artifact").log_artifact(path, name)


def log_text(text: str, name: str) -> None:
    _needed("log_text").log_text(text, name)


def log_json(value: Any, name: str) -> None:
    _needed("log_json").log_json(value, name)


def log_figure(figure: Any, name: str) -> None:
    _needed("log_figure").log_figure(figure, name)


def finish(status: EndStatus = "finished") -> None:
    """Ends the current run, if there is one."""
    open_run = current_run()
    if open_run is not None:
        open_run.finish(status)


def _needed(what: str) -> Run:
    open_run = current_run()
    if open_run is None:
        raise NoCurrentRun(what)
    return open_run


_taken: set[str] = set()


def _not_taken_yet(run_id: str) -> bool:
    """`tilth exec` starts one run: the first `tilth.run()` takes it up, later ones are runs of their own."""
    if run_id in _taken:
        return False
    _taken.add(run_id)
    return True


def _resumed(target: Connection, run_id: str, update: RunUpdate) -> tuple[RunInfo, dict[str, int]]:
    path = f"{target.api}/runs/{run_id}"
    detail = target.http.call("GET", path, RunDetail)
    body = msgspec.json.encode(update)
    info = msgspec.json.decode(target.http.send("PATCH", path, body).content, type=RunInfo)
    return info, {metric.key: metric.step for metric in detail.metrics}


def _capture_code(started: Run, folder: Path, *, dirty: bool) -> None:
    if dirty:
        # Taken now: the files may change while the run goes on.
        diff = capture.uncommitted_diff(folder)
        started.later("code/diff.patch", lambda: diff)
    started.later("environment/packages.txt", lambda: capture.packages().encode())


def _forget(ended: Run) -> None:
    with _lock:
        if ended in _open:
            _open.remove(ended)


def _watch_the_end() -> None:
    """Runs that nobody finished end with the program: failed if it died of an exception."""
    global _watching
    if _watching:
        return
    _watching = True
    before = sys.excepthook

    def remember(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _unhandled
        _unhandled = error
        before(kind, error, trace)

    sys.excepthook = remember
    atexit.register(_end_all)


def _end_all() -> None:
    while (left := current_run()) is not None:
        if _unhandled is not None:
            left.fail(_unhandled)
        else:
            try:
                left.finish()
            except TilthError as trouble:
                sys.stderr.write(f"tilth: run {left.name!r}: {trouble}\n")
        _forget(left)
