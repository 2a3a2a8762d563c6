"""Python, the packages that Tilth needs, and its extras."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata

from tilth.cli.checks.findings import Finding, broken, note, ok

LEAST_PYTHON = (3, 11)
EXTRAS = {"sklearn": "scikit-learn models", "postgres": "PostgreSQL", "s3": "bytes in S3"}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    shown = f"{platform.python_version()} at {sys.executable}"
    if version < LEAST_PYTHON:
        return broken(
            "Python", f"{shown}; Tilth needs 3.11 or newer", "install a newer Python and make a fresh environment with it"
        )
    return ok("Python", shown)


def check_packages(requirements: Iterable[str] | None = None) -> Iterator[Finding]:
    """requirements: of the distribution `tilth`, as its metadata lists them."""
    wanted = list(requirements if requirements is not None else metadata.requires("tilth") or ())
    missing = [name for name in _required(wanted) if not _installed(name)]
    if missing:
        found = f"not installed: {', '.join(missing)}; the environment is incomplete"
        yield broken("packages", found, "run `pip install --upgrade tilth` in this environment")
    else:
        yield ok("packages", f"tilth {_version('tilth')} and all it needs")
    for extra, purpose in EXTRAS.items():
        lacking = [name for name in _of_extra(wanted, extra) if not _installed(name)]
        if lacking:
            yield note(
                f"extra {extra}",
                f"not installed ({', '.join(lacking)}): no {purpose}",
                f"if you need it: pip install 'tilth[{extra}]'",
            )
        else:
            yield ok(f"extra {extra}", f"installed: {purpose}")


def _required(requirements: Iterable[str]) -> list[str]:
    return [_name(line) for line in requirements if "extra ==" not in line and not _for_other_platform(line)]


def _of_extra(requirements: Iterable[str], extra: str) -> list[str]:
    return [_name(line) for line in requirements if re.search(rf"extra == ['\"]{extra}['\"]", line)]


def _for_other_platform(line: str) -> bool:
    return "sys_platform" in line and sys.platform == "win32"


def _name(line: str) -> str:
    found = _NAME.match(line)
    return found[0] if found else line


def _installed(name: str) -> bool:
    return bool(_version(name))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
