"""The tabs of a run that show its files: artifacts with a preview, code, what it printed, the environment it ran in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath

from tilth.core.ids import Digest
from tilth.core.ports import Blobs
from tilth.domains.tracking import queries
from tilth.guard import Access, AccessTo, Permission, get
from tilth.web.commands import shown_command
from tilth.web.difference import coloured
from tilth.web.pages.artifacts import FileView, Preview, entry_of, file_view, kind_of, preview_of, read_text
from tilth.web.pages.frame import Asked
from tilth.web.pages.run_frame import Loaded, load, run_response
from tilth.wire.tracking import ArtifactEntry

FILE_TABS = frozenset(("artifacts", "code", "logs", "environment"))
LOG_FILE = "logs/output.log"
MAX_TAIL_BYTES = 128_000
SHOWN_FILES = 400
_LOCKS = ("requirements.txt", ".lock", "conda.yaml")
_DIFFS = (".diff", ".patch")
_SCRIPTS = (".py", ".ipynb", ".r", ".sh", ".sql", ".jl")


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree of artifacts. depth: 0 at the root. file: None for a folder."""

    name: str
    depth: int
    file: FileView | None = None


async def file_tab(request: Asked, access: Access[Any], loaded: Loaded, tab: str) -> Response[str]:
    run_id, project_id = loaded.run.id, access.project.id
    entries = await access.read(lambda tx: queries.artifacts_of(tx, project_id, run_id, recursive=True))
    match tab:
        case "artifacts":
            return await artifacts_response(request, access, loaded, entries, _first_shown(entries))
        case "code":
            return await _code(request, access, loaded, entries)
        case "logs":
            return await _logs(request, access, loaded, entries)
        case _:
            return await _environment(request, access, loaded, entries)


async def artifacts_response(
    request: Asked, access: Access[Any], loaded: Loaded, entries: Sequence[ArtifactEntry], chosen: ArtifactEntry | None
) -> Response[str]:
    project, run_id = access.project.name, loaded.run.id
    blobs: Blobs = request.app.state["tilth_blobs"]
    shown: Preview | None = None if chosen is None else await preview_of(blobs, project, run_id, chosen)
    return await run_response(
        request,
        access,
        loaded,
        "artifacts",
        "run_artifacts.html",
        here=shown.file.view_url if shown is not None else "",
        tree=_tree(project, run_id, entries[:SHOWN_FILES]),
        left=max(len(entries) - SHOWN_FILES, 0),
        total=len(entries),
        bytes=sum(entry.size for entry in entries),
        shown=shown,
    )


def _first_shown(entries: Sequence[ArtifactEntry]) -> ArtifactEntry | None:
    """A picture or a page tells most at first sight; then whatever can be shown."""
    order = ("image", "html", "markdown", "notebook", "table", "json", "text")
    ranked = sorted(
        (entry for entry in entries if kind_of(entry.path) in order),
        key=lambda entry: (order.index(kind_of(entry.path)), entry.path),
    )
    return ranked[0] if ranked else (entries[0] if entries else None)


def _tree(project: str, run_id: str, entries: Sequence[ArtifactEntry]) -> list[Branch]:
    branches: list[Branch] = []
    above: list[str] = []
    for entry in sorted(entries, key=_folders_first):
        *folders, name = entry.path.split("/")
        common = 0
        while common < min(len(folders), len(above)) and folders[common] == above[common]:
            common += 1
        branches += [Branch(folder, depth) for depth, folder in enumerate(folders) if depth >= common]
        branches.append(Branch(name, len(folders), file_view(project, run_id, entry)))
        above = folders
    return branches


def _folders_first(entry: ArtifactEntry) -> list[tuple[bool, str]]:
    *folders, name = entry.path.split("/")
    return [*((False, folder) for folder in folders), (True, name)]


async def _code(request: Asked, access: Access[Any], loaded: Loaded, entries: Sequence[ArtifactEntry]) -> Response[str]:
    project, run_id = access.project.name, loaded.run.id
    blobs: Blobs = request.app.state["tilth_blobs"]
    diff = next((entry for entry in entries if entry.path.endswith(_DIFFS)), None)
    text = (await read_text(blobs, diff))[0] if diff is not None else ""
    sources = [entry for entry in entries if entry.path.lower().endswith(_SCRIPTS)]
    named = (loaded.detail.environment.entry_point if loaded.detail.environment else "").rpartition("/")[2]
    sources.sort(key=lambda entry: (entry.path.rpartition("/")[2] != named, not entry.path.startswith("code/"), entry.path))
    return await run_response(
        request,
        access,
        loaded,
        "code",
        "run_code.html",
        diff=coloured(text) if text.strip() else None,
        diff_lines=text.count("\n"),
        diff_file=None if diff is None else file_view(project, run_id, diff),
        source=await preview_of(blobs, project, run_id, sources[0]) if sources else None,
        sources=[file_view(project, run_id, entry) for entry in sources[1:20]],
        reproduce=shown_command("tilth", "reproduce", run_id, "--project", project),
    )


async def _logs(request: Asked, access: Access[Any], loaded: Loaded, entries: Sequence[ArtifactEntry]) -> Response[str]:
    logs = [entry for entry in entries if entry.path == LOG_FILE or entry.path.startswith("logs/") or entry.path.endswith(".log")]
    logs.sort(key=lambda entry: (entry.path != LOG_FILE, entry.path))
    asked = request.query_params.get("file", "")
    chosen = next((entry for entry in logs if entry.path == asked), logs[0] if logs else None)
    text = "" if chosen is None else await _tail(request.app.state["tilth_blobs"], chosen)
    project, run_id = access.project.name, loaded.run.id
    return await run_response(
        request,
        access,
        loaded,
        "logs",
        "run_logs.html",
        log=None if chosen is None else file_view(project, run_id, chosen),
        logs=[file_view(project, run_id, entry) for entry in logs[:50]],
        text=text,
        skipped=0 if chosen is None else max(chosen.size - MAX_TAIL_BYTES, 0),
    )


async def _tail(blobs: Blobs, entry: ArtifactEntry) -> str:
    """The last 128 kB from the beginning of a line; what overwrote itself by carriage returns (progress bars) as it last stood."""
    start = max(entry.size - MAX_TAIL_BYTES, 0)
    data = b"".join([piece async for piece in blobs.open(Digest(entry.digest), start=start)])
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    if start:
        text = text.partition("\n")[2]
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


async def _environment(request: Asked, access: Access[Any], loaded: Loaded, entries: Sequence[ArtifactEntry]) -> Response[str]:
    project, run_id = access.project.name, loaded.run.id
    kept = [entry for entry in entries if entry.path.startswith("environment/") or entry.path.endswith(_LOCKS)]
    blobs: Blobs = request.app.state["tilth_blobs"]
    shown = [await preview_of(blobs, project, run_id, entry) for entry in kept[:4] if kind_of(entry.path) != "image"]
    return await run_response(request, access, loaded, "environment", "run_environment.html", files=shown)


@get("/p/{project:str}/runs/{run_id:str}/artifacts/{path:path}", permission=Permission.RUN_READ)
async def artifact_page(request: Asked, access: AccessTo[None], run_id: FromPath[str], path: FromPath[str]) -> Response[str]:
    entry = await entry_of(access, run_id, str(path))
    project_id = access.project.id
    loaded = await access.read(lambda tx: load(tx, project_id, run_id))
    entries = await access.read(lambda tx: queries.artifacts_of(tx, project_id, run_id, recursive=True))
    return await artifacts_response(request, access, loaded, entries, entry)


routes: list[Any] = [artifact_page]
