"""Runs in Jupyter, whose cells are their code, and runs that several processes make together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nbclient
import nbformat
import pytest

from tilth.sdk import notebook, ranks

Read = Callable[..., Any]


def artifact(server: Any, run_id: str, name: str) -> bytes:
    headers = {"authorization": f"Bearer {server.token}"}
    answer = httpx.get(f"{server.url}/api/v1/p/default/runs/{run_id}/artifacts/{name}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_the_cells_of_a_notebook_are_the_code_of_its_run(
    live: Any, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in live.environment.items():
        monkeypatch.setenv(name, value)
    cells = [
        "import tilth\nrun = tilth.run('from cells', experiment='notebook')",
        "for step in range(3):\n    tilth.log(loss=1 / (step + 1), step=step)\nprint('trained')",
        "tilth.finish()\nprint(run.id)",
        "second = tilth.run('second')",
        "third = tilth.run('third')\nthird.finish()\nprint(second.id)",
    ]
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(document, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts = ["".join(out.get("text", "") for out in cell.outputs if out.get("name") == "stdout") for cell in document.cells]
    found = read(texts[2].strip())
    assert (found.run.name, found.run.status, found.environment.argv) == ("from cells", "finished", [])
    assert found.environment.entry_point.startswith("notebook ")
    assert "code/notebook.ipynb" in found.environment.code
    kept = nbformat.reads(artifact(live, found.run.id, "code/notebook.ipynb").decode(), as_version=4)
    nbformat.validate(kept)
    assert [cell.source for cell in kept.cells] == cells[:3]
    assert b"trained" in artifact(live, found.run.id, "logs/output.log")
    shown = [out for out in document.cells[0].outputs if out.output_type == "display_data"]
    assert "ended" in shown[0]["data"]["text/html"]
    assert "loss" in shown[0]["data"]["text/html"]
    assert read(texts[4].strip()).run.status == "finished"


def test_a_snapshot_is_a_notebook_without_outputs() -> None:
    kept = json.loads(notebook.snapshot(["a = 1", "a"], "3.11.0"))
    assert [(cell["source"], cell["outputs"]) for cell in kept["cells"]] == [("a = 1", []), ("a", [])]


PROGRAM = """
import os, sys, tilth
with tilth.run("together", rank_metrics=bool(os.environ.get("ALL"))) as run:
    run.log(loss=float(os.environ["RANK"]))
    run.params(depth=3)
    print("hello from", os.environ["RANK"])
sys.stdout.write(run.id)
"""


@pytest.mark.parametrize("everybody", [False, True])
def test_ranks_write_one_run(live: Any, read: Read, tmp_path: Path, everybody: bool) -> None:
    children = []
    for rank in (1, 0, 2):
        environment = {**live.environment, "RANK": str(rank), "WORLD_SIZE": "3", "TILTH_RENDEZVOUS": str(tmp_path / "meet")}
        if everybody:
            environment["ALL"] = "1"
        command = [sys.executable, "-W", "error", "-c", PROGRAM]
        children.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    told = [child.communicate(timeout=90) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], told
    ids = {out.splitlines()[-1] for out, _ in told}
    assert len(ids) == 1
    found = read(ids.pop())
    logged = {metric.key: metric.value for metric in found.metrics if "system/" not in metric.key}
    assert logged == {"loss": 0.0, **({"rank1/loss": 1.0, "rank2/loss": 2.0} if everybody else {})}
    assert (found.run.status, found.params, found.environment.ranks) == ("finished", {"depth": "3"}, 3)
    assert "system/rank1/cpu_percent" in {metric.key for metric in found.metrics}
    assert b"hello from 2" in artifact(live, found.run.id, "logs/rank2.log")


def test_ranks_are_read_off_the_launcher() -> None:
    assert ranks.find_rank({}) == ranks.ALONE
    assert ranks.find_rank({"RANK": "0", "WORLD_SIZE": "1"}) == ranks.ALONE
    assert ranks.find_rank({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}) == ranks.Rank(3, 8)
    assert ranks.find_rank({}, 2).prefix == "rank2/"
    for environ, given in (({"RANK": "5", "WORLD_SIZE": "4"}, None), ({}, -1)):
        with pytest.raises(ranks.InvalidRank):
            ranks.find_rank(environ, given)


def test_a_rank_that_waits_in_vain_says_for_whom(tmp_path: Path) -> None:
    with pytest.raises(ranks.NoFirstRank, match="TILTH_RUN_ID"):
        ranks.wait_for(tmp_path / "nobody", 1, wait_s=0.1)


def test_each_launch_meets_at_a_place_of_its_own() -> None:
    one = {"MASTER_ADDR": "a", "MASTER_PORT": "1", "WORLD_SIZE": "2"}
    places = {ranks.meeting_place(one, 0, 1), ranks.meeting_place(one, 0, 2), ranks.meeting_place(one, 1, 1)}
    assert len(places) == 3
    job = {**one, "SLURM_JOB_ID": "7"}
    assert ranks.meeting_place(job, 0, 1) == ranks.meeting_place(job, 0, 2)
