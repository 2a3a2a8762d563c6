"""Artifacts as people look at them: pictures, tables, texts, notebooks, HTML. Downloads go to the API, which serves them as attachments."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar.params import FromPath
from litestar.response import Stream
from markupsafe import Markup

from tilth.core.ids import Digest
from tilth.core.names import check_artifact_path
from tilth.core.ports import Blobs
from tilth.domains.tracking import queries
from tilth.domains.tracking.types import UnknownArtifact
from tilth.guard import Access, AccessTo, Permission, get
from tilth.web.markdown import to_html
from tilth.web.pages.frame import Asked, project_url
from tilth.web.previews import NotebookCell, Sheet, notebook, pretty_json, sheet
from tilth.wire.tracking import ArtifactEntry

IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
}
KINDS = {
    **dict.fromkeys(IMAGES, "image"),
    **dict.fromkeys(("csv", "tsv"), "table"),
    **dict.fromkeys(("html", "htm"), "html"),
    **dict.fromkeys(("md", "markdown"), "markdown"),
    **dict.fromkeys(("json",), "json"),
    **dict.fromkeys(("ipynb",), "notebook"),
    **dict.fromkeys(("diff", "patch"), "diff"),
    **dict.fromkeys(
        (
            *("txt", "log", "jsonl", "yaml", "yml", "toml", "py", "sql", "sh", "ini", "cfg", "conf"),
            *("xml", "js", "css", "r", "jl", "dockerfile", "requirements", "lock"),
        ),
        "text",
    ),
}
"""What a file is by the ending of its name."""
MAX_TEXT_BYTES = 256_000
MAX_NOTEBOOK_BYTES = 2_000_000
MAX_IMAGE_BYTES = 20_000_000
MAX_HTML_BYTES = 20_000_000
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""An SVG may carry script: shown through <img> it cannot run, and opened by itself this keeps it from running."""
HTML_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; media-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Reports draw with scripts of their own. In this sandbox they have an origin of their own: they see neither the session nor the pages,
and can fetch nothing from anywhere."""


class NotAnImage(UnknownArtifact):
    """Only images of known kinds and of at most 20 MB are served for showing."""


class NotHtml(UnknownArtifact):
    """Only HTML files of at most 20 MB are served into a frame."""


@dataclass(frozen=True, slots=True)
class FileView:
    """An artifact with its addresses: the page that shows it, the download, the image and the frame (empty if it is none)."""

    path: str
    size: int
    digest: str
    content_type: str
    view_url: str
    url: str
    image_url: str
    frame_url: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a file. kind: image, table, html, markdown, json, notebook, text or other. cut: bytes shown of a longer one."""

    file: FileView
    kind: str
    text: str = ""
    html: Markup | None = None
    table: Sheet | None = None
    cells: Sequence[NotebookCell] = ()
    cut: int | None = None


def file_view(project: str, run_id: str, entry: ArtifactEntry) -> FileView:
    tail, own, kind = quote(entry.path), project_url(project, "runs", run_id), kind_of(entry.path)
    return FileView(
        path=entry.path,
        size=entry.size,
        digest=entry.digest,
        content_type=entry.content_type or mimetypes.guess_type(entry.path)[0] or "",
        view_url=f"{own}/artifacts/{tail}",
        url=f"/api/v1/p/{quote(project, safe='')}/runs/{run_id}/artifacts/{tail}",
        image_url=f"{own}/images/{tail}" if kind == "image" and entry.size <= MAX_IMAGE_BYTES else "",
        frame_url=f"{own}/frames/{tail}" if kind == "html" and entry.size <= MAX_HTML_BYTES else "",
    )


def kind_of(path: str) -> str:
    """One of KINDS, or `other`. A name without an ending (README, Dockerfile) is taken for text."""
    name = path.rpartition("/")[2].lower()
    return "text" if "." not in name else KINDS.get(name.rpartition(".")[2], "other")


async def read_text(blobs: Blobs, entry: ArtifactEntry, most: int = MAX_TEXT_BYTES) -> tuple[str, bool]:
    """At most 256 kB as text, and whether that is all of it. Bytes that are not UTF-8 are shown as replacement characters."""
    whole = entry.size <= most
    data = b"".join([piece async for piece in blobs.open(Digest(entry.digest), end=None if whole else most)])
    return data.decode("utf-8", errors="replace"), whole


async def preview_of(blobs: Blobs, project: str, run_id: str, entry: ArtifactEntry) -> Preview:
    """What cannot be read as what its name says is shown as text."""
    file, kind = file_view(project, run_id, entry), kind_of(entry.path)
    if kind in ("image", "other") or (kind == "html" and file.frame_url):
        return Preview(file, kind if kind != "image" or file.image_url else "other")
    most = MAX_NOTEBOOK_BYTES if kind == "notebook" else MAX_TEXT_BYTES
    text, whole = await read_text(blobs, entry, most)
    cut = None if whole else most
    match kind:
        case "table":
            found = sheet(text, "\t" if entry.path.lower().endswith(".tsv") else ",")
            if found is not None:
                return Preview(file, kind, table=found, cut=cut)
        case "markdown":
            return Preview(file, kind, html=to_html(text), cut=cut)
        case "json":
            shaped = pretty_json(text) if whole else None
            return Preview(file, kind, text=text if shaped is None else shaped[:MAX_TEXT_BYTES], cut=cut)
        case "notebook":
            cells = notebook(text) if whole else None
            if cells is not None:
                return Preview(file, kind, cells=cells)
    return Preview(file, "text", text=text[:MAX_TEXT_BYTES], cut=cut)


async def entry_of(access: Access[Any], run_id: str, path: str) -> ArtifactEntry:
    """Raises UnknownArtifact, InvalidName."""
    wanted = check_artifact_path(path.lstrip("/"))
    entry = await access.read(lambda tx: queries.artifact_entry(tx, access.project.id, run_id, wanted))
    if entry is None:
        raise UnknownArtifact(wanted, run_id)
    return entry


@get("/p/{project:str}/runs/{run_id:str}/images/{path:path}", permission=Permission.RUN_READ)
async def artifact_image(request: Asked, access: AccessTo[None], run_id: FromPath[str], path: FromPath[str]) -> Stream:
    entry = await entry_of(access, run_id, str(path))
    if not file_view(access.project.name, run_id, entry).image_url:
        raise NotAnImage(entry.path, run_id)
    return _stream(request, entry, IMAGES[entry.path.rpartition(".")[2].lower()], IMAGE_POLICY)


@get("/p/{project:str}/runs/{run_id:str}/frames/{path:path}", permission=Permission.RUN_READ)
async def artifact_frame(request: Asked, access: AccessTo[None], run_id: FromPath[str], path: FromPath[str]) -> Stream:
    """An HTML artifact for the frame on its page. Its policy holds it in a sandbox also when it is opened by itself."""
    entry = await entry_of(access, run_id, str(path))
    if not file_view(access.project.name, run_id, entry).frame_url:
        raise NotHtml(entry.path, run_id)
    return _stream(request, entry, "text/html; charset=utf-8", HTML_POLICY, framed=True)


def _stream(request: Asked, entry: ArtifactEntry, media_type: str, policy: str, *, framed: bool = False) -> Stream:
    blobs: Blobs = request.app.state["tilth_blobs"]
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "cache-control": "private, max-age=60",
        "etag": f'"{entry.digest}"',
        **({"x-frame-options": "SAMEORIGIN"} if framed else {}),
    }
    return Stream(blobs.open(Digest(entry.digest)), media_type=media_type, headers=headers)


routes: list[Any] = [artifact_image, artifact_frame]
