"""The context of a container image that serves one version: Dockerfile, model, Tilth's own code, a lock with hashes."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

import tilth
from tilth.cli.elsewhere.deployed import Deployed
from tilth.core.errors import Conflict
from tilth.core.hashing import Manifest

PORT = 8080
USER = 10001
MODEL_FOLDER = "/opt/ml/model"
MARKER = "image.json"
CONTROL = ("app", "backends", "domains", "guard", "web")
"""Packages of the control process, which the image has no use for."""

DOCKERFILE = """\
# {name}: {version}, as project {project} deployed it (generation {generation}). Written by `tilth image`.
FROM {base}

LABEL org.opencontainers.image.title="{name}" org.opencontainers.image.version="{version}" dev.tilth.seal="{seal}"

ENV PYTHONPATH=/opt/tilth \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1 \\
    OMP_NUM_THREADS=1 \\
    OPENBLAS_NUM_THREADS=1 \\
    MKL_NUM_THREADS=1

WORKDIR /opt/tilth
COPY requirements.txt ./
# Nothing is resolved here: every file is one whose hash stands in requirements.txt.
RUN python -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.txt

COPY tilth ./tilth
COPY model {model_folder}
COPY sha256sums ./
# The bytes are those that the registry sealed.
RUN sha256sum --check --quiet sha256sums

RUN useradd --uid {user} --user-group --no-create-home --shell /usr/sbin/nologin tilth
USER {user}:{user}
EXPOSE {port}
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \\
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/ping', timeout=2)"]
ENTRYPOINT ["python", "-m", "tilth.cli"]
CMD ["serve", "--model", "{model_folder}", "--name", "{name}", "--version", "{number}"]
"""


class ContextTaken(Conflict):
    """The folder for the context holds other things."""


class ImageFacts(msgspec.Struct, frozen=True):
    """What `image.json` says of the context."""

    name: str
    project: str
    generation: int
    version: str
    seal: str
    engine: str
    base: str
    tilth: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Context:
    """A written context. facts: what stands in it."""

    folder: Path
    facts: ImageFacts


def write_context(what: Deployed, folder: Path, lock: str, base: str | None) -> Context:
    """Writes the context into `folder`, in place of an earlier one. Raises ContextTaken."""
    _clear(folder)
    base = base or f"python:{'.'.join(platform.python_version_tuple()[:2])}-slim"
    shutil.copytree(what.model.folder, folder / "model")
    package = Path(tilth.__file__).parent

    def unneeded(place: str, names: list[str]) -> set[str]:
        return {"__pycache__", *(CONTROL if Path(place) == package else ())} & set(names)

    shutil.copytree(package, folder / "tilth", ignore=unneeded)
    (folder / "requirements.txt").write_text(lock)
    _let_read(folder)
    model, code = Manifest.of_folder(folder / "model"), Manifest.of_folder(folder / "tilth")
    lines = [f"{entry.digest}  {MODEL_FOLDER}/{entry.path}" for entry in model.files]
    lines += [f"{entry.digest}  tilth/{entry.path}" for entry in code.files]
    (folder / "sha256sums").write_text("".join(f"{line}\n" for line in lines))
    facts = ImageFacts(
        name=what.view.name,
        project=what.view.project,
        generation=what.view.generation,
        version=what.model.name,
        seal=what.model.seal,
        engine=next((each.engine for each in what.model.document.compiled), what.model.document.flavour),
        base=base,
        tilth=tilth.__version__,
        files={entry.path: entry.digest for entry in model.files},
    )
    (folder / "Dockerfile").write_text(
        DOCKERFILE.format(
            name=facts.name,
            version=facts.version,
            number=facts.version.rpartition("/")[2],
            project=facts.project,
            generation=facts.generation,
            seal=facts.seal,
            base=base,
            model_folder=MODEL_FOLDER,
            user=USER,
            port=PORT,
        )
    )
    # Last: a folder with it is a whole context.
    (folder / MARKER).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))
    return Context(folder, facts)


def _let_read(folder: Path) -> None:
    """The user of the container is another one; COPY keeps the modes that files have here."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _clear(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise ContextTaken(f"{folder} is not empty and holds no context of `tilth image`; choose an empty --out")
    for name in ("model", "tilth"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).unlink(missing_ok=True)
