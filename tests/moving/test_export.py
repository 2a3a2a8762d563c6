"""A project as open files, and back into another one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import polars as pl
import pytest


@pytest.fixture
def exported(stores, tilth, tmp_path) -> Path:
    """What came from MLflow, exported."""
    assert tilth("import", "mlflow", str(stores["files"])).exit_code == 0
    out = tmp_path / "out"
    result = tilth("export", str(out), "--json")
    assert result.exit_code == 0, result.output
    return out


def test_an_export_is_tables_that_anybody_reads_and_a_manifest(exported):
    runs = pl.read_parquet(exported / "runs.parquet")
    assert sorted(runs["name"]) == ["child", "first"]
    metrics = pl.read_parquet(exported / "metrics.parquet")
    assert metrics.height == 6003
    assert math.isnan(metrics.filter(pl.col("key") == "odd")["value"][0])
    run_id = runs.filter(pl.col("name") == "first")["id"][0]
    assert (exported / "artifacts" / run_id / "notes" / "a.txt").read_bytes() == b"hello"
    assert "flavors" in (exported / "models" / "churn" / "1" / "MLmodel").read_text()
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["counts"]["runs"] == 2
    assert manifest["files"][f"artifacts/{run_id}/b.txt"]["bytes"] == 5


def test_an_export_comes_back_whole_into_another_project(exported, tilth, installation):
    installation.client.post("/api/v1/projects", json={"name": "other"})
    back = tilth("import", "tilth", str(exported), "--json", project="other")
    told = json.loads(back.stdout)
    assert back.exit_code == 0, told
    assert told["here"]["metric points"] == 6003
    second = exported.parent / "second"
    assert tilth("export", str(second), project="other").exit_code == 0
    columns = ("key", "step", "ts", "value")
    one, two = (pl.read_parquet(folder / "metrics.parquet").select(columns).sort(columns) for folder in (exported, second))
    assert one.equals(two)


def test_a_stopped_export_goes_on_and_a_finished_one_is_left_alone(exported, tilth):
    (exported / "manifest.json").unlink()
    (exported / "unfinished.json").write_text('{"project": "default"}')
    damaged = next((exported / "artifacts").rglob("a.txt"))
    damaged.write_bytes(b"torn")
    assert tilth("export", str(exported)).exit_code == 0
    assert damaged.read_bytes() == b"hello"
    again = tilth("export", str(exported))
    assert again.exit_code == 1
    assert "finished export already" in str(again.exception)


def test_a_folder_with_other_things_is_not_written_to(tilth, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    result = tilth("export", str(tmp_path))
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.txt"]


def test_a_folder_named_like_a_command_is_written_with_its_place_or_after_the_word_project(tilth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["./kubernetes"], ["project", "sagemaker"], ["--json", "elsewhere"]):
        assert tilth("export", *words).exit_code == 0
        assert (tmp_path / words[-1] / "manifest.json").is_file()
    assert isinstance(tilth("export", "kubernetes").exception, click.MissingParameter)


def test_a_damaged_file_does_not_come_back_in_silence(exported, tilth, installation):
    installation.client.post("/api/v1/projects", json={"name": "other"})
    next((exported / "artifacts").rglob("a.txt")).write_bytes(b"hullo")
    back = tilth("import", "tilth", str(exported), "--json", project="other")
    assert back.exit_code == 1
    assert "damaged" in json.loads(back.stdout)["missing"][0]


def test_an_unfinished_export_is_not_imported(tmp_path, tilth):
    result = tilth("import", "tilth", str(tmp_path))
    assert "no finished export" in str(result.exception)
