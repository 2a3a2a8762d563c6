"""Style sheet, scripts and fonts, held in memory. Their address carries a digest of all of them, so browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from litestar import Response
from litestar.params import FromPath

from tilth.core.errors import NotFound
from tilth.guard import Permission, get

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".txt": "text/plain",
}


class UnknownStaticFile(NotFound):
    """No such file among those that Tilth's pages use."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    plain: bytes
    media_type: str


def read_folder(folder: Path) -> Mapping[str, StaticFile]:
    """Every file below `folder` by its path."""
    files: dict[str, StaticFile] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix not in MEDIA_TYPES:
            continue
        data = path.read_bytes()
        files[path.relative_to(folder).as_posix()] = StaticFile(data, MEDIA_TYPES[path.suffix])
    return MappingProxyType(files)


def tag_of(files: Mapping[str, StaticFile]) -> str:
    """First 12 digits of a SHA-256 over all names and contents."""
    seal = hashlib.sha256()
    for name, file in sorted(files.items()):
        seal.update(f"{name}\0{len(file.plain)}\0".encode())
        seal.update(file.plain)
    return seal.hexdigest()[:12]


FILES = read_folder(FOLDER)
TAG = tag_of(FILES)


def static_url(name: str) -> str:
    """Address of a file below static/. Raises UnknownStaticFile, so that a misspelt name is found when the page is first drawn."""
    if name not in FILES:
        raise UnknownStaticFile(f"no static file {name!r}")
    return f"/static/{TAG}/{name}"


@get("/static/{tag:str}/{path:path}", permission=Permission.PUBLIC, sync_to_thread=False)
def static_file(tag: FromPath[str], path: FromPath[str]) -> Response[bytes]:
    """A name that is not among the files read at start is unknown: nothing of the request reaches the file system."""
    file = FILES.get(str(path).lstrip("/"))
    if file is None:
        raise UnknownStaticFile("no such static file")
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if tag == TAG else "no-cache",
        "x-content-type-options": "nosniff",
    }
    return Response(file.plain, media_type=file.media_type, headers=headers)
