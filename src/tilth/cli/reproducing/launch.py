"""How the program of a run is started again: its command from what was recorded, without a shell."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tilth.cli.program_code import PYTHON
from tilth.core.errors import Invalid
from tilth.sdk.code import CODE
from tilth.sdk.notebook import NAME as NOTEBOOK
from tilth.wire.tracking import Environment

MASK = "***"
NOTEBOOK_FILE = "reproduced.ipynb"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class CannotStart(Invalid):
    """The record does not say how the program was started. The folder can be prepared with --no-start."""


class SecretMissing(Invalid):
    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"the run was started with secrets that are not kept: {', '.join(names)}; call this in a terminal, which asks for them, "
            "or prepare with --no-start and start the program by hand"
        )


ROOT = PurePosixPath()


@dataclass(frozen=True, slots=True)
class Launch:
    """program: one word, or empty for Python. words: what follows. script: of Python, below the folder. where: working folder below it."""

    program: str = ""
    words: tuple[str, ...] = ()
    script: PurePosixPath | None = None
    where: PurePosixPath = ROOT
    code: tuple[tuple[str, PurePosixPath], ...] = ()
    """Artifacts that hold code, and where they go."""

    @property
    def shown(self) -> list[str]:
        """The command, for people; the folder's own Python reads `python`."""
        script = [] if self.script is None else [_relative(self.script, self.where)]
        return [self.program or "python", *script, *self.words]

    @property
    def secrets(self) -> list[str]:
        """What each masked word stands for."""
        return [_secret_name(self.words, place) for place, word in enumerate(self.words) if MASK in word]

    def filled(self, ask: Callable[[str], str]) -> Launch:
        """With what `ask(name)` answers in place of each mask."""
        words = [
            word.replace(MASK, ask(_secret_name(self.words, place))) if MASK in word else word
            for place, word in enumerate(self.words)
        ]
        return replace(self, words=tuple(words))

    def command(self, folder: Path, python: str, path: str) -> list[str]:
        """What the operating system is given. path: folders in which programs are looked for. Raises CannotStart."""
        if not self.program:
            script = [] if self.script is None else [str(folder / self.script)]
            return [python, *script, *self.words]
        name = self.program
        if "/" in name and not name.startswith("/"):
            name = str(folder / self.where / name)
        # A program of the environment that recorded it, such as /srv/.venv/bin/torchrun, is looked for in this one.
        found = shutil.which(name, path=path) or (shutil.which(Path(name).name, path=path) if "/" in self.program else None)
        if found is None:
            raise CannotStart(f"there is no program {self.program!r} here; install it, or prepare with --no-start")
        return [found, *self.words]


def launch_of(made_by: Environment) -> Launch:
    """Raises CannotStart."""
    entry, words = made_by.entry_point, tuple(made_by.argv)
    where = _below(made_by, made_by.working_folder) or ROOT
    kept = {name.rpartition("/")[2]: name for name in made_by.code if name.startswith(f"{CODE}/") and name != NOTEBOOK}
    if entry.startswith("notebook "):
        if NOTEBOOK not in made_by.code:
            raise CannotStart("the run was made in a notebook whose cells are not kept; prepare with --no-start")
        # IPython runs notebooks, and is there wherever Jupyter is.
        return Launch(words=("-m", "IPython", NOTEBOOK_FILE), where=where, code=((NOTEBOOK, where / NOTEBOOK_FILE),))
    if entry.startswith("python -m "):
        module = entry.removeprefix("python -m ")
        if not _MODULE.fullmatch(module):
            raise CannotStart(f"{module[:80]!r} is no name of a Python module")
        return Launch(words=("-m", module, *words), where=where)
    base = entry.rpartition("/")[2]
    if base in kept or base.endswith((".py", ".pyw")):
        script = _script(made_by, where, is_kept=base in kept)
        return Launch(script=script, words=words, where=where, code=((kept[base], script),) if base in kept else ())
    code = _kept_words(made_by, where, kept)
    if PYTHON.fullmatch(base):
        return Launch(words=words, where=where, code=code)
    if not entry or entry.startswith("-"):
        raise CannotStart(
            f"the run was started {'by `python -c` or from standard input' if entry else 'in a way that was not recorded'}, and its "
            "code is not kept; --no-start prepares the folder"
        )
    mapped = _below(made_by, entry) if entry.startswith("/") else None
    return Launch(program=entry if mapped is None else f"./{_relative(mapped, where)}", words=words, where=where, code=code)


def path_with(first: Path | None, environ: Mapping[str, str]) -> str:
    """PATH, with the programs of a virtual environment in front."""
    rest = environ.get("PATH", os.defpath)
    return rest if first is None else f"{first}{os.pathsep}{rest}"


def _kept_words(made_by: Environment, where: PurePosixPath, kept: Mapping[str, str]) -> tuple[tuple[str, PurePosixPath], ...]:
    """A script that an interpreter was given, and where it goes."""
    for word in (made_by.entry_point, *made_by.argv):
        base = word.rpartition("/")[2]
        if base in kept and not word.startswith("-"):
            found = _below(made_by, os.path.join(made_by.working_folder, word))
            return ((kept[base], found),) if found is not None and found.parts else ()
    return ()


def _script(made_by: Environment, where: PurePosixPath, *, is_kept: bool) -> PurePosixPath:
    absolute = os.path.normpath(os.path.join(made_by.working_folder or "/", made_by.entry_point))
    found = _below(made_by, absolute)
    if found is not None and found.parts and (is_kept or (made_by.git is not None and made_by.git.commit)):
        return found
    if is_kept:
        return where / PurePosixPath(made_by.entry_point).name
    if made_by.git is None or not made_by.git.commit:
        raise CannotStart(f"{made_by.entry_point!r} was not in Git, and it was not kept: there is no code to start")
    raise CannotStart(
        f"{made_by.entry_point!r} lies outside of the run's repository, and it was not kept; --no-start prepares the folder"
    )


def _below(made_by: Environment, path: str) -> PurePosixPath | None:
    """The place of a recorded path below the root of the code; None if it lies elsewhere."""
    has_commit = made_by.git is not None and bool(made_by.git.commit)
    root = made_by.git.root if made_by.git is not None and has_commit else made_by.working_folder
    if not root.startswith("/"):
        return None
    try:
        return PurePosixPath(os.path.normpath(path)).relative_to(os.path.normpath(root))
    except ValueError:
        return None


def _relative(path: PurePosixPath, where: PurePosixPath) -> str:
    return os.path.relpath(path, where)


def _secret_name(words: tuple[str, ...], place: int) -> str:
    name, equals, _ = words[place].partition("=")
    if equals and MASK not in name:
        return name
    before = words[place - 1] if place else ""
    return before if before.startswith("-") and "=" not in before else f"argument {place + 1}"
