"""Reads kept predictions for pages and the API: the table of files says where to look, the files hold the rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import msgspec

from tilth.backends.sql import Database
from tilth.core.ids import Digest
from tilth.core.ports import Blobs
from tilth.domains.serving.jobs.prediction_rows import Wanted, answers_of, rows_of
from tilth.domains.serving.queries import predictions as queries
from tilth.domains.serving.queries.labels import labels_of
from tilth.domains.serving.rules.agreement import Pair, agreement
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import BadPredictionQuestion, PredictionFile
from tilth.wire.prediction_tables import OUTPUT, PredictionDetail, PredictionPage, PredictionRow
from tilth.wire.shadows import ShadowReport

if TYPE_CHECKING:
    import polars as pl

MAX_ROWS = 1000
FILES_AT_ONCE = 50
MOST_FILES = 1000
MOST_COMPARED = 100_000
"""Rows of each side in one comparison."""
_TOKEN = re.compile(r"(\d{1,16})-([0-9a-f]{32})-(\d{1,9})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Question:
    """Which predictions of a deployment: those answered in [since, until) ms, by these versions (None: any)."""

    since: int = 0
    until: int = 1 << 53
    versions: Collection[int] | None = None
    shadow: bool = False

    def wants(self, file: PredictionFile) -> bool:
        return self.versions is None or any(int(key.rpartition("/")[2]) in self.versions for key in file.versions)


class PredictionReader:
    """Holds the rows that are asked for in memory, and no file: files stand on the disk while they are read."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def page(
        self,
        found: Deployment,
        since: int,
        until: int,
        *,
        versions: Collection[int] | None = None,
        shadow: bool = False,
        limit: int = 100,
        token: str = "",
    ) -> PredictionPage:
        """At most 1,000 rows of [since, until) in ms. Raises BadPredictionQuestion for a token that is none, PredictionsUnreadable."""
        question = Question(since, until, versions, shadow)
        limit = max(1, min(limit, MAX_ROWS))
        at, skip = _place(token)
        rows: list[PredictionRow] = []
        while files := await self._files(found, question, at):
            for file in files:
                if question.wants(file):
                    wanted = Wanted(question.since, question.until, question.versions, "", skip, limit - len(rows) + 1)
                    more = await self._rows(file, wanted)
                    if len(rows) + len(more) > limit:
                        taken = limit - len(rows)
                        # The file itself is asked for again, beyond the rows that were taken.
                        rest = f"{file.last}-{_next_id(file.id)}-{skip + taken}"
                        return PredictionPage(await self._labelled(found, rows + more[:taken]), rest)
                    rows += more
                at, skip = (file.last, file.id), 0
            if len(rows) == limit:
                return PredictionPage(await self._labelled(found, rows), f"{at[0]}-{at[1]}-0" if at else "")
        return PredictionPage(await self._labelled(found, rows), "")

    async def one(self, found: Deployment, prediction_id: str) -> PredictionDetail | None:
        """Every row of one prediction, and what shadows said to it. prediction_id: also that of one of its rows (`<id>.<n>`)."""
        id_ = prediction_id.partition(".")[0]
        if not _ID.fullmatch(id_):
            return None
        files = await self._database.read(lambda tx: queries.files_with(tx, found.project_id, found.id, id_))
        rows: list[PredictionRow] = []
        for file in files:
            rows += await self._rows(file, Wanted(prediction_id=id_))
        rows = await self._labelled(found, rows)
        given = sorted((row for row in rows if not row.shadow), key=lambda row: row.row)
        if not given:
            return None
        shadows = sorted((row for row in rows if row.shadow), key=lambda row: (row.version, row.row))
        return PredictionDetail(id_, found.name, given, shadows)

    async def compare(self, found: Deployment, version: int, since: int, until: int) -> ShadowReport:
        """What the version said in the shadow beside what was answered, over the newest MOST_COMPARED rows of [since, until)."""
        shadows = await self._answers(found, Question(since, until, [version], shadow=True))
        given = await self._answers(found, Question(since, until))
        return await asyncio.to_thread(_report, found.name, version, shadows, given, since, until)

    async def _answers(self, found: Deployment, question: Question) -> list[pl.DataFrame]:
        """The newest rows, at most MOST_COMPARED, of at most 1,000 files."""
        frames: list[pl.DataFrame] = []
        at: tuple[int, str] | None = None
        seen = rows = 0
        while seen < MOST_FILES and rows < MOST_COMPARED and (files := await self._files(found, question, at)):
            for file in files:
                at = (file.last, file.id)
                if rows < MOST_COMPARED and question.wants(file):
                    wanted = Wanted(question.since, question.until, question.versions, limit=MOST_COMPARED - rows)
                    async with self._on_disk(file) as path:
                        frame = await asyncio.to_thread(answers_of, file.id, path, wanted)
                    frames.append(frame)
                    rows += len(frame)
            seen += len(files)
        return frames

    async def _files(self, found: Deployment, question: Question, at: tuple[int, str] | None) -> list[PredictionFile]:
        return await self._database.read(
            lambda tx: queries.files_between(
                tx,
                found.project_id,
                found.id,
                since=question.since,  # type: ignore[arg-type]
                until=question.until,  # type: ignore[arg-type]
                shadow=question.shadow,
                before=at,
                limit=FILES_AT_ONCE,
            )
        )

    async def _labelled(self, found: Deployment, rows: list[PredictionRow]) -> list[PredictionRow]:
        ids = [row.prediction_id for row in rows]
        known = await self._database.read(lambda tx: labels_of(tx, found.project_id, found.id, ids))
        return [msgspec.structs.replace(row, label=known.get((row.prediction_id, row.row))) for row in rows] if known else rows

    async def _rows(self, file: PredictionFile, wanted: Wanted) -> list[PredictionRow]:
        async with self._on_disk(file) as path:
            return await asyncio.to_thread(rows_of, file.id, path, wanted)

    @asynccontextmanager
    async def _on_disk(self, file: PredictionFile) -> AsyncIterator[Path]:
        """A copy, wherever the blobs lie, verified on its way; gone afterwards."""
        with NamedTemporaryFile(prefix="tilth-predictions-", suffix=".parquet") as copy:
            async for piece in self._blobs.open(Digest(file.digest)):
                await asyncio.to_thread(copy.write, piece)
            await asyncio.to_thread(copy.flush)
            yield Path(copy.name)


def _report(
    name: str, version: int, shadows: list[pl.DataFrame], given: list[pl.DataFrame], since: int, until: int
) -> ShadowReport:
    """Blocks for some seconds at most."""
    import polars as pl

    keys = ["prediction_id", "row"]
    if not shadows or not given:
        answered = sum(map(len, given))
        against = sorted({version for frame in given for version in frame["version"].unique().to_list()})
        return ShadowReport(name, version, against, since, until, agreement([], answered, MOST_COMPARED))
    ours = pl.concat(shadows, how="diagonal_relaxed").unique(subset=keys, keep="first")
    theirs = pl.concat(given, how="diagonal_relaxed").unique(subset=keys, keep="first")
    # A shadow is judged from its first answer on: what was answered before it stood there is not uncovered.
    theirs = theirs.filter(pl.col("at") >= ours["at"].min())
    both = theirs.join(ours, on=keys, how="inner", suffix="__ours").sort("at", *keys)
    pairs = [_pair(row) for row in both.iter_rows(named=True)]
    against = sorted(theirs["version"].unique().to_list())
    return ShadowReport(name, version, against, since, until, agreement(pairs, len(theirs), MOST_COMPARED))


def _pair(row: Mapping[str, Any]) -> Pair:
    names = [name for name in row if name.startswith(OUTPUT) and not name.endswith("__ours")]
    theirs = {name: row[name] for name in names if row[name] is not None}
    ours = {name: row.get(f"{name}__ours") for name in theirs}
    return Pair(f"{row['prediction_id']}.{row['row']}", ours, theirs, row["latency_us__ours"], row["latency_us"])


def _place(token: str) -> tuple[tuple[int, str] | None, int]:
    """Behind which file a page begins, and how many rows of the file after it are left out."""
    if not token:
        return None, 0
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise BadPredictionQuestion("page_token is none that this list gave; leave it out to begin anew")
    return (int(match[1]), match[2]), int(match[3])


def _next_id(id_: str) -> str:
    """The id that follows in order: files come in descending order, so that `before` it the file itself is the first."""
    return f"{min(int(id_, 16) + 1, (1 << 128) - 1):032x}"
