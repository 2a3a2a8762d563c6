"""What will be done to make a run again, decided before anything is done."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tilth.cli.client import Api
from tilth.cli.reproducing.folder import FolderInUse, Prepared, look_at
from tilth.cli.reproducing.launch import CannotStart, Launch, launch_of
from tilth.cli.reproducing.outcome import machine_differences
from tilth.cli.reproducing.packages import FOLDER, Packages, read_packages, uv
from tilth.cli.reproducing.record import Record, read_file, read_record
from tilth.cli.reproducing.repository import Source, find_source
from tilth.sdk import capture
from tilth.sdk.code import CONDA, PACKAGES


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for."""

    folder: Path
    repository: str | None = None
    start: bool = True
    packages: bool = True
    diff: bool = True


@dataclass(slots=True)
class Plan:
    """before: what an earlier call prepared in the folder. source: None where the code was not in Git. launch: None to start nothing."""

    record: Record
    wishes: Wishes
    before: Prepared | None
    source: Source | None
    packages: Packages | None
    launch: Launch | None
    known: Launch
    same_machine: bool
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.wishes.folder

    @property
    def workplace(self) -> Path:
        """Working folder of the program."""
        return self.folder / self.known.where

    @property
    def commit(self) -> str:
        if self.before is not None:
            return self.before.commit
        return self.record.made_by.git.commit if self.source is not None and self.record.made_by.git is not None else ""

    @property
    def remote(self) -> str:
        return self.record.made_by.git.remote if self.record.made_by.git is not None else ""

    @property
    def takes_diff(self) -> bool:
        return self.source is not None and self.record.has_diff and self.wishes.diff

    @property
    def needs_packages(self) -> bool:
        return self.packages is not None and not (self.before is not None and self.before.packages)

    @property
    def runs_code(self) -> bool:
        return self.launch is not None or self.needs_packages

    @property
    def start_by_hand(self) -> str:
        """For a shell; empty where that is not known."""
        if self.known == Launch() and not self.known.words:
            return ""
        words = self.known.shown
        if self.packages is not None and words[0] == "python":
            words[0] = str(self.folder / FOLDER / "bin" / "python")
        return "tilth exec -- " + shlex.join(words)

    def sentences(self) -> list[str]:
        run = self.record.detail.run
        told = [f"run {run.name!r} of {run.user_name} in {run.experiment}, {run.status}"]
        if self.before is not None:
            told.append(f"folder: {self.folder}, as it was prepared before")
        else:
            told += [f"folder: {self.folder}", *self._code()]
        told += [f"data: {len(self.record.detail.inputs)} looked for by content"] if self.record.detail.inputs else []
        told.append(f"packages: {self._packages()}")
        told.append(f"start: {shlex.join(self.launch.shown) if self.launch is not None else 'nothing'}")
        return [*told, *(f"note: {note}" for note in self.notes)]

    def _code(self) -> list[str]:
        told = []
        if self.source is not None:
            told.append(f"code: commit {self.commit[:12]} from {self.source.location}")
        if self.takes_diff:
            told.append("code: and what was not committed")
        return told + [f"code: {place} from artifact {name}" for name, place in self.known.code]

    def _packages(self) -> str:
        if self.packages is None:
            return "none installed; the Python that runs tilth is used"
        if not self.needs_packages:
            return f"those in {self.folder / FOLDER}"
        many, version = len(self.packages.wanted), self.record.made_by.python
        return f"{many} with Python {version} into {self.folder / FOLDER}, by {'uv' if uv() else 'pip'}"


def plan_of(api: Api, run_id: str, wishes: Wishes, *, here: Path, host: str) -> Plan:
    """Reads only. Raises NothingRecorded, FolderInUse, NotACommit, UnsafeRemote, NoRepository, CannotStart."""
    record = read_record(api, run_id)
    before = look_at(wishes.folder, record.detail.run.id)
    if before is None and (here == wishes.folder or wishes.folder in here.parents):
        raise FolderInUse(wishes.folder, "is where you stand, and would be replaced")
    made_by = record.made_by
    same_machine = made_by.hostname == host
    source = None
    if before is None and made_by.git is not None and made_by.git.commit:
        source = find_source(made_by.git, wishes.repository, same_machine=same_machine, here=here)
    notes = machine_differences(made_by, capture.environment(here))
    try:
        known = launch_of(made_by)
    except CannotStart as unknown:
        if wishes.start:
            raise
        known = Launch()
        notes.append(str(unknown))
    packages = None
    if wishes.packages and record.has_packages:
        packages = read_packages(read_file(api, record, PACKAGES).decode(errors="replace"))
    elif wishes.packages:
        notes.append("the run's packages were not recorded")
    notes += _more_notes(record, wishes)
    return Plan(record, wishes, before, source, packages, known if wishes.start else None, known, same_machine, notes)


def _more_notes(record: Record, wishes: Wishes) -> list[str]:
    run, made_by = record.detail.run, record.made_by
    told = []
    if made_by.git is None or not made_by.git.commit:
        told.append("its code was not in Git: only the file that was started is kept, no others that it imports")
    elif made_by.git.dirty and not record.has_diff:
        told.append("it had changes that were not committed, and they were not kept")
    elif record.has_diff and not wishes.diff:
        told.append("what was not committed is left out: this is not the code of the run")
    if CONDA in record.files and wishes.packages:
        told.append(f"it ran in a conda environment: what is no Python package is listed in its artifact {CONDA}")
    if made_by.ranks > 1:
        told.append(f"{made_by.ranks} processes wrote it together; one is started here: with --no-start you can launch as many")
    if run.parent_run_id is not None and not record.trial:
        told.append("its program made several runs; it will make all of them again")
    if run.status not in ("finished", "running"):
        told.append(f"the first run {run.status}")
    return told
