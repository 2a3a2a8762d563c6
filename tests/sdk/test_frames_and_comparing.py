"""Runs as data frames, curves, and what is different between runs."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import tilth
from tilth.sdk.differences import NothingToCompare, compared, package_versions
from tilth.sdk.frames import columns_of
from tilth.sdk.listing import MAX_PAGE


@pytest.fixture
def three(live: Any) -> Iterator[list[tilth.Run]]:
    made = []
    for depth in (3, 5, 7):
        with tilth.run(f"depth {depth}", experiment="frames", tags={"team": "x"}, params={"depth": depth}) as run:
            for step in range(4):
                run.log(auc=round(depth / 10 + step / 100, 2), step=step)
            if depth > 3:
                run.log(late=float("nan"))
            run.use_dataset("rows", list(range(depth)), context="training")
        made.append(run)
    yield made
    for run in made:
        live_delete(live, run.id)


def live_delete(live: Any, run_id: str) -> None:
    httpx.delete(f"{live.url}/api/v1/p/default/runs/{run_id}", headers={"authorization": f"Bearer {live.token}"})


def test_runs_become_frames_with_a_row_each(three: list[tilth.Run]) -> None:
    found = tilth.runs(
        "auc>0.5", experiment="frames", order_by="auc asc", columns=["metrics.auc", "metrics.late", "params.depth"]
    )
    frame = found.polars()
    assert frame["name"].to_list() == ["depth 5", "depth 7"]
    assert frame["metrics.auc"].to_list() == [0.53, 0.73]
    assert [math.isnan(value) for value in frame["metrics.late"]] == [True, True]
    assert frame["params.depth"].to_list() == ["5", "7"]
    assert not [name for name in frame.columns if name.startswith("tags.")]
    table = tilth.runs(experiment="frames", order_by="auc asc").pandas()
    assert table["metrics.auc"].tolist() == [0.33, 0.53, 0.73]
    assert table["metrics.late"].isna().tolist() == [True, True, True]


def test_pages_are_followed(live: Any) -> None:
    api, there = f"{live.url}/api/v1/p/default", MAX_PAGE + 2
    with httpx.Client(headers={"authorization": f"Bearer {live.token}"}) as client:
        experiment = client.post(f"{api}/experiments", json={"name": "many"}).json()["id"]
        for _ in range(there):
            client.post(f"{api}/runs", json={"experiment_id": experiment}).raise_for_status()
        assert len(tilth.runs(experiment="many", limit=2 * MAX_PAGE)) == there
        assert len(tilth.runs(experiment="many", limit=there - 1)) == there - 1
        client.delete(f"{api}/experiments/{experiment}").raise_for_status()


def test_a_curve_is_a_frame_too(three: list[tilth.Run]) -> None:
    curve = three[0].history("auc")
    assert curve.polars()["value"].to_list() == [0.3, 0.31, 0.32, 0.33]
    assert curve.pandas()["step"].tolist() == [0, 1, 2, 3]
    assert tilth.history(three[1].id, "auc").total == 4
    with tilth.run() as still_open:
        still_open.log(loss=1.0)
        assert still_open.history("loss").points[0][2] == 1.0


def test_a_missing_library_is_named_with_its_install_command() -> None:
    code = """
import sys
sys.modules["pandas"] = None
from tilth.sdk.listing import RunList
from tilth.core.errors import Invalid
try:
    RunList().pandas()
except Invalid as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install pandas" in done.stdout


def test_only_what_differs_is_shown(three: list[tilth.Run]) -> None:
    comparison = three[0].compare(three[1], three[2].id)
    different = comparison.differences()
    assert different["params"] == {"depth": ["3", "5", "7"]}
    assert different["metrics"]["late"] == [None, "NaN", "NaN"]
    assert len(set(different["data"]["rows (training)"])) == 3
    assert not {"tags", "environment", "packages"} & different.keys()
    shown = str(comparison)
    assert "depth 3" in shown.splitlines()[0]
    assert "team" not in shown
    assert comparison.sections["packages"]["httpx"][0] == comparison.sections["packages"]["httpx"][1]
    assert "<td>depth</td>" in comparison._repr_html_()
    assert comparison.to_dict()["runs"] == [run.id for run in three]
    everything = {row["key"] for row in comparison.rows(everything=True)}
    assert {"team", "depth", "python"} <= everything


def test_one_run_is_not_compared(three: list[tilth.Run]) -> None:
    with pytest.raises(NothingToCompare, match="2 to 50"):
        tilth.compare(three[0])
    same = tilth.compare(three[0], three[0].id)
    assert str(same).startswith("no differences")
    assert compared([], []).differences() == {}


def test_the_command_line_lists_and_compares(three: list[tilth.Run], live: Any) -> None:
    def run_tilth(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tilth.cli", "run", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=live.environment, timeout=60)

    done = run_tilth("compare", three[0].id, three[1].id)
    assert (done.returncode, "depth" in done.stdout) == (0, True), done.stderr
    table = run_tilth(
        "list", "--experiment", "frames", "--columns", "metrics.auc,params.depth", "--csv", "--order-by", "auc desc"
    ).stdout
    head, first, *_ = table.splitlines()
    assert head.endswith("metrics.auc,params.depth")
    assert first.endswith("0.73,7")
    watched = run_tilth("watch", three[0].id, "--metric", "auc")
    assert (watched.returncode, watched.stdout.splitlines()) == (0, ["step        3  auc=0.33", "depth 3 finished"])


def test_packages_are_read_as_they_were_written() -> None:
    text = "A==1.0\nb @ git+https://host/b.git@abc\n# c==2 was installed from a folder of that machine\n\n"
    assert package_versions(text) == {"a": "1.0", "b": "git+https://host/b.git@abc", "c": "2"}


def test_columns_keep_their_order_and_gaps() -> None:
    assert columns_of([{"b": 1}, {"a": 2, "b": 3}]) == {"b": [1, 3], "a": [None, 2]}
