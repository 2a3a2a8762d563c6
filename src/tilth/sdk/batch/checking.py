"""What can be known before the first row is scored: all of it is said at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import polars as pl

from tilth.sdk.batch.errors import UnfitRows
from tilth.sdk.batch.inputs import fit, input_names, type_problem
from tilth.sdk.batch.outputs import output_problems
from tilth.sdk.batch.planning import Source, chunks, columns_of
from tilth.sdk.batch.tables import read_piece
from tilth.wire.models import ModelDocument
from tilth.wire.scoring import FileFormat, OnBadRow

FIRST_ROWS = 1000
MAX_PROBLEMS = 50


def checked_columns(
    source: Source, document: ModelDocument, wanted: Sequence[str] | None, kind: FileFormat, on_bad_row: OnBadRow
) -> tuple[str, ...]:
    """The input columns that the output carries: the wanted ones, None for all of the first file.

    Looks at the columns of every file, and at the first thousand rows where bad ones would end the job. Raises UnfitRows.
    """
    first = columns_of(source, source.files[0])
    keep = tuple(dict.fromkeys(wanted if wanted is not None else first))
    problems = _column_problems(source, document, first, keep)
    problems += output_problems(document, keep, kind)
    if kind == "csv":
        nested = [name for name in keep if isinstance(first.get(name), pl.DataType) and first[name].is_nested()]  # type: ignore[attr-defined]
        problems += [f"column {name!r} is nested, which CSV cannot hold; leave it out by --columns" for name in nested]
    if not problems and on_bad_row == "fail":
        problems = _row_problems(source, document, keep)
    if problems:
        more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
        raise UnfitRows(source.shown, [*problems[:MAX_PROBLEMS], *more])
    return keep


def _column_problems(source: Source, document: ModelDocument, first: dict[str, object], keep: Sequence[str]) -> list[str]:
    inputs = input_names(document.signature)
    problems = [f"there is no column {name!r}, which the model takes{_near(name, first)}" for name in inputs if name not in first]
    problems += [f"there is no column {name!r} to keep{_near(name, first)}" for name in keep if name not in first]
    if document.signature.tensors and source.format == "csv":
        problems.append("the model takes arrays, which CSV cannot hold; give .parquet or .jsonl")
    if source.format == "parquet":
        columns = {column.name: column for column in document.signature.inputs}
        found = [type_problem(columns[name], dtype) for name, dtype in first.items() if name in columns]
        problems += [problem for problem in found if problem is not None]
    needed = [*inputs, *keep]
    for file in source.files[1:] if not problems else ():
        columns_there = columns_of(source, file)
        missing = [name for name in dict.fromkeys(needed) if name not in columns_there] if source.format != "jsonl" else []
        problems += [f"{file.name} has no column {name!r}, which {source.files[0].name} has" for name in missing]
        if source.format == "parquet":
            problems += [
                f"{file.name}: column {name!r} holds {columns_there[name]}, in {source.files[0].name} {first[name]}"
                for name in dict.fromkeys(needed)
                if name in columns_there and columns_there[name] != first[name]
            ]
    return problems


def _row_problems(source: Source, document: ModelDocument, keep: Sequence[str]) -> list[str]:
    """Of the first rows, one for each reason."""
    chunk = next(chunks(source, FIRST_ROWS, ""))
    wanted = list(dict.fromkeys((*input_names(document.signature), *keep)))
    piece = read_piece(source.place, source.format, chunk, wanted)
    found = fit(piece.frame, document.signature, piece.textual)
    at = "row" if source.format == "parquet" else "line"
    seen: dict[str, tuple[int, int]] = dict.fromkeys(piece.broken.values(), (0, 0))
    bad = {**piece.broken, **{int(piece.places[row]): reason for row, reason in found.bad.items()}}
    for place in sorted(bad):
        place_of_first, count = seen.get(bad[place], (place, 0))
        seen[bad[place]] = (place_of_first or place, count + 1)
    return [
        f"{at} {place}: {reason}" + (f" ({count - 1} more of the first {FIRST_ROWS:,})" if count > 1 else "")
        for reason, (place, count) in seen.items()
    ]


def _near(name: str, columns: dict[str, object]) -> str:
    found = difflib.get_close_matches(name, list(columns), 1, 0.6)
    return f"; is {found[0]!r} meant?" if found else ""
