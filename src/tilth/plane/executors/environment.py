"""The interpreter that a model's process runs in: ours, one that the deployment names, or one built from the model's own requirements.

A built environment is a virtual environment under `<home>/plane/environments/<digest>`, one for each list of requirements and Python;
workers share it. It is built once, under a lock, and is whole only when its marker stands in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from tilth.core.errors import Invalid, Unavailable
from tilth.wire.plane import ENVIRONMENTS_FOLDER, PlaneRuntime

REQUIREMENTS = "requirements.txt"
BUILD_TIMEOUT_S = 900.0
PROBE_TIMEOUT_S = 60.0
_MARKER = ".complete"
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][\w.-]*\s*(\[[\w\s,.-]*\])?\s*(\(?[<>=!~][\w.*+!,\s<>=~]*\)?\s*)?(;(?!.*\s-)[^\\]*)?", re.ASCII
)
"""A package by name and versions, extras and marker."""
_PACKAGE = Path(__file__).resolve().parents[2]
"""The folder of `tilth` itself."""
_OURS = ("msgspec", "numpy", "PyYAML")
"""What the process of a model needs beside the model's own requirements, in the versions that run here."""
_PROBE = (
    f"import sys; assert sys.version_info >= (3, 11), sys.version; import {', '.join(_OURS).lower().replace('pyyaml', 'yaml')}"
)


class EnvironmentUnusable(Invalid):
    """A model's process cannot run in the interpreter that the deployment asks for."""


class EnvironmentNotBuilt(Unavailable):
    """The environment of a model could not be built now; tried again later."""


def interpreter(runtime: PlaneRuntime, folder: Path, home: Path) -> str:
    """The path of the interpreter. folder: of the model. Blocking, for minutes where it must build.

    Raises EnvironmentUnusable and EnvironmentNotBuilt.
    """
    if runtime.python:
        return _checked(runtime.python)
    if runtime.environment == "model":
        return _built(folder, home / ENVIRONMENTS_FOLDER)
    return sys.executable


def code_folder(home: Path) -> Path:
    """A folder that holds `tilth` and nothing else, so that another environment can import it and none of its neighbours here."""
    place = home / ENVIRONMENTS_FOLDER / "code"
    place.mkdir(parents=True, exist_ok=True)
    link, target = place / "tilth", _PACKAGE
    if not link.is_symlink() or link.readlink() != target:
        fresh = place / f".tilth-{os.getpid()}"
        fresh.symlink_to(target)
        fresh.replace(link)
    return place


def _checked(python: str) -> str:
    if not os.path.isabs(python) or not os.access(python, os.X_OK):
        raise EnvironmentUnusable(
            f"the setting python is {python!r}, which is no program on this machine; give an absolute path, such as that of "
            "bin/python in a virtual environment"
        )
    try:
        probe = _run([python, "-P", "-c", _PROBE], PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentUnusable(f"{python} cannot be run: {error}") from error
    if probe.returncode:
        raise EnvironmentUnusable(
            f"{python} cannot run a model: {_last_line(probe)}. It must be Python 3.11 or newer with {', '.join(_OURS)}: "
            f"`{python} -m pip install {' '.join(_pins())}`"
        )
    return python


def _built(folder: Path, environments: Path) -> str:
    try:
        required = (folder / REQUIREMENTS).read_text()
    except OSError as error:
        raise EnvironmentUnusable(f"the folder of the model has no {REQUIREMENTS}; set environment to 'server'") from error
    lines = _without_tilth(required.splitlines())
    named = {_package(line) for line in lines}
    lines += [pin for pin in _pins() if _package(pin) not in named]
    digest = hashlib.sha256("\n".join([sys.version, *lines]).encode()).hexdigest()[:32]
    place = environments / digest
    environments.mkdir(parents=True, exist_ok=True)
    with (environments / f".lock-{digest}").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / _MARKER).exists():
            shutil.rmtree(place, ignore_errors=True)
            _build(place, lines)
    return str(place / "bin" / "python")


def _build(place: Path, lines: Sequence[str]) -> None:
    wanted = place.with_name(f".{place.name}.txt")
    wanted.write_text("\n".join(lines) + "\n")
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    python = str(place / "bin" / "python")
    if uv:
        steps = [
            [uv, "venv", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--python", python, "-r", str(wanted)],
        ]
    else:
        steps = [[sys.executable, "-m", "venv", str(place)], [python, "-m", "pip", "install", "-r", str(wanted)]]
    try:
        for step in steps:
            done = _run(step, BUILD_TIMEOUT_S)
            if done.returncode:
                raise EnvironmentNotBuilt(f"the environment of the model cannot be built: {_last_line(done)}")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentNotBuilt(f"the environment of the model cannot be built: {error}") from error
    finally:
        wanted.unlink(missing_ok=True)
    (place / _MARKER).touch()


def _run(arguments: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s, cwd="/"
    )


def _pins() -> list[str]:
    return [f"{name}=={metadata.version(name)}" for name in _OURS]


def _package(line: str) -> str:
    name = line.split(";")[0].split("#")[0].strip()
    for mark in "=<>!~[ @":
        name = name.split(mark)[0]
    return name.strip().lower().replace("_", "-")


def _without_tilth(lines: Sequence[str]) -> list[str]:
    """Tilth itself comes along as it runs here. Raises EnvironmentUnusable for what is no package by name."""
    kept = [line for each in lines if (line := each.partition(" #")[0].strip()) and not line.startswith("#")]
    kept = [line for line in kept if _package(line) != "tilth"]
    for line in kept:
        # An option or an address would decide where all packages come from, and a file could be one of this machine.
        if not _REQUIREMENT.fullmatch(line):
            raise EnvironmentUnusable(
                f"{line[:80]!r} in the model's {REQUIREMENTS} is no package by name and version, such as scikit-learn==1.9.1; options, "
                "files and addresses are not followed: where packages come from is set for pip or uv on this machine"
            )
    return kept


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return (lines[-1] if lines else f"it ended with code {done.returncode}")[:500]
