"""`tilth.import_model`: a model that was made elsewhere becomes a version, with where it comes from and what a look at it found."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from tilth.core.hashing import Manifest, address_of_file
from tilth.core.names import check_model_name
from tilth.sdk import model_uploads
from tilth.sdk.connection import Connection, connection
from tilth.sdk.importing.archives import is_archive, unpack
from tilth.sdk.importing.examples import read_example
from tilth.sdk.importing.formats import NEEDS_ARCHITECTURE, found_at
from tilth.sdk.importing.preparing import copied_document, keep, prepare, write_document
from tilth.sdk.importing.running import prepare_apart
from tilth.sdk.importing.scanning import is_state, scan
from tilth.sdk.importing.types import Found, Scan
from tilth.wire.models import ModelDocument
from tilth.wire.provenance import RecordProvenance, ScanVerdict, TrustModel
from tilth.wire.registry import LoggedModelView, RegisterVersion, VersionView

NOT_ASKED = (
    "loading it may run code that came with it, so that nobody has asked it what it takes: a maintainer who knows where it comes from "
    "imports it again with --trust (trust=True), which runs it in a process of its own"
)
MAX_FINDING_CHARS = 500


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """What `import_model` made. unservable: why it cannot be served, empty when it can. url: its page."""

    id: str
    model: str
    version: int
    url: str
    format: str
    verdict: ScanVerdict
    findings: tuple[str, ...]
    unservable: str
    document: ModelDocument | None


def import_model(
    path: str | Path,
    name: str | None = None,
    *,
    example: Any = None,
    flavour: str | None = None,
    trust: bool = False,
    reason: str = "",
    categories: Mapping[str, Sequence[str]] | None = None,
    description: str = "",
    tags: Mapping[str, Any] | None = None,
) -> ImportedModel:
    """Registers a file or folder that was made elsewhere: ONNX, boosters, Keras, SavedModel, PyTorch, pickles, MLflow, Hugging Face.

    example: some rows that it takes (a DataFrame, an array, arrays by name), or a file of them; needed where the model does not say.
    flavour: its format, where the file does not tell. What may run code is looked at and kept, and not run; with trust=True (and the role
    maintainer) it is run in a process of its own, here and where it is served, and `reason` is kept.
    Raises NotImportable, UnusableExample, InvalidName, and what the server refuses.
    """
    source = Path(path)
    called = check_model_name(name or _name_of(source))
    target = connection()
    texts = {key: str(value) for key, value in (tags or {}).items()}
    with tempfile.TemporaryDirectory(prefix="tilth-import-") as temporary:
        work = Path(temporary)
        found, seen = _looked_at(source, flavour, work)
        rows = _rows(example, found)
        bringing = _Bringing(target, called, source, found, seen, trust, reason, categories)
        logged, document = bringing.bring(work, rows, texts)
    body = RegisterVersion(logged_model_id=logged.id, description=description, tags=texts)
    versions = f"{target.api}/models/{quote(called, safe='')}/versions"
    version = target.http.call("POST", versions, VersionView, body=body)
    page = target.page("models", called, "versions", str(version.version))
    return ImportedModel(
        id=logged.id,
        model=called,
        version=version.version,
        url=page,
        format=found.format,
        verdict=seen.verdict,
        findings=seen.findings,
        unservable=version.unservable,
        document=document,
    )


@dataclass(frozen=True, slots=True)
class _Bringing:
    target: Connection
    name: str
    source: Path
    found: Found
    seen: Scan
    trust: bool
    reason: str
    categories: Mapping[str, Sequence[str]] | None

    def bring(self, work: Path, rows: Any, tags: dict[str, str]) -> tuple[LoggedModelView, ModelDocument | None]:
        """The sealed logged model, and its document if it can be served."""
        risky = self.found.runs_code or self.seen.verdict == "flagged"
        document = None
        if not risky and not self.found.note:
            document = prepare(self.found, work / "model", rows, categories=self.categories)
        with model_uploads.opened(self.target, self.name, self.found.format, tags) as logged_id:
            self._say(logged_id)
            if self.trust and risky:
                # Before anything of it runs here: who may not trust it is refused now.
                self._trust(logged_id)
            folder = work / "model"
            if document is None:
                folder, document = self._risky(work, rows)
            return model_uploads.fill(self.target, logged_id, folder), document

    def _risky(self, work: Path, rows: Any) -> tuple[Path, ModelDocument | None]:
        if self._note():
            (work / "kept").mkdir()
            keep(self.found, work / "kept")
            return work / "kept", None
        if self.trust:
            return prepare_apart(self.found, work / "apart", rows, categories=self.categories)
        document = msgspec.structs.replace(copied_document(self.found, work / "copied"), isolated=True)
        write_document(work / "copied", document)
        return work / "copied", document

    def _note(self) -> str:
        """Why it is kept and cannot be served, whoever trusts it later."""
        if self.found.note:
            return self.found.note
        unknown = self.found.runs_code and not self.trust and self.found.format != "tilth"
        return NOT_ASKED if unknown else ""

    def _say(self, logged_id: str) -> None:
        said = RecordProvenance(
            source=self.source.resolve().name,
            sha256=_digest(self.source),
            format=self.found.format,
            runs_code=self.found.runs_code,
            verdict=self.seen.verdict,
            findings=[finding[:MAX_FINDING_CHARS] for finding in self.seen.findings],
            scanner=self.seen.scanner,
            note=self._note(),
        )
        self.target.http.call("PUT", f"{self.target.api}/logged-models/{logged_id}/provenance", LoggedModelView, body=said)

    def _trust(self, logged_id: str) -> None:
        body = TrustModel(reason=self.reason or "trusted at its import")
        self.target.http.call("POST", f"{self.target.api}/logged-models/{logged_id}/trust", LoggedModelView, body=body)


def _looked_at(source: Path, flavour: str | None, work: Path) -> tuple[Found, Scan]:
    opened = unpack(source, work / "unpacked") if source.is_file() and is_archive(source) else source
    found = found_at(opened, flavour)
    if found.format == "torch-pickle" and is_state(found):
        return Found(found.path, found.format, runs_code=False, note=NEEDS_ARCHITECTURE), Scan("clean", (), "tilth")
    seen = scan(found)
    if found.format == "keras" and seen.verdict == "flagged":
        note = f"{seen.findings[0]}, which is never run: log a Python function around the model with tilth.log_model instead"
        return Found(found.path, found.format, runs_code=True, note=note), seen
    return found, seen


def _rows(example: Any, found: Found) -> Any:
    """Rows given, rows of a file, rows that came with the model, or None."""
    if isinstance(example, str | Path):
        return read_example(Path(example))
    if example is None and found.example is not None:
        return read_example(found.example)
    return example


def _name_of(source: Path) -> str:
    stem = re.sub(r"\.(tar|gz|tgz|zip|bz2|xz)$", "", source.resolve().name, flags=re.IGNORECASE)
    stem = stem if source.is_dir() else stem.partition(".")[0] or stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-_.") or "model"


def _digest(source: Path) -> str:
    return str(Manifest.of_folder(source).digest if source.is_dir() else address_of_file(source))
