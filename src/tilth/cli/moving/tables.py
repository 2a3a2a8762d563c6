"""Parquet tables of an exported project: written in parts while reading goes on, read back row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

PART_ROWS = 200_000
_KINDS = {"text": pl.String, "int": pl.Int64, "float": pl.Float64, "flag": pl.Boolean}


class TableWriter:
    """Rows of one table, kept in memory up to PART_ROWS and then written as one file of the folder `name`.

    columns: name -> "text", "int", "float" or "flag".
    """

    def __init__(self, folder: Path, name: str, columns: dict[str, str]) -> None:
        self.folder = folder / f"{name}.parquet"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._waiting: list[tuple[Any, ...]] = []
        self._parts = 0
        self._schema = {column: _KINDS[kind] for column, kind in columns.items()}

    def add(self, row: Sequence[Any]) -> None:
        self._waiting.append(tuple(row))
        self.rows += 1
        if len(self._waiting) >= PART_ROWS:
            self._write()

    def close(self) -> None:
        if self._waiting or not self._parts:
            self._write()

    def _write(self) -> None:
        frame = pl.DataFrame(self._waiting, schema=self._schema, orient="row")
        path = self.folder / f"part-{self._parts:05d}.parquet"
        partial = path.with_suffix(".partial")
        frame.write_parquet(partial, compression="zstd")
        partial.rename(path)
        self._parts += 1
        self._waiting = []


def rows_of(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Every row of a table, part after part; none where the table is not there."""
    for path in sorted((folder / f"{name}.parquet").glob("part-*.parquet")):
        yield from pl.read_parquet(path).iter_rows(named=True)
