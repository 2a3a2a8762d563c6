"""The plan, done: code into the folder, data, packages, and the program as a run of its own."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from tilth.cli.client import Api
from tilth.cli.program_code import noting_packages
from tilth.cli.programs import begin_run, end_run, run_environment, run_program
from tilth.cli.reproducing import data, folder, packages, repository
from tilth.cli.reproducing.launch import Launch, path_with
from tilth.cli.reproducing.outcome import counterpart, metric_rows
from tilth.cli.reproducing.plan import Plan
from tilth.cli.reproducing.record import read_file
from tilth.core.errors import Damaged
from tilth.sdk.code import DIFF
from tilth.wire.sweeps import PARAMS_VARIABLE
from tilth.wire.tracking import REPRODUCES_TAG, ArtifactEntry, RunDetail


@dataclass(frozen=True, slots=True)
class Outcome:
    """again: the new run. compared: the run of it that stands against the first. code: exit code of the program."""

    again: str
    compared: str
    status: str
    code: int
    metrics: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "again": self.again,
            "compared": self.compared,
            "status": self.status,
            "exit_code": self.code,
            "metrics": self.metrics,
        }


def prepare_code(api: Api, plan: Plan) -> list[str]:
    """What a person should know. Does nothing where an earlier call did it.

    Raises GitFailed, NoRepository, DiffDoesNotApply, UnsafePath, Damaged; then there is no folder.
    """
    if plan.before is not None:
        return []
    told = []
    with folder.preparing(plan.folder) as into:
        if plan.source is not None:
            repository.check_out(plan.source, plan.commit, into, plan.remote)
            repository.hide(into, folder.MARKER, packages.FOLDER)
            if repository.has_submodules(into):
                told.append("submodules are not fetched: git submodule update --init")
        if plan.takes_diff:
            repository.apply_diff(into, read_file(api, plan.record, DIFF))
        for name, place in plan.known.code:
            if name in plan.record.files:
                folder.place(into, place, read_file(api, plan.record, name))
        for name in plan.record.made_by.locks:
            place = plan.known.where / PurePosixPath(name).name
            if name in plan.record.files and plan.source is None:
                folder.place(into, place, read_file(api, plan.record, name))
        if plan.known.where.parts:
            folder.harbour(into, plan.known.where).mkdir(parents=True, exist_ok=True)
        folder.harbour(into, PurePosixPath(packages.FOLDER))
        folder.note(into, folder.Prepared(plan.record.detail.run.id, plan.commit))
    return told


def bring_data(api: Api, plan: Plan) -> list[data.Found]:
    """Raises Damaged."""
    run_id, before = plan.record.detail.run.id, plan.record.made_by.working_folder

    def fetch(entry: ArtifactEntry, target: Path) -> None:
        seen = hashlib.sha256()
        with folder.arriving(target) as stream:
            for piece in api.pieces(api.in_project("runs", run_id, "artifacts", *entry.path.split("/"))):
                seen.update(piece)
                stream.write(piece)
            if seen.hexdigest() != entry.digest:
                raise Damaged(f"artifact {entry.path!r} of run {run_id} does not match its digest; `tilth doctor` looks further")

    with folder.held(plan.folder):
        return data.look_for(
            plan.record.detail.inputs,
            plan.folder,
            plan.known.where,
            Path(before) if plan.same_machine and before.startswith("/") else None,
            {entry.digest: entry for entry in plan.record.files.values()},
            fetch,
        )


def add_packages(plan: Plan, say: Callable[[list[str]], None]) -> list[str]:
    """What a person should know of the environment. Raises EnvironmentFailed."""
    if plan.packages is None or not plan.needs_packages:
        return []
    with folder.held(plan.folder):
        say([f"installing {len(plan.packages.wanted)} packages"])
        _, told = packages.make_environment(plan.folder, plan.record.made_by.python, plan.packages)
        folder.note(plan.folder, folder.Prepared(plan.record.detail.run.id, plan.commit, packages=True))
    return told


def start_again(api: Api, plan: Plan, launch: Launch, say: Callable[[str], None], output: int | None = None) -> Outcome:
    """output: file descriptor instead of stdout. Raises CannotStart, NoSuchProgram."""
    first = plan.record.detail
    has_own = plan.packages is not None
    python = str(packages.python_of(plan.folder)) if has_own else sys.executable
    path = path_with(Path(python).parent if has_own else None, os.environ)
    command = launch.command(plan.folder, python, path)
    again = begin_run(
        api,
        command,
        experiment=first.run.experiment,
        name=f"{first.run.name} again"[:250],
        params=first.params if plan.record.trial else None,
        tags={REPRODUCES_TAG: first.run.id},
        folder=plan.workplace,
    )
    with run_environment(api, again) as environment, noting_packages(api, again, command):
        environment |= {"PATH": path} | ({"VIRTUAL_ENV": str(plan.folder / packages.FOLDER)} if has_own else {})
        environment |= {PARAMS_VARIABLE: plan.record.trial} if plan.record.trial else {}
        say(f"run {again}  {api.target.url}/p/{api.target.project}/runs/{again}")
        code, error = run_program(api, again, command, environment, folder=plan.workplace, output=output)
        end_run(api, again, code, error)
    ended = _detail(api, again)
    compared = counterpart(first, ended)
    against = ended if compared == again else _detail(api, compared)
    return Outcome(again, compared, ended.run.status, code, metric_rows(first, against))


def _detail(api: Api, run_id: str) -> RunDetail:
    return msgspec.convert(api.get(api.in_project("runs", run_id)), RunDetail)
