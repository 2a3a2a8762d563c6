"""The run that is under way: how one is started, and what may be called without naming it."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tilth.core.clock import now
from tilth.core.errors import NotFound, TilthError, Unavailable
from tilth.core.ids import new_id
from tilth.sdk import capture, journal, journal_reading, notebook_view, ranks
from tilth.sdk.active import Begun, Run
from tilth.sdk.code import keep_code, plan_code
from tilth.sdk.connection import Connection, connection
from tilth.sdk.errors import NoCurrentRun, RunStillOpen
from tilth.sdk.output import keep_output
from tilth.sdk.ranks import Rank
from tilth.sdk.sampling import Sampler
from tilth.wire.tracking import (
    DEFAULT_EXPERIMENT,
    DatasetInput,
    EndStatus,
    Environment,
    RunCreate,
    RunDetail,
    RunInfo,
    RunUpdate,
)

RUN_ID_VARIABLE = "TILTH_RUN_ID"

_open: list[Run] = []
_lock = threading.Lock()
_mine: ContextVar[tuple[Run, ...]] = ContextVar("tilth_runs", default=())
"""Runs that this thread or task began: trials of a sweep that train side by side each write to their own."""
_unhandled: BaseException | None = None
_watching = False
_count = itertools.count()
"""Of the runs of several ranks that this program made: every rank counts the same."""


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
    rank: int | None = None,
    rank_metrics: bool = False,
    log_output: bool | None = None,
) -> Run:
    """Starts a run, or goes on with `resume`; use it in a `with` statement, or call `finish` in the end.

    experiment: made if it is not there. parent: a run id; nested=True takes the current run. Under `tilth exec` the first call takes up
    the run that was started for the program. rank: of this process where several make one run (else what torchrun, MPI or SLURM say);
    rank_metrics: ranks beyond the first log metrics, too. log_output: keep what is printed (True unless TILTH_LOG_OUTPUT is 0).
    Raises NoServer, NoServerAnswers (mode `online`), RunStillOpen, NoFirstRank, and what the server refuses.
    """
    target = connection()
    given = os.environ.get(RUN_ID_VARIABLE)
    me = ranks.find_rank(os.environ, rank) if parent is None and not nested else ranks.ALONE
    notebook_view.end_left_over(_open, nested=nested or parent is not None)
    with _lock:
        if _open and not nested and parent is None:
            raise RunStillOpen(_open[-1].name)
        parent = parent or (_open[-1].id if _open and nested else None)
    taken_up = resume is None and given and not _open and parent is None and _not_taken_yet(given)
    if not me.is_first:
        started = Run(target, _joined(me, given if taken_up else resume, rank_metrics), Sampler())
        return _opened(started, log_output)
    folder = capture.code_folder()
    found = capture.environment(folder)
    found.ranks = me.world
    files = plan_code(found, folder)
    if resume is not None or (taken_up and (me.is_alone or _stands(target, given or ""))):
        begun = _resumed(target, resume or given or "", found)
    else:
        wanted = RunCreate(
            id=given if taken_up else new_id(),
            experiment=experiment or os.environ.get("TILTH_EXPERIMENT"),
            name=name,
            parent_run_id=parent,
            started=now(),
            source=found.entry_point[:2000],
            notes=notes,
            environment=found,
        )
        begun = _created(target, wanted)
    started = Run(target, replace(begun, rank=me), Sampler())
    _meet(started, me)
    _opened(started, log_output)
    if tags:
        started.tag({key: str(value) for key, value in tags.items()})
    if params:
        started.params(params)
    keep_code(started, found, folder, files)
    return started


def current_run() -> Run | None:
    """The innermost open run that this thread (or task) began, else the innermost of the process, or None."""
    with _lock:
        own = next((begun for begun in reversed(_mine.get()) if begun in _open), None)
        return own or (_open[-1] if _open else None)


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


def _created(target: Connection, wanted: RunCreate) -> Begun:
    """Made by the server, or, while it is away, by the journal."""
    if target.mode != "offline":
        try:
            info = target.http.call("POST", f"{target.api}/runs", RunInfo, body=wanted)
        except Unavailable as away:
            if target.mode == "online":
                raise
            sys.stderr.write(f"tilth: {away}\ntilth: the run goes on without it, in a journal on disk\n")
        else:
            return Begun(info.id, info.name, info.experiment)
    run_id = wanted.id or ""
    return Begun(run_id, wanted.name or f"run {run_id[-8:]}", wanted.experiment or DEFAULT_EXPERIMENT, create=wanted)


def _resumed(target: Connection, run_id: str, environment: Environment) -> Begun:
    path = f"{target.api}/runs/{run_id}"
    if target.mode != "offline":
        try:
            detail = target.http.call("GET", path, RunDetail)
            update = RunUpdate(status="running", environment=environment)
            info = target.http.call("PATCH", path, RunInfo, body=update)
        except Unavailable as away:
            if target.mode == "online":
                raise
            sys.stderr.write(f"tilth: {away}\ntilth: the run goes on without it; steps count on from what waits in the journal\n")
        else:
            return Begun(info.id, info.name, info.experiment, last_steps={metric.key: metric.step for metric in detail.metrics})
    known = journal_reading.last_steps(journal.journal_root(os.environ, Path.cwd()), run_id)
    return Begun(run_id, f"run {run_id[-8:]}", "", last_steps=known)


def _stands(target: Connection, run_id: str) -> bool:
    """Whether a run that all ranks were told of was made already."""
    if target.mode == "offline":
        return False
    try:
        target.http.send("GET", f"{target.api}/runs/{run_id}")
    except (NotFound, Unavailable):
        return False
    return True


def _joined(me: Rank, given: str | None, rank_metrics: bool) -> Begun:
    """The run that rank 0 makes."""
    run_id = given or ranks.wait_for(ranks.meeting_place(os.environ, next(_count), os.getppid()), me.rank)
    return Begun(run_id, f"run {run_id[-8:]}", "", rank=me, rank_metrics=rank_metrics)


def _meet(started: Run, me: Rank) -> None:
    if not me.is_alone:
        ranks.tell(ranks.meeting_place(os.environ, next(_count), os.getppid()), started.id)


def _opened(started: Run, log_output: bool | None) -> Run:
    started.at_end(_forget)
    with _lock:
        _open.append(started)
        _mine.set((*(begun for begun in _mine.get() if begun in _open), started))
    _watch_the_end()
    notebook_view.watch(started)
    wanted = os.environ.get("TILTH_LOG_OUTPUT", "1") not in ("0", "false", "no") if log_output is None else log_output
    if wanted:
        keep_output(started)
    return started


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
