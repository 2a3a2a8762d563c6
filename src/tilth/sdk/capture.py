"""What a run was made of: code, arguments, packages, machine. Read once at its start."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from tilth import __version__
from tilth.sdk import notebook
from tilth.sdk.installed import without_credentials
from tilth.wire.tracking import Environment, GitState

COMMAND_TIMEOUT_S = 10
MAX_DIFF_BYTES = 10_000_000
MAX_SCRIPT_BYTES = 5_000_000
CUT = b"\n... cut: the difference is longer than 10 MB\n"
LOCK_FILES = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pixi.lock",
    "conda-lock.yml",
    "environment.yml",
    "requirements.txt",
)
_DIFF = (
    *("-c", "diff.relative=false", "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=dirty"),
)
"""Whatever a user's own settings say of differences: it must apply elsewhere."""
_SECRET = re.compile(r"pass(word|wd)?|secret|token|api[-_]?key|credential", re.IGNORECASE)
_TOKEN = re.compile(r"tilth_[a-z0-9]{8}_[\w-]{43}")
"""A token of ours is known by its shape, wherever it stands."""


def environment(folder: Path) -> Environment:
    """folder: where the code lies."""
    return Environment(
        git=git_state(folder),
        entry_point=_entry_point(),
        argv=masked(sys.argv[1:]) if notebook.shell() is None else [],
        working_folder=str(Path.cwd()),
        python=platform.python_version(),
        platform=platform.platform(),
        hostname=socket.gethostname(),
        cpu_count=os.cpu_count() or 0,
        memory_mb=psutil.virtual_memory().total >> 20,
        gpus=gpus(),
        tilth=__version__,
        cpu=_cpu(),
        cuda=_cuda(),
    )


def code_folder() -> Path:
    """Folder of the script that runs, else the working folder."""
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] and notebook.shell() is None else None
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
        root=(_git(folder, "rev-parse", "--show-toplevel") or b"").decode(errors="replace").strip(),
    )


def uncommitted_diff(folder: Path) -> bytes:
    """`git diff HEAD` of tracked files, as `git apply` takes it. Above 10 MB without binary files, then cut, as its last line says."""
    diff = _git(folder, *_DIFF, "--binary") or b""
    if len(diff) > MAX_DIFF_BYTES:
        diff = _git(folder, *_DIFF) or b""
    if len(diff) > MAX_DIFF_BYTES:
        return diff[:MAX_DIFF_BYTES] + CUT
    return diff


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


def is_tracked(file: Path) -> bool:
    """Whether Git knows the file."""
    return bool(_git(file.parent, "ls-files", "--error-unmatch", file.name))


def script() -> Path | None:
    """The file that runs, if it is one that can be kept."""
    found = Path(sys.argv[0]) if sys.argv and sys.argv[0] and notebook.shell() is None else None
    if found is None or not found.is_file() or found.stat().st_size > MAX_SCRIPT_BYTES or _is_installed(found):
        return None
    return found.resolve()


def lock_files(folder: Path, root: Path | None) -> list[Path]:
    """Lock files of package managers in `folder` or above it, up to `root`; the nearest of each name, of at most 10 MB."""
    found: dict[str, Path] = {}
    for place in [folder, *folder.parents]:
        for name in LOCK_FILES:
            file = place / name
            if name not in found and file.is_file() and file.stat().st_size <= MAX_DIFF_BYTES:
                found[name] = file
        if root is None or place == root:
            break
    return list(found.values())


def conda_packages(environ: Mapping[str, str]) -> str:
    """What conda installed, as `name=version=build`, one a line; empty outside a conda environment."""
    kept = Path(environ.get("CONDA_PREFIX", ""), "conda-meta")
    if not environ.get("CONDA_PREFIX") or not kept.is_dir():
        return ""
    names = sorted(file.stem.rsplit("-", 2) for file in kept.glob("*.json") if file.stem.count("-") >= 2)
    return "".join(f"{'='.join(parts)}\n" for parts in names)


def _is_installed(file: Path) -> bool:
    """A console script, such as `pytest`: it is part of a package, not of the run."""
    return file.resolve().parent == Path(sys.executable).parent or "site-packages" in file.parts


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.processor()


def _cuda() -> str:
    """Of the driver, and of torch if the program has it loaded."""
    told = (run_quietly(["nvidia-smi"]) or b"").decode(errors="replace")
    driver = re.search(r"Driver Version: (\S+)", told)
    cuda = re.search(r"CUDA Version: (\S+)", told)
    toolkit = getattr(getattr(sys.modules.get("torch"), "version", None), "cuda", None)
    known = {"driver": driver and driver.group(1), "CUDA": cuda and cuda.group(1), "torch built for": toolkit}
    return ", ".join(f"{name} {value}" for name, value in known.items() if value)


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
    if notebook.shell() is not None:
        return f"notebook {notebook.notebook_name()}"
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return sys.argv[0] if sys.argv else ""
