"""What a run was made of: code, arguments, packages, machine. Read once at its start."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from tilth import __version__
from tilth.wire.tracking import Environment, GitState

COMMAND_TIMEOUT_S = 10
MAX_DIFF_BYTES = 10_000_000
_SECRET = re.compile(r"pass(word|wd)?|secret|token|api[-_]?key|credential", re.IGNORECASE)
_TOKEN = re.compile(r"tilth_[a-z0-9]{8}_[\w-]{43}")
"""A token of ours is known by its shape, wherever it stands."""


def environment(folder: Path) -> Environment:
    """folder: where the code lies."""
    return Environment(
        git=git_state(folder),
        entry_point=_entry_point(),
        argv=masked(sys.argv[1:]),
        working_folder=str(Path.cwd()),
        python=platform.python_version(),
        platform=platform.platform(),
        hostname=socket.gethostname(),
        cpu_count=os.cpu_count() or 0,
        memory_mb=psutil.virtual_memory().total >> 20,
        gpus=gpus(),
        tilth=__version__,
    )


def code_folder() -> Path:
    """Folder of the script that runs, else the working folder."""
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    return script.resolve().parent if script is not None and script.is_file() else Path.cwd()


def git_state(folder: Path) -> GitState | None:
    """Commit, branch and remote; None outside a Git working tree or without Git."""
    status = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if status is None:
        return None
    lines = status.decode(errors="replace").splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and " " in line[2:])
    commit = heads.get("branch.oid", "")
    remote = (_git(folder, "config", "--get", "remote.origin.url") or b"").decode(errors="replace").strip()
    return GitState(
        commit="" if commit == "(initial)" else commit,
        branch=heads.get("branch.head", ""),
        remote=without_credentials(remote),
        dirty=any(not line.startswith("#") for line in lines),
    )


def uncommitted_diff(folder: Path) -> bytes:
    """`git diff HEAD` of tracked files, cut at 10 MB with a last line that says so."""
    diff = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv") or b""
    if len(diff) > MAX_DIFF_BYTES:
        return diff[:MAX_DIFF_BYTES] + b"\n... cut: the difference is longer than 10 MB\n"
    return diff


def without_credentials(remote: str) -> str:
    """`https://user:secret@host/x.git` becomes `https://host/x.git`; `git@host:x.git` stays."""
    if "://" not in remote:
        return remote
    try:
        parts = urlsplit(remote)
        address = parts.hostname or ""
        host = f"{address}:{parts.port}" if parts.port else address
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def masked(arguments: list[str]) -> list[str]:
    """Command-line arguments with what looks like a secret replaced by `***`: values of options so named, and Tilth's tokens."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET.search(name)) and name.startswith("-")
        if hide_next and not argument.startswith("-"):
            shown.append("***")
        elif secret and equals:
            shown.append(f"{name}=***")
        else:
            shown.append(argument)
        hide_next = secret and not equals
    return [_TOKEN.sub("***", argument) for argument in shown]


def packages() -> str:
    """Every installed distribution as `name==version`, one a line, in order."""
    found = {(dist.name, dist.version) for dist in metadata.distributions() if dist.name}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found, key=lambda one: one[0].lower()))


def gpus() -> list[str]:
    """Names of NVIDIA GPUs; none without `nvidia-smi`."""
    listed = run_quietly(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return [line.strip() for line in (listed or b"").decode(errors="replace").splitlines() if line.strip()]


def run_quietly(command: list[str]) -> bytes | None:
    """Output of a program; None if it is not installed, fails or takes longer than 10 s."""
    if shutil.which(command[0]) is None:
        return None
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False, env=quiet)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _git(folder: Path, *arguments: str) -> bytes | None:
    return run_quietly(["git", "-C", str(folder), *arguments])


def _entry_point() -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return sys.argv[0] if sys.argv else ""
