"""Keeps what a run was made of as artifacts: what Git lacks of its code, its packages, its lock files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from tilth.sdk import capture, notebook
from tilth.sdk.active import Run
from tilth.sdk.installed import packages
from tilth.wire.tracking import Environment

CODE = "code"
DIFF = "code/diff.patch"
PACKAGES = "environment/packages.txt"
CONDA = "environment/conda.txt"


def plan_code(found: Environment, folder: Path) -> list[Path]:
    """Files to keep beside what Git knows; notes their names in `found`."""
    script = capture.script()
    files = [script] if script is not None and (found.git is None or not capture.is_tracked(script)) else []
    root = Path(found.git.root) if found.git is not None and found.git.root else None
    locks = capture.lock_files(folder, root)
    found.code = [f"{CODE}/{file.name}" for file in files] + ([notebook.NAME] if notebook.shell() is not None else [])
    found.locks = [f"environment/{file.name}" for file in locks]
    return [*files, *locks]


def keep_code(run: Run, found: Environment, folder: Path, files: list[Path]) -> None:
    """Read now: the files may change while the run goes on."""
    if found.git is not None and found.git.dirty:
        run.later(DIFF, partial(bytes, capture.uncommitted_diff(folder)))
    names = [*(name for name in found.code if name != notebook.NAME), *found.locks]
    for name, file in zip(names, files, strict=True):
        try:
            run.later(name, partial(bytes, file.read_bytes()))
        except OSError:
            continue
    run.later(PACKAGES, lambda: packages().encode())
    conda = capture.conda_packages(os.environ)
    if conda:
        run.later(CONDA, conda.encode)
