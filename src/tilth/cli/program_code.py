"""What a program that may never have heard of Tilth is made of, kept from outside as the SDK keeps it from inside."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from tilth.cli.client import Api
from tilth.core.errors import TilthError
from tilth.sdk import capture, installed
from tilth.sdk.code import CODE, DIFF, PACKAGES
from tilth.wire.tracking import Environment

PYTHON = re.compile(r"python(\d(\.\d+)?)?")
_SCRIPTS = frozenset((".py", ".pyw", ".sh", ".r", ".jl", ".js", ".pl", ".rb"))
_PACKAGES_TIMEOUT_S = 60.0


def read_code(command: Sequence[str], made_by: Environment, folder: Path) -> dict[str, bytes]:
    """Artifacts of what Git does not know of the program; read before it starts, for it may change them. Names them in `made_by`."""
    kept: dict[str, bytes] = {}
    if made_by.git is not None and made_by.git.dirty:
        kept[DIFF] = capture.uncommitted_diff(folder)
    script = script_of(command, folder)
    if script is not None and (made_by.git is None or not capture.is_tracked(script)):
        with suppress(OSError):  # The program may be allowed to read what we are not.
            kept[f"{CODE}/{script.name}"] = script.read_bytes()
            made_by.code = [f"{CODE}/{script.name}"]
    return kept


def script_of(command: Sequence[str], folder: Path) -> Path | None:
    """The file that the command runs: its first word that is neither an option nor the interpreter, if it looks like a program."""
    for word in command:
        file = folder / word
        if word in ("-m", "-c"):
            return None
        if file.suffix.lower() in _SCRIPTS and os.path.isfile(file) and file.stat().st_size <= capture.MAX_SCRIPT_BYTES:
            return file.resolve()
        if word is not command[0] and not word.startswith("-"):
            return None
    return None


def keep(api: Api, run_id: str, files: Mapping[str, bytes]) -> None:
    """A server that does not take them must not stop the program."""
    for name, data in files.items():
        try:
            api.upload(api.in_project("runs", run_id, "artifacts", *name.split("/")), data)
        except TilthError as refusal:
            click.echo(f"warning: {name} of run {run_id} could not be kept: {refusal}", err=True)


@contextmanager
def noting_packages(api: Api, run_id: str, command: Sequence[str]) -> Iterator[None]:
    """Keeps the list of packages of the Python that the command names, while the block runs."""
    python = shutil.which(command[0]) if PYTHON.fullmatch(Path(command[0]).name) else None
    if python is None:
        yield
        return

    def note() -> None:
        try:
            asked = subprocess.run(
                [python, "-I", installed.__file__], capture_output=True, timeout=_PACKAGES_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return
        if asked.returncode == 0:
            keep(api, run_id, {PACKAGES: asked.stdout})

    noting = threading.Thread(target=note, daemon=True)
    noting.start()
    try:
        yield
    finally:
        noting.join(timeout=_PACKAGES_TIMEOUT_S)
