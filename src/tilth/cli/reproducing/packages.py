"""The environment of a run: its packages, at their versions, in a virtual environment of the folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import tilth
from tilth import __version__
from tilth.cli.reproducing.child import last_words, run_child
from tilth.core.errors import Unavailable

FOLDER = ".venv"
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==[\w.+!-]+")
_FROM = re.compile(r"([A-Za-z0-9][\w.-]*) @ (?:https|git\+https|git\+ssh)://[\w\[][^\s;#]*")
_FOLDER = re.compile(r"# ([A-Za-z0-9][\w.-]*)==([\w.+!-]+) was installed from a folder of that machine")
_SAFE_VERSION = re.compile(r"(\d+\.\d+)\.\d+\w*")
SHOWN_LINES = 12


class EnvironmentFailed(Unavailable):
    """The virtual environment could not be made. The folder holds the code; a second call goes on."""


@dataclass(slots=True)
class Packages:
    """wanted: lines that an installer takes. folders: name -> version of what was installed from a folder. refused: other lines."""

    wanted: list[str] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def read_packages(text: str) -> Packages:
    """Lines that could be anything else than a package at a version, such as options and paths, are refused."""
    found = Packages()
    for line in filter(None, map(str.strip, text.splitlines())):
        if local := _FOLDER.fullmatch(line):
            found.folders[_normal(local[1])] = local[2]
        elif _PIN.fullmatch(line) or _FROM.fullmatch(line):
            found.wanted.append(line)
        elif not line.startswith("#"):
            found.refused.append(line[:200])
    return found


def uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return shutil.which("uv") or (str(beside) if beside.is_file() else None)


def python_of(folder: Path) -> Path:
    return folder / FOLDER / "bin" / "python"


def make_environment(folder: Path, version: str, packages: Packages) -> tuple[str, list[str]]:
    """(Python version that was taken, what a person should know). Raises EnvironmentFailed; then nothing of it is left."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder / FOLDER, ignore_errors=True)
        taken = _with_uv(folder, version) if uv() else _with_venv(folder, version)
        told = [] if taken == version else [f"the run had Python {version or 'of an unknown version'}; this has {taken}"]
        told += _install(folder, packages)
        undo.pop_all()
    return taken, told


def _with_uv(folder: Path, version: str) -> str:
    """The very version, which uv may fetch; else one of the same minor version; else the one that Tilth runs on."""
    minor = _SAFE_VERSION.fullmatch(version)
    asked = [version, minor[1]] if minor else []
    for python in [*asked, sys.executable]:
        made = run_child([uv() or "uv", "venv", "--quiet", "--clear", "--python", python, FOLDER], folder)
        if made.returncode == 0:
            return _version(str(python_of(folder)))
    raise EnvironmentFailed(f"no virtual environment could be made:\n{last_words(made, SHOWN_LINES)}")


def _with_venv(folder: Path, version: str) -> str:
    minor = _SAFE_VERSION.fullmatch(version)
    named = shutil.which(f"python{minor[1]}") if minor and _version(sys.executable) != version else None
    # A program of that name may be a mere signpost, as pyenv's are.
    for python in filter(None, [named, sys.executable]):
        made = run_child([python, "-m", "venv", FOLDER], folder)
        if made.returncode == 0:
            return _version(str(python_of(folder)))
    raise EnvironmentFailed(f"no virtual environment could be made with {python}:\n{last_words(made, SHOWN_LINES)}")


def _install(folder: Path, packages: Packages) -> list[str]:
    told = [f"left out, as it is no package at a version: {line}" for line in packages.refused]
    wanted, editable = list(packages.wanted), []
    for name, version in packages.folders.items():
        if name == _own_name(folder):
            editable = ["--editable", str(folder)]
        elif name == "tilth" and _is_from_a_folder():
            told.append(f"Tilth is the one that runs this command ({__version__})")
            _link_tilth(folder)
        elif name == "tilth":
            wanted.append(f"tilth=={version}")
        else:
            told.append(f"{name} {version} was installed from a folder of that machine: install it into {folder / FOLDER}")
    listed = folder / FOLDER / "packages.txt"
    listed.write_text("".join(f"{line}\n" for line in wanted))
    # The list is complete: resolving again could only change it.
    given = ["--no-deps", *(["-r", str(listed)] if wanted else []), *editable]
    if len(given) > 1:
        python = str(python_of(folder))
        installer = (
            [uv() or "", "pip", "install", "--quiet", "--python", python] if uv() else [python, "-m", "pip", "install", "-q"]
        )
        done = run_child([*installer, *given], folder)
        if done.returncode:
            raise EnvironmentFailed(
                f"the packages of the run could not be installed; {folder} holds its code. Mend it and call this again, "
                f"or go on with --no-environment:\n{last_words(done, SHOWN_LINES)}"
            )
    return told


def _own_name(folder: Path) -> str:
    """Of the project that the folder holds, if it is one that can be installed."""
    try:
        project: Any = tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {})
    except (OSError, ValueError):
        return ""
    return _normal(str(project.get("name", ""))) if isinstance(project, dict) else ""


def _is_from_a_folder() -> bool:
    try:
        origin = json.loads(metadata.distribution("tilth").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return str(origin.get("url", "")).startswith("file:") and bool(origin.get("dir_info", {}).get("editable"))


def _link_tilth(folder: Path) -> None:
    asked = run_child([str(python_of(folder)), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    (Path(asked.stdout.decode().strip()) / "tilth.pth").write_text(f"{Path(tilth.__file__).parents[1]}\n")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(python: str) -> str:
    asked = subprocess.run(
        [python, "-I", "-c", "import platform; print(platform.python_version())"], capture_output=True, check=False, text=True
    )
    return asked.stdout.strip()
