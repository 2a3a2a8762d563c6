"""Artifacts as people look at them: text and images on a page. Downloads go to the API, which serves them as attachments."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream

from tilth.core.ids import Digest
from tilth.core.names import check_artifact_path
from tilth.core.ports import Blobs
from tilth.domains.tracking import queries
from tilth.domains.tracking.types import UnknownArtifact, UnknownRun
from tilth.guard import Access, AccessTo, Permission, get
from tilth.web.pages.frame import Asked, project_url, shell
from tilth.web.render import page
from tilth.wire.tracking import ArtifactEntry

IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
}
TEXTS = frozenset(
    (
        *("txt", "log", "md", "json", "jsonl", "yaml", "yml", "toml", "csv", "tsv", "py", "ipynb", "sql", "sh", "ini", "cfg"),
        *("diff", "patch", "html", "xml", "js", "css", "r", "dockerfile", "requirements", "lock"),
    )
)
MAX_TEXT_BYTES = 256_000
MAX_IMAGE_BYTES = 20_000_000
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""An SVG may carry script: shown through <img> it cannot run, and opened by itself this keeps it from running."""


class NotAnImage(UnknownArtifact):
    """Only images of known kinds and of at most 20 MB are served for showing."""


@dataclass(frozen=True, slots=True)
class FileView:
    """An artifact with its addresses: the page that shows it, the download, the image (empty if it is none)."""

    path: str
    size: int
    digest: str
    content_type: str
    view_url: str
    url: str
    image_url: str


def file_view(project: str, run_id: str, entry: ArtifactEntry) -> FileView:
    tail, own = quote(entry.path), project_url(project, "runs", run_id)
    image = kind_of(entry.path) == "image" and entry.size <= MAX_IMAGE_BYTES
    return FileView(
        path=entry.path,
        size=entry.size,
        digest=entry.digest,
        content_type=entry.content_type or mimetypes.guess_type(entry.path)[0] or "",
        view_url=f"{own}/artifacts/{tail}",
        url=f"/api/v1/p/{quote(project, safe='')}/runs/{run_id}/artifacts/{tail}",
        image_url=f"{own}/images/{tail}" if image else "",
    )


def kind_of(path: str) -> str:
    """`image`, `text` or `other`, by the ending of the name."""
    name = path.rpartition("/")[2].lower()
    ending = name.rpartition(".")[2]
    if ending in IMAGES:
        return "image"
    return "text" if ending in TEXTS or "." not in name else "other"


async def read_text(blobs: Blobs, entry: ArtifactEntry) -> tuple[str, bool]:
    """At most 256 kB as text, and whether that is all of it. Bytes that are not UTF-8 are shown as replacement characters."""
    whole = entry.size <= MAX_TEXT_BYTES
    data = b"".join([piece async for piece in blobs.open(Digest(entry.digest), end=None if whole else MAX_TEXT_BYTES)])
    return data.decode("utf-8", errors="replace"), whole


async def _entry(access: Access[Any], run_id: str, path: str) -> ArtifactEntry:
    wanted = check_artifact_path(path.lstrip("/"))
    entry = await access.read(lambda tx: queries.artifact_entry(tx, access.project.id, run_id, wanted))
    if entry is None:
        raise UnknownArtifact(wanted, run_id)
    return entry


@get("/p/{project:str}/runs/{run_id:str}/artifacts/{path:path}", permission=Permission.RUN_READ)
async def artifact_page(request: Asked, access: AccessTo[None], run_id: FromPath[str], path: FromPath[str]) -> Response[str]:
    entry = await _entry(access, run_id, str(path))
    run = await access.read(lambda tx: queries.run_info(tx, access.project.id, run_id))
    if run is None:
        raise UnknownRun(run_id)
    project, kind = access.project.name, kind_of(entry.path)
    text, whole = await read_text(request.app.state["tilth_blobs"], entry) if kind == "text" else ("", True)
    crumbs = [("Runs", project_url(project, "runs")), (run.name, project_url(project, "runs", run_id)), (entry.path, "")]
    return page(
        "artifact.html",
        await shell(request, access, "runs", crumbs),
        file=file_view(project, run_id, entry),
        kind=kind,
        text=text,
        cut=None if whole else MAX_TEXT_BYTES,
    )


@get("/p/{project:str}/runs/{run_id:str}/images/{path:path}", permission=Permission.RUN_READ)
async def artifact_image(request: Asked, access: AccessTo[None], run_id: FromPath[str], path: FromPath[str]) -> Stream:
    entry = await _entry(access, run_id, str(path))
    if not file_view(access.project.name, run_id, entry).image_url:
        raise NotAnImage(entry.path, run_id)
    blobs: Blobs = request.app.state["tilth_blobs"]
    headers = {
        "content-security-policy": IMAGE_POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "private, max-age=60",
        "etag": f'"{entry.digest}"',
    }
    return Stream(blobs.open(Digest(entry.digest)), media_type=IMAGES[entry.path.rpartition(".")[2].lower()], headers=headers)


routes: list[Any] = [artifact_page, artifact_image]
