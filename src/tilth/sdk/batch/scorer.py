"""One process that scores: it loads the model once, by the loader of the model servers, and turns chunks of files into parts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.core.errors import Damaged, Invalid
from tilth.core.hashing import Manifest, content_address
from tilth.flavours import ArrayPredictor, load_predictor
from tilth.sdk.batch.errors import BadRows
from tilth.sdk.batch.inputs import Fitting, as_typed, fit, input_names
from tilth.sdk.batch.outputs import VERSION_COLUMN, output_columns, output_names
from tilth.sdk.batch.places import open_place
from tilth.sdk.batch.tables import Piece, read_piece
from tilth.sdk.batch.work import Chunk, ScoringWork
from tilth.wire.models import DOCUMENT_NAME, ModelDocument
from tilth.wire.scoring import FileFormat, ScoredPart

ROWS_AT_ONCE = 8192
"""Of one call to the model: what it works on then stays in the processor's cache."""
MAX_SHOWN = 3
MAX_BLAMED = 1000
"""Rows of a chunk that are asked one by one for what the model raises on."""


class ModelRaises(Invalid):
    """The model raises on more rows than are looked for one by one."""


class Scorer:
    """Raises Damaged (the model's files), and whatever loading a model may raise."""

    def __init__(self, work: ScoringWork) -> None:
        folder = Path(work.folder)
        if Manifest.of_folder(folder).digest != work.seal:
            raise Damaged(
                f"the files of {work.version} in the cache do not match their seal; call again, and they are fetched anew"
            )
        self._document = msgspec.json.decode((folder / DOCUMENT_NAME).read_bytes(), type=ModelDocument)
        self._predictor = load_predictor(folder, self._document)
        self._work = work
        self._source, self._target = open_place(work.source), open_place(work.target)
        signature = self._document.signature
        self._inputs = input_names(signature)
        self._outputs = output_names(signature)

    @property
    def engine(self) -> str:
        return self._predictor.engine

    def score(self, chunk: Chunk) -> ScoredPart:
        """Reads the chunk, writes its part. Raises BadRows (policy `fail`), and what reading and writing raise."""
        work = self._work
        wanted = list(dict.fromkeys((*self._inputs, *work.keep)))
        piece = read_piece(self._source, work.source_format, chunk, wanted)
        fitting = fit(piece.frame, self._document.signature, piece.textual)
        kept = fitting.good()
        answers, kept = self._answers(fitting, kept)
        refused = self._refused(chunk, piece, fitting)
        if refused and work.on_bad_row == "fail":
            raise BadRows(_why_refused(refused, chunk, work.source_format))
        frame = self._frame(piece, answers, kept)
        if not len(frame) and chunk.number and not refused:
            return ScoredPart(chunk.number, 0, 0)
        data = encoded(frame, work.target_format)
        self._target.write(chunk.part, data)
        if refused:
            self._target.write(chunk.refused_part, b"".join(msgspec.json.encode(line) + b"\n" for line in refused))
        return ScoredPart(
            chunk=chunk.number,
            rows=len(frame),
            refused=len(refused),
            name=chunk.part,
            size=len(data),
            digest=content_address(data),
            refused_name=chunk.refused_part if refused else "",
        )

    def _answers(self, fitting: Fitting, kept: NDArray[np.bool_]) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
        """What the model says of the kept rows, by output, and the rows that it answered: one that it raises on is refused."""
        try:
            return self._predicted(fitting, kept), kept
        except Exception as error:  # a user's model may raise anything
            blamed = self._blamed(fitting, np.flatnonzero(kept))
            if not blamed:
                raise ModelRaises(f"the model raised {type(error).__name__}: {str(error)[:300]}") from error
            fitting.bad.update(blamed)
            kept = fitting.good()
            return self._predicted(fitting, kept), kept

    def _predicted(self, fitting: Fitting, kept: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        count = int(kept.sum())
        names = self._outputs
        if not count:
            return {name: np.empty(0) for name in names}
        if isinstance(self._predictor, ArrayPredictor):
            arrays = fitting.arrays(kept)
            found = [
                self._predictor.predict_arrays({name: array[at : at + ROWS_AT_ONCE] for name, array in arrays.items()})
                for at in range(0, count, ROWS_AT_ONCE)
            ]
            return {name: _checked(np.concatenate([np.asarray(each[name]) for each in found]), count) for name in names}
        rows = fitting.matrix(kept)
        outputs = np.concatenate([self._predictor.predict(rows[at : at + ROWS_AT_ONCE]) for at in range(0, count, ROWS_AT_ONCE)])
        table = _checked(outputs, count).reshape(count, -1)
        if table.shape[1] != len(names):
            raise ValueError(f"the model gave {table.shape[1]} outputs, its signature has {len(names)}")
        return {name: table[:, at] for at, name in enumerate(names)}

    def _blamed(self, fitting: Fitting, rows: NDArray[np.int64]) -> dict[int, str]:
        """The rows that the model raises on, found by halving. Raises ModelRaises beyond MAX_BLAMED."""
        blamed: dict[int, str] = {}
        waiting = [rows]
        while waiting:
            some = waiting.pop()
            kept = np.zeros(fitting.height, dtype=np.bool_)
            kept[some] = True
            try:
                self._predicted(fitting, kept)
            except Exception as error:  # a user's model may raise anything
                said = f"{type(error).__name__}: {str(error)[:300]}"
                if len(some) > 1:
                    waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
                    continue
                blamed[int(some[0])] = f"the model raised {said}"
                if len(blamed) > MAX_BLAMED:
                    raise ModelRaises(f"the model raised on more than {MAX_BLAMED} rows of a chunk, such as {said}") from error
        return blamed

    def _refused(self, chunk: Chunk, piece: Piece, fitting: Fitting) -> list[dict[str, Any]]:
        found = dict(piece.broken)
        found.update({int(piece.places[row]): reason for row, reason in fitting.bad.items()})
        at = "row" if self._work.source_format == "parquet" else "line"
        return [{"file": chunk.file, at: place, "reason": found[place]} for place in sorted(found)]

    def _frame(self, piece: Piece, answers: dict[str, NDArray[Any]], kept: NDArray[np.bool_]) -> pl.DataFrame:
        """Kept columns, predictions and version. Policy `null`: refused rows stay, without predictions."""
        scored = [series for name, values in answers.items() for series in output_columns(self._document, name, values)]
        columns, height = self._kept(piece), int(kept.sum())
        if self._work.on_bad_row == "null" and height < len(kept):
            places = np.full(len(kept), -1)
            places[kept] = np.arange(height)
            index = pl.Series(places).replace(-1, None)
            scored = [series.gather(index) if len(series) else _nothing(series, len(kept)) for series in scored]
            height = len(kept)
        else:
            columns = [series.filter(pl.Series(kept)) for series in columns]
        version = pl.Series(VERSION_COLUMN, [self._work.version], dtype=pl.String).new_from_index(0, height)
        return pl.DataFrame([*columns, *scored, version])

    def _kept(self, piece: Piece) -> list[pl.Series]:
        """Of a CSV file, inputs get the type that the signature says; other columns stay text."""
        columns = [piece.frame[name] for name in self._work.keep]
        if not piece.textual or self._work.target_format == "csv":
            return columns
        typed = {column.name: column for column in self._document.signature.inputs}
        return [as_typed(series, typed.get(series.name)) for series in columns]


def encoded(frame: pl.DataFrame, kind: FileFormat) -> bytes:
    into = io.BytesIO()
    match kind:
        case "parquet":
            frame.write_parquet(into, compression="zstd", compression_level=1)
        case "csv":
            frame.write_csv(into)
        case "jsonl":
            frame.write_ndjson(into)
    return into.getvalue()


def _checked(outputs: NDArray[Any], rows: int) -> NDArray[Any]:
    if not outputs.ndim or len(outputs) != rows:
        raise ValueError(f"the model gave an array of shape {outputs.shape} for {rows} rows")
    return outputs


def _nothing(series: pl.Series, rows: int) -> pl.Series:
    return pl.Series(series.name, [None] * rows, dtype=series.dtype)


def _why_refused(refused: list[dict[str, Any]], chunk: Chunk, kind: FileFormat) -> str:
    at = "row" if kind == "parquet" else "line"
    shown = "; ".join(f"{at} {each[at]}: {each['reason']}" for each in refused[:MAX_SHOWN])
    more = f" and {len(refused) - MAX_SHOWN:,} more nearby" if len(refused) > MAX_SHOWN else ""
    return f"{chunk.file}, {shown}{more}. Mend the file, or score without such rows by --on-bad-row skip or null"
