"""Python, the packages that Tilth needs, and its extras."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tilth.cli.checks.findings import Finding, broken, note, ok

LEAST_PYTHON = (3, 11)
EXTRAS = {
    "sklearn": "scikit-learn models",
    "onnx": "ONNX models, and pipelines compiled into ONNX Runtime",
    "imports": "looks into pickles by picklescan, and safetensors",
    "sweep": "sampler optuna",
    "postgres": "PostgreSQL",
    "s3": "bytes in S3",
}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """What Tilth was installed from: a clone or a wheel on this machine. Never a bare name: on a registry it may be somebody else's."""

    place: str = "path/to/the/clone"
    editable: bool = False

    def install(self, extra: str = "") -> str:
        """The command, for a shell, that installs Tilth from there once more."""
        wanted = f"{self.place}[{extra}]" if extra else self.place
        return shlex.join(["pip", "install", *(["--editable"] if self.editable else []), wanted])


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    shown = f"{platform.python_version()} at {sys.executable}"
    if version < LEAST_PYTHON:
        return broken(
            "Python", f"{shown}; Tilth needs 3.11 or newer", "install a newer Python and make a fresh environment with it"
        )
    return ok("Python", shown)


def check_packages(requirements: Iterable[str] | None = None, origin: Origin | None = None) -> Iterator[Finding]:
    """requirements: of the distribution `tilth`, as its metadata lists them. origin: what it was installed from, as far as known."""
    wanted = list(requirements if requirements is not None else metadata.requires("tilth") or ())
    origin = origin or origin_of(metadata.distribution("tilth").read_text("direct_url.json"))
    missing = [name for name in _required(wanted) if not _installed(name)]
    if missing:
        found = f"not installed: {', '.join(missing)}; the environment is incomplete"
        yield broken("packages", found, f"run `{origin.install()}` in this environment")
    else:
        yield ok("packages", f"tilth {_version('tilth')} and all it needs")
    for extra, purpose in EXTRAS.items():
        lacking = [name for name in _of_extra(wanted, extra) if not _installed(name)]
        if lacking:
            yield note(
                f"extra {extra}",
                f"not installed ({', '.join(lacking)}): no {purpose}",
                f"if you need it: run `{origin.install(extra)}`",
            )
        else:
            yield ok(f"extra {extra}", f"installed: {purpose}")


def origin_of(record: str | None) -> Origin:
    """record: text of `direct_url.json` (PEP 610), which installers write for what came from a folder or a file; None without one."""
    try:
        found = json.loads(record or "{}")
        parts = urlsplit(found.get("url", ""))
        editable = bool(found.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return Origin()
    place = Path(unquote(parts.path))
    return Origin(str(place), editable) if parts.scheme == "file" and place.exists() else Origin()


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
