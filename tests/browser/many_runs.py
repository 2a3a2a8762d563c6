"""A project of many runs, written straight into the tables: over HTTP ten thousand runs would take the tests a minute."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, select

from tilth.app.bootstrap import ensure_local_identity
from tilth.app.home import prepare_home
from tilth.app.schema import prepare_database
from tilth.app.settings import load_settings
from tilth.backends.sql import Row, Tx, open_database
from tilth.core.clock import now
from tilth.core.ids import new_id
from tilth.domains.tracking.tables import experiment, metric_last, metric_point, param, run, tag

OPTIMISERS = ("adam", "sgd", "lion")
MINUTE = 60_000
CURVED = 300
"""So many of the newest runs have curves of 30 points; the others have last values only."""


def fill(home: Path, runs: int, seed: int = 7) -> None:
    """A new home whose project `default` holds `runs` runs, the newest called `run-<runs>`."""
    prepare_home(home)
    settings = load_settings(home, environ={})
    prepare_database(settings)
    database = open_database(settings.database)
    local = ensure_local_identity(database, home, settings.project_name)
    project_id, draw, started = local.project.id, random.Random(seed), now() - runs * MINUTE
    first_one = select(experiment.c.id, experiment.c.serial).where(experiment.c.project_id == project_id)
    home_of_all = database.read_blocking(lambda tx: tx.one(first_one))
    assert home_of_all is not None
    for first in range(0, runs, 200):
        rows = [
            _run(draw, number, project_id, home_of_all, local.owner, started + number * MINUTE, number >= runs - CURVED)
            for number in range(first, min(first + 200, runs))
        ]

        def write(tx: Tx, rows: list[dict[str, list[dict[str, Any]]]] = rows) -> None:
            for table in (run, metric_last, metric_point, param, tag):
                tx.many(insert(table), [row for one in rows for row in one[table.name]])

        database.write_blocking(write)
    database.close()


def _run(
    draw: random.Random, number: int, project_id: str, experiment_row: Row, owner: Any, started: int, curved: bool
) -> dict[str, list[dict[str, Any]]]:
    run_id, rate, depth = new_id(), 10 ** draw.uniform(-4, -1), draw.choice([3, 5, 7, 9])
    auc = 0.7 + 0.2 * math.exp(-((math.log10(rate) + 2.4) ** 2)) + depth / 150 + draw.gauss(0, 0.01)
    own = {"run_id": run_id, "experiment_serial": experiment_row.serial}
    values = {"auc": auc, "val_loss": 1.4 - auc + draw.gauss(0, 0.02), "train_loss": 1.2 - auc, "p99_ms": draw.uniform(1, 9)}
    params = {"rate": f"{rate:.4g}", "depth": str(depth), "optimiser": draw.choice(OPTIMISERS), "epochs": "30"}
    points: list[dict[str, Any]] = []
    if curved:
        for key in ("val_loss", "train_loss"):
            points += _curve(draw, run_id, key, values[key], started)
    return {
        "run": [
            {
                "id": run_id,
                "project_id": project_id,
                "experiment_id": experiment_row.id,
                "name": f"run-{number + 1}",
                "status": "failed" if number % 29 == 13 else "finished",
                "started": started,
                "ended": started + draw.randrange(5_000, 55_000),
                "user_id": owner.id,
                "user_name": owner.name,
                "source": "train.py",
                "notes": "",
                "error": "",
                "created": started,
            }
        ],
        "metric_last": [_last(own, key, value, started, 30 if curved and "loss" in key else 1) for key, value in values.items()],
        "metric_point": points
        or [{"run_id": run_id, "key": key, "step": 0, "ts": started, "seq": 0, "value": value} for key, value in values.items()],
        "param": [
            {**own, "key": k, "value": v, "prefix": v, "number": None if k == "optimiser" else float(v)}
            for k, v in params.items()
        ],
        "tag": [{**own, "key": "team", "value": "ops" if number % 2 else "lab", "prefix": "ops" if number % 2 else "lab"}],
    }


def _curve(draw: random.Random, run_id: str, key: str, last: float, started: int) -> Iterator[dict[str, Any]]:
    for step in range(30):
        value = last if step == 29 else last + 0.5 * math.exp(-step / 6) + draw.gauss(0, 0.01)
        yield {
            "run_id": run_id,
            "key": key,
            "step": step,
            "ts": started + step * 1000,
            "seq": step,
            "value": value,
        }


def _last(own: dict[str, Any], key: str, value: float, started: int, points: int) -> dict[str, Any]:
    return {
        **own,
        "key": key,
        "started": started,
        "value": value,
        "step": points - 1,
        "ts": started,
        "min": None if points == 1 else value - 0.01,
        "max": None if points == 1 else value + 0.5,
        "count": points,
    }


FILES = {
    "code/diff.patch": "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-depth = 3\n+depth = 7\n",
    "code/train.py": "import tilth\n",
    "logs/output.log": "".join(f"epoch {number}\n" for number in range(300)),
    "tables/confusion.csv": "actual,count\nlate,12\nin time,7\n",
    "report.html": "<h1>Report</h1><script>document.body.append('drawn by script');parent.document.title='taken'</script>",
    "notes.md": "# Notes\n\n<script>alert(1)</script> *fine*\n",
    "plot.svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><path d="M0 0L20 10"/></svg>',
}
STEPS = 3000


def whole_run(client: httpx.Client) -> str:
    """A run of experiment `whole` with files of every kind, long curves and two children, over HTTP. Returns its id."""
    api = "/api/v1/p/default/runs"
    ids: list[str] = []
    for name, parent in (("whole", None), ("child-a", 0), ("child-b", 0)):
        body = {
            "name": name,
            "experiment": "whole",
            "parent_run_id": None if parent is None else ids[parent],
            "params": {"depth": "7"},
        }
        made = client.post(api, json=body)
        assert made.status_code == 201, made.text
        ids.append(str(made.json()["id"]))
        for first in range(0, STEPS, 500):
            points = [
                {
                    "key": key,
                    "value": 1 / (step + 1) + (0.5 if step == 2222 else 0),
                    "step": step,
                    "ts": 1_763_700_000_000 + step * 500,
                }
                for step in range(first, first + 500)
                for key in ("optim/lr", "train/loss")
            ]
            assert client.post(f"{api}/{ids[-1]}/log", json={"metrics": points}).status_code == 204
        client.patch(f"{api}/{ids[-1]}", json={"status": "finished"})
    for path, text in FILES.items():
        assert client.put(f"{api}/{ids[0]}/artifacts/{path}", content=text.encode()).status_code == 200
    return ids[0]
