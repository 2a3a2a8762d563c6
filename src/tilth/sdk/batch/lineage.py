"""The run that a scoring is: what was read, by which version, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import NotFound, TilthError
from tilth.core.hashing import canonical_json, content_address
from tilth.sdk import current
from tilth.sdk.active import Run
from tilth.wire.scoring import MAX_LISTED_FILES, SCORED_VERSION_TAG, SCORING_TAG, InputFile, ScoringManifest, ScoringRecord
from tilth.wire.tracking import MAX_TAG_CHARS, DatasetInput

EXPERIMENT = "batch scoring"
LOG_EVERY_S = 5.0


class ScoringRun:
    """A run of its own, or below the one that is open; an earlier one of the same job is gone on with. Use as a context manager."""

    def __init__(self, version: str, resumed: str, params: Mapping[str, object]) -> None:
        self.run = _run(version, resumed)
        self._began = self._logged = monotonic()
        self._rows_logged = 0
        if not resumed or self.run.id != resumed:
            self.run.params(params)
        self.run.tag({SCORED_VERSION_TAG: version})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.run.finish()
        elif isinstance(error, TilthError):
            # What was refused says so in words; where it came from within us helps nobody. It must come through, not our trouble.
            with suppress(TilthError):
                self.run.finish("failed", str(error))
        else:
            self.run.fail(error)

    @property
    def seconds(self) -> float:
        return monotonic() - self._began

    def progress(self, rows: int, refused: int) -> None:
        """rows, refused: of this call so far. Logged every few seconds."""
        gone = monotonic() - self._logged
        if gone >= LOG_EVERY_S:
            self.run.log({"rows": rows, "refused": refused, "rows_per_s": (rows - self._rows_logged) / gone})
            self._logged, self._rows_logged = monotonic(), rows

    def read(self, source: str, files: tuple[InputFile, ...]) -> None:
        """Notes the input as one data set: its digest is that of the only file, else over the list of files."""
        listed = [[file.name, file.digest or file.stamp, file.size] for file in files]
        digest = files[0].digest if len(files) == 1 and files[0].digest else content_address(canonical_json(listed))
        profile = canonical_json({"files": len(files), "bytes": sum(file.size for file in files)}).decode()
        name = source.rstrip("/").rpartition("/")[2].partition("?")[0] or source
        kind = "file" if len(files) == 1 else "folder"
        self.run.note_dataset(DatasetInput(name[:250], digest, "scoring", kind, source, profile=profile))

    def wrote(self, manifest: ScoringManifest, record: ScoringRecord, rows_now: int) -> None:
        """rows_now: scored by this call."""
        written = msgspec.json.encode(record).decode()
        if len(written) > MAX_TAG_CHARS:
            written = msgspec.json.encode(msgspec.structs.replace(record, inputs=record.inputs[:1])).decode()
        self.run.tag({SCORING_TAG: written})
        self.run.log({"rows": record.rows, "refused": record.refused, "rows_per_s": rows_now / max(self.seconds, 1e-9)})
        self.run.log_text(msgspec.json.format(msgspec.json.encode(manifest), indent=1).decode(), "scoring/manifest.json")


def record_of(
    manifest: ScoringManifest, output: str, manifest_at: str, *, seconds: float, on: str, processes: int, engine: str
) -> ScoringRecord:
    return ScoringRecord(
        model=manifest.model,
        version=manifest.version,
        source=manifest.source,
        output=output,
        manifest=manifest_at,
        input_files=len(manifest.inputs),
        inputs=manifest.inputs[:MAX_LISTED_FILES],
        rows=sum(part.rows for part in manifest.parts),
        refused=sum(part.refused for part in manifest.parts),
        parts=sum(bool(part.name) for part in manifest.parts),
        size=manifest.size,
        digest=manifest.digest,
        seconds=round(seconds, 3),
        on=on,
        processes=processes,
        engine=engine,
    )


def _run(version: str, resumed: str) -> Run:
    nested = current.current_run() is not None
    if resumed:
        try:
            return current.run(resume=resumed, nested=nested, log_output=False)
        except NotFound:
            pass  # It was deleted meanwhile: this call is a run of its own then.
    return current.run(f"score {version}", experiment=EXPERIMENT, nested=nested, log_output=False)
