"""What a model needs to be served, pinned by version and by the hashes of its files. Pure, but for asking what is installed and for uv."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tilth.core.errors import Invalid, Unavailable
from tilth.wire.models import ModelDocument

SERVING = ("click", "httptools", "httpx", "msgspec", "numpy", "polars", "psutil", "pyyaml", "rich", "uvloop")
"""What `tilth serve` itself imports."""
ENGINES = {"treelite": ("treelite",), "onnxruntime": ("onnxruntime",)}
PATIENCE_S = 300
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_HASH = re.compile(r"--hash=\w+:[0-9a-f]{40,}")

Installed = Callable[[str], tuple[str, Sequence[str]]]
"""name -> (version, what it requires). Raises PackageNotFoundError."""


class NotInLock(Invalid):
    """A lock file lacks what the model needs."""


class CannotLock(Unavailable):
    """There is nothing to make a lock with."""


def installed(name: str) -> tuple[str, Sequence[str]]:
    found = metadata.distribution(name)
    return found.version, found.requires or ()


@dataclass(frozen=True, slots=True)
class Need:
    """One line of a requirements file. pin: the version behind `==`, else empty. marker: when it counts, else empty."""

    name: str
    pin: str
    marker: str


def need_of(line: str) -> Need:
    """Raises Invalid."""
    found = _REQUIREMENT.match(line)
    if found is None:
        raise Invalid(f"{line[:80]!r} is no requirement, such as scikit-learn==1.9.1")
    pin = re.fullmatch(r"={2,3}\s*([^,*\s]+)", found[2].strip())
    return Need(canonical(found[1]), pin[1] if pin else "", (found[3] or "").strip())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needs_of(document: ModelDocument, requirements: str) -> list[Need]:
    """What must be there: the model's own requirements (its requirements.txt) and what serving takes. Raises Invalid."""
    lines = [line.strip() for line in requirements.splitlines() if line.strip() and not line.strip().startswith(("#", "-"))]
    engines = [name for engine in document.compiled for name in ENGINES.get(engine.engine, ())]
    # Tilth itself comes along as it runs here.
    return [need for line in (*lines, *engines, *SERVING) if (need := need_of(line)).name != "tilth"]


def closure(roots: Iterable[Need], known: Installed = installed) -> dict[str, str]:
    """Every package that the roots need, as it is installed here: canonical name -> version.

    Where a root is pinned, its pin stands. A marker is believed to hold where the package is installed. Raises NotInLock for a
    package that is not.
    """
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        wanted = waiting.pop(0)
        if wanted.name in found or re.search(r"\bextra\b", wanted.marker):
            continue
        try:
            version, requires = known(wanted.name)
        except metadata.PackageNotFoundError as error:
            if wanted.marker:
                continue
            raise NotInLock(
                f"the model needs {wanted.name}, which is not installed here; install it, or run this where it is"
            ) from error
        found[wanted.name] = wanted.pin or version
        waiting += [need_of(line) for line in requires]
    return dict(sorted(found.items()))


def entries_of(lock: str) -> dict[str, dict[str, str]]:
    """A pip lock file: canonical name -> version -> the entry as it stands. A universal lock has several versions of some packages."""
    found: dict[str, dict[str, str]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n?", "", lock).strip()):
        head = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", entry)
        if head is not None:
            found.setdefault(canonical(head[1]), {})[head[2]] = entry.strip()
    return found


def chosen(lock: str, wanted: Mapping[str, str]) -> str:
    """Of a lock file, the entries of the wanted packages. Raises NotInLock, naming each that is missing, or that is not what is wanted."""
    entries = entries_of(lock)
    problems, kept = [], []
    for name, version in wanted.items():
        known = entries.get(name, {})
        entry = known.get(version)
        if entry is None:
            has = f"{name} is {' and '.join(known)} in it, {version} is needed"
            problems.append(has if known else f"{name}=={version} is not in it")
        elif not _HASH.search(entry):
            problems.append(f"{name} has no hash in it")
        else:
            kept.append(entry)
    if problems:
        raise NotInLock(f"the lock file does not fit: {'; '.join(problems)}. Make one by: uv pip compile --generate-hashes")
    return "".join(f"{entry}\n" for entry in kept)


def locked_by_uv(wanted: Mapping[str, str]) -> str:
    """Asks the package index for the hashes of exactly these versions. Raises CannotLock."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    advice = "Give a lock file with hashes by --lock, made by: uv pip compile --generate-hashes --no-deps requirements.in"
    if uv is None:
        raise CannotLock(f"uv, which asks the package index for hashes, is not installed here (pip install uv). {advice}")
    with tempfile.TemporaryDirectory(prefix="tilth-lock-") as folder:
        source, lock = Path(folder, "requirements.in"), Path(folder, "requirements.txt")
        source.write_text("".join(f"{name}=={version}\n" for name, version in wanted.items()))
        command = [uv, "pip", "compile", "--quiet", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate"]
        try:
            ended = subprocess.run(
                [*command, "--universal", "--output-file", str(lock), str(source)],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CannotLock(f"uv had no answer of the package index after {PATIENCE_S} s. {advice}") from error
        if ended.returncode:
            raise CannotLock(f"uv could not lock what the model needs: {ended.stderr.strip()[-400:]}. {advice}")
        return lock.read_text()
