"""Git for the tests of `tilth reproduce`: the program of the run, and commits without a configuration of the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = """import sys
import tilth
from steps import factor
with tilth.run("first", experiment="again") as run:
    run.use_dataset("rows", "data/rows.csv")
    run.log(score=factor * int(sys.argv[1]))
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.email=ada@example.org", "-c", "user.name=Ada"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
