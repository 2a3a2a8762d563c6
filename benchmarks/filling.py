"""Projects of ten thousand to a million runs, written straight into the tables: 20 metrics, 10 params and 2 tags a run.

Metrics m0..m19 are uniform in [0, 1). Params: p0..p7 have 10, 100 or 1,000 values each, p8 is a number, p9 is `rare` in one run of
10,000 and `common` otherwise. Tags: `team` has 5 values, `data` 1,000 (`set-0` to `set-999`). Runs start a second apart.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

METRICS = 20
PARAMS = 10
FIRST_START = 1_700_000_000_000
RARE = 10_000
NAMED = ("project", "experiment", "serial")
"""What a statement names: the project's id, the experiment's id, and its serial."""

_RANDOM = {"sqlite": "((random() & 9007199254740991) / 9007199254740992.0)", "postgresql": "random()"}
_PARAM = """CASE WHEN k.n = 9 THEN CASE WHEN r.n % {rare} = 7 THEN 'rare' ELSE 'common' END
 WHEN k.n = 8 THEN cast(r.n % 64 AS TEXT)
 ELSE 'v' || cast((r.n * 7919 + k.n * 104729) % (CASE k.n % 3 WHEN 0 THEN 10 WHEN 1 THEN 100 ELSE 1000 END) AS TEXT) END"""
_TAG = "CASE WHEN k.n = 0 THEN 'team-' || cast(r.n % 5 AS TEXT) ELSE 'set-' || cast((r.n * 613) % 1000 AS TEXT) END"


def run_ids(runs: int, seed: int = 1) -> Iterator[tuple[int, bytes, int]]:
    """Number, id, start of each run: ids in the order of starts, as time-sorted ids are."""
    noise = random.Random(seed)
    for number in range(runs):
        started = FIRST_START + number * 1000
        yield number, bytes.fromhex(f"{started:012x}7{noise.getrandbits(76):019x}"), started


_FOUND = """SELECT p.id, e.id, e.serial FROM project p JOIN experiment e ON e.project_id = p.id
 WHERE p.name = {name} AND e.number = 0"""


def fill_tilth_sqlite(path: Path, project: str, runs: int) -> None:
    """path: a database with the schema; project: its name; its experiment `Default` gets the runs.

    Indexes are made anew afterwards, which is far faster.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        made = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('run', 'metric_last', 'metric_point', 'param', 'tag')"
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in made:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("CREATE TEMP TABLE new_run (n INTEGER PRIMARY KEY, id BLOB, started INTEGER)")
        connection.executemany("INSERT INTO new_run VALUES (?, ?, ?)", run_ids(runs))
        place = dict(zip(NAMED, connection.execute(_FOUND.format(name="?"), (project,)).fetchone(), strict=True))
        for statement in tilth_statements("sqlite"):
            connection.execute(statement, place)
        for _, sql in made:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill_tilth_postgres(url: str, project: str, runs: int) -> None:
    """project: its name; its experiment `Default` gets the runs."""
    import psycopg

    with psycopg.connect(url) as connection:
        named = connection.execute(_FOUND.format(name="%s"), (project,)).fetchone()
        assert named is not None
        place = dict(zip(NAMED, named, strict=True))
        made = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix%'"
            " AND tablename IN ('run', 'metric_last', 'metric_point', 'param', 'tag')"
        ).fetchall()
        for name, _ in made:
            connection.execute(f'DROP INDEX "{name}"')
        connection.execute("CREATE TEMP TABLE new_run (n BIGINT PRIMARY KEY, id BYTEA, started BIGINT)")
        with connection.cursor().copy("COPY new_run FROM STDIN") as copy:
            for row in run_ids(runs):
                copy.write_row(row)
        for statement in tilth_statements("postgresql"):
            text = statement.replace("%", "%%")
            for name in NAMED:
                text = text.replace(f":{name}", f"%({name})s")
            connection.execute(text, place)
        for _, sql in made:
            connection.execute(sql)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def tilth_statements(dialect: str) -> list[str]:
    chance = _RANDOM[dialect]
    param = _PARAM.format(rare=RARE)
    return [
        "INSERT INTO run (id, project_id, experiment_id, name, status, started, ended, user_id, user_name, source, notes, error, created)"
        " SELECT id, :project, :experiment, 'run-' || cast(n AS TEXT), 'finished', started, started + 60000, 'u', 'anna', 'bench.py',"
        " '', '', started FROM new_run ORDER BY n",
        "INSERT INTO metric_last (run_id, key, experiment_serial, started, value, step, ts, count)"
        f" SELECT id, key, :serial, started, v, 0, started, 1 FROM (SELECT r.id, k.key, r.started, {chance} AS v"
        f" FROM new_run r CROSS JOIN ({_keys('m', METRICS)}) k) AS made ORDER BY id, key",
        "INSERT INTO metric_point (run_id, key, step, ts, seq, value)"
        " SELECT run_id, key, 0, ts, ts * 1048576, value FROM metric_last ORDER BY run_id, key",
        "INSERT INTO param (run_id, key, experiment_serial, value, prefix, number)"
        " SELECT id, key, :serial, v, v, CASE WHEN n = 8 THEN cast(v AS DOUBLE PRECISION) END FROM"
        f" (SELECT r.id, k.key, k.n, {param} AS v FROM new_run r CROSS JOIN ({_keys('p', PARAMS)}) k) AS made ORDER BY id, key",
        "INSERT INTO tag (run_id, key, experiment_serial, value, prefix) SELECT id, key, :serial, v, v FROM"
        f" (SELECT r.id, k.key, {_TAG} AS v FROM new_run r"
        " CROSS JOIN (SELECT 0 AS n, 'team' AS key UNION ALL SELECT 1, 'data') k) AS made ORDER BY id, key",
    ]


def fill_mlflow_sqlite(path: Path, runs: int) -> None:
    """path: the database of a stock MLflow server that was started once; its experiment 0 gets the same runs."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.execute("CREATE TEMP TABLE new_run (n INTEGER PRIMARY KEY, id TEXT, started INTEGER)")
        connection.executemany(
            "INSERT INTO new_run VALUES (?, ?, ?)", ((n, id_.hex(), started) for n, id_, started in run_ids(runs))
        )
        for statement in mlflow_statements():
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def mlflow_statements() -> list[str]:
    param = _PARAM.format(rare=RARE)
    chance = _RANDOM["sqlite"]
    return [
        "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, source_version, lifecycle_stage,"
        " experiment_id, artifact_uri) SELECT id, 'run-' || n, 'UNKNOWN', 'anna', 'FINISHED', started, started + 60000, '', 'active', 0,"
        " 'mlflow-artifacts:/0/' || id || '/artifacts' FROM new_run ORDER BY n",
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
        f" SELECT k.key, {chance}, r.started, 0, 0, r.id FROM new_run r CROSS JOIN ({_keys('m', METRICS)}) k",
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
        " SELECT key, value, timestamp, run_uuid, step, is_nan FROM latest_metrics",
        f"INSERT INTO params (key, value, run_uuid) SELECT k.key, {param}, r.id FROM new_run r CROSS JOIN ({_keys('p', PARAMS)}) k",
        f"INSERT INTO tags (key, value, run_uuid) SELECT k.key, {_TAG}, r.id FROM new_run r"
        " CROSS JOIN (SELECT 0 AS n, 'team' AS key UNION ALL SELECT 1, 'data') k",
        "INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.runName', 'run-' || n, id FROM new_run",
    ]


def _keys(letter: str, count: int) -> str:
    """A table of (n, key)."""
    return " UNION ALL ".join(f"SELECT {n} AS n, '{letter}{n}' AS key" for n in range(count))


def bytes_of_sqlite(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: Any = connection.execute(
            "SELECT (SELECT * FROM pragma_page_count()) * (SELECT * FROM pragma_page_size())"
        ).fetchone()
    return int(found[0])
