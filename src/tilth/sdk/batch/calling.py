"""`tilth.score`: rows of files through a model version, into files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from tilth.core.clock import now
from tilth.core.errors import Invalid
from tilth.core.hashing import canonical_json, content_address
from tilth.sdk.batch import manifest as manifests
from tilth.sdk.batch.checking import checked_columns
from tilth.sdk.batch.crews import Crew, ProcessCrew
from tilth.sdk.batch.errors import InvalidPlace
from tilth.sdk.batch.joining import join
from tilth.sdk.batch.lineage import ScoringRun, record_of
from tilth.sdk.batch.manifest import Ledger, Output
from tilth.sdk.batch.places import LocalPlace, digest_of, is_remote, open_place, split_name
from tilth.sdk.batch.planning import Source, chunks, format_of, source_of
from tilth.sdk.batch.ray_crew import RayCrew
from tilth.sdk.batch.work import Chunk, ScoringWork
from tilth.sdk.models import FetchedModel, fetch_model
from tilth.wire.scoring import FileFormat, InputFile, OnBadRow, ScoringManifest

BATCH_ROWS = 100_000
Told = Callable[[int, int, int], None]
"""(bytes of the input done, bytes of all of it, rows scored)"""


class NotTrusted(Invalid):
    """The model may run code that came with it."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """What `score` did. rows, refused: in the whole output. rows_now, seconds: of this call. url: page of its run."""

    version: str
    output: str
    manifest: str
    rows: int
    refused: int
    rows_now: int
    seconds: float
    digest: str
    engine: str
    run_id: str
    url: str

    @property
    def rows_per_s(self) -> float:
        return self.rows_now / max(self.seconds, 1e-9)


def score(
    model: str,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    on_bad_row: OnBadRow = "fail",
    processes: int | None = None,
    batch_rows: int = BATCH_ROWS,
    source_format: FileFormat | None = None,
    output_format: FileFormat | None = None,
    resume: bool | None = None,
    on: Literal["processes", "ray"] = "processes",
    trust: bool = False,
    progress: Told | None = None,
) -> Scoring:
    """Scores every row of `source` (a Parquet, CSV or JSON-lines file, a folder of them, or `s3://...`) into `output` (a file if its name
    ends in such a format, else a folder of parts).

    columns: of the input that the output keeps, beside predictions and `model_version`; None keeps all. on_bad_row: a row that does not
    fit the signature ends the job (`fail`), is left out (`skip`) or gets no prediction (`null`). batch_rows: of one piece of work, so
    many are in memory per process. resume: None goes on with what a killed call left, False begins anew, True insists on going on.
    trust: run the code of a model that came from elsewhere.
    Raises UnfitRows (before the first row), BadRows, OutputTaken, NothingToScore, and what the server refuses.
    """
    if batch_rows < 1 or (processes is not None and processes < 1):
        raise Invalid("batch_rows and processes are at least 1")
    found = fetch_model(model)
    if found.document.isolated and not trust:
        raise NotTrusted(
            f"{found.name} came from elsewhere and runs code of its own; score it with trust=True (--trust) if you trust it"
        )
    rows = _source(os.fspath(source), source_format)
    into, kind = _output(os.fspath(output), output_format)
    _check_apart(rows, into)
    keep = checked_columns(rows, found.document, columns, kind, on_bad_row)
    work = ScoringWork(
        folder=str(found.folder),
        seal=found.seal,
        version=found.name,
        source=rows.address,
        source_format=rows.format,
        target=into.parts_address,
        target_format=kind,
        keep=keep,
        on_bad_row=on_bad_row,
        batch_rows=batch_rows,
    )
    lock = manifests.taken(into)
    try:
        return _Job(found, rows, into, work, progress).run(resume, on, processes or len(os.sched_getaffinity(0)))
    finally:
        manifests.let_go(into, lock)


class _Job:
    def __init__(self, found: FetchedModel, rows: Source, into: Output, work: ScoringWork, progress: Told | None) -> None:
        self._found = found
        self._rows = rows
        self._into = into
        self._work = work
        self._progress = progress or (lambda done, total, rows: None)

    def run(self, resume: bool | None, on: str, processes: int) -> Scoring:
        work, inputs = self._work, tuple(InputFile(file.name, file.size, file.stamp) for file in self._rows.files)
        identity = _identity(work, self._rows.shown, inputs)
        earlier = manifests.standing(self._into, identity, work.on_bad_row, resume=resume)
        params = {"model": work.version, "in": self._rows.shown, "out": self._into.shown, "on_bad_row": work.on_bad_row}
        with ScoringRun(work.version, earlier.run_id if earlier is not None else "", params) as scoring:
            begun = ScoringManifest(
                identity=identity,
                state="running",
                model=work.version.rpartition("/")[0] or work.version,
                version=work.version,
                seal=work.seal,
                run_id=scoring.run.id,
                source=self._rows.shown,
                inputs=inputs,
                output_format=work.target_format,
                on_bad_row=work.on_bad_row,
                started=now() if earlier is None else earlier.started,
                parts=() if earlier is None else tuple(p for p in earlier.parts if manifests.is_whole(self._into.parts, p)),
            )
            (manifests.clear_parts if earlier is None else manifests.clear_unfinished)(self._into)
            ledger = Ledger(self._into, begun)
            with ThreadPoolExecutor(1, "tilth-digest") as thread:
                digests = thread.submit(self._digests, inputs)
                rows_now, engine = self._score(scoring, ledger, on, processes)
                done = self._complete(scoring, ledger, begun, digests)
            record = record_of(
                done,
                self._into.shown,
                f"{self._into.place.shown}/{self._into.manifest}",
                seconds=scoring.seconds,
                on=on,
                processes=processes,
                engine=engine,
            )
            scoring.wrote(done, record, rows_now)
        return Scoring(
            version=record.version,
            output=record.output,
            manifest=record.manifest,
            rows=record.rows,
            refused=record.refused,
            rows_now=rows_now,
            seconds=scoring.seconds,
            digest=record.digest,
            engine=engine,
            run_id=scoring.run.id,
            url=scoring.run.url,
        )

    def _score(self, scoring: ScoringRun, ledger: Ledger, on: str, processes: int) -> tuple[int, str]:
        total, known, done, rows, refused = self._rows.bytes, 0, 0, 0, 0

        def missing() -> Iterator[Chunk]:
            nonlocal known
            for chunk in chunks(self._rows, self._work.batch_rows, self._work.target_format):
                if chunk.number in ledger.done:
                    known += chunk.bytes
                else:
                    yield chunk

        try:
            with self._crew(on, processes) as crew:
                for chunk, part in crew.scored(missing()):
                    ledger.add(part)
                    done, rows, refused = done + chunk.bytes, rows + part.rows, refused + part.refused
                    self._progress(known + done, total, rows)
                    scoring.progress(rows, refused)
                return rows, crew.engine
        finally:
            ledger.write()

    def _crew(self, on: str, processes: int) -> Crew:
        return RayCrew(self._work, processes) if on == "ray" else ProcessCrew(self._work, processes)

    def _complete(
        self, scoring: ScoringRun, ledger: Ledger, begun: ScoringManifest, digests: Future[tuple[InputFile, ...]]
    ) -> ScoringManifest:
        inputs, parts = digests.result(), ledger.ordered()
        scoring.read(self._rows.shown, inputs)
        whole = msgspec.structs.replace(begun, inputs=inputs, parts=parts)
        if not self._into.name:
            return ledger.complete(digest=manifests.sealed(parts), size=sum(part.size for part in parts), manifest=whole)
        digest, size = join(self._into, parts, self._work.target_format)
        done = ledger.complete(digest=digest, size=size, manifest=whole)
        for part in parts:
            for name in (part.name, part.refused_name):
                if name:
                    self._into.parts.remove(name)
        manifests.clear_parts(self._into)
        return done

    def _digests(self, inputs: tuple[InputFile, ...]) -> tuple[InputFile, ...]:
        """Files of this machine are read for it; an object store's own stamp must do for what lies there."""
        if not isinstance(self._rows.place, LocalPlace):
            return inputs
        return tuple(msgspec.structs.replace(file, digest=digest_of(self._rows.place, file.name)) for file in inputs)


def _source(address: str, wanted: FileFormat | None) -> Source:
    one = format_of(address.partition("?")[0]) is not None if is_remote(address) else not Path(address).expanduser().is_dir()
    folder, name = split_name(address) if one else (address, "")
    return source_of(folder, open_place(folder), name, wanted)


def _output(address: str, wanted: FileFormat | None) -> tuple[Output, FileFormat]:
    """Raises InvalidPlace."""
    bare, question, query = address.rstrip("/").partition("?")
    kind = format_of(bare.rpartition("/")[2])
    if kind is None:
        place = open_place(address)
        return Output(address, place, "", place, address), wanted or "parquet"
    if wanted is not None and wanted != kind:
        raise InvalidPlace(f"--out {address} ends in {kind}, and --format says {wanted}; give one of them")
    if not is_remote(address) and Path(address).expanduser().is_dir():
        raise InvalidPlace(f"--out {address} is a folder; give a file's name, or a folder without an ending")
    folder, name = split_name(address)
    parts = f"{folder.partition('?')[0]}/.{name}.parts{question}{query}"
    return Output(address, open_place(folder), name, open_place(parts), parts), kind


def _check_apart(rows: Source, into: Output) -> None:
    """An output among the files of an input folder would be input of the next call. Raises InvalidPlace."""
    inside = f"{rows.place.shown.rstrip('/')}/"
    if not rows.one and f"{into.shown}/".startswith(inside):
        raise InvalidPlace(f"{into.shown} lies in the folder that is scored; write beside it")


def _identity(work: ScoringWork, source: str, inputs: tuple[InputFile, ...]) -> str:
    """All that decides what comes out of good rows, in which parts."""
    decisive = [
        work.seal,
        work.version,
        source,
        work.source_format,
        work.target_format,
        work.keep,
        work.batch_rows,
    ]
    return content_address(canonical_json([decisive, [[file.name, file.size, file.stamp] for file in inputs]]))
