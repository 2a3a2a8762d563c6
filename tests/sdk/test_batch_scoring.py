"""Files of rows through a model version: what comes out, what is refused, what survives a kill."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import tilth
from tilth.core.errors import Invalid, NotFound
from tilth.sdk.batch.errors import BadRows, NothingToScore, OutputTaken, UnfitRows
from tilth.sdk.batch.places import LocalPlace
from tilth.sdk.batch.planning import chunks, source_of
from tilth.wire.scoring import SCORED_VERSION_TAG, SCORING_TAG, ScoringManifest, ScoringRecord

MODEL = "batch-late"


def flights(count: int, seed: int = 1) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    origin = draw.choice(["EWR", "JFK", "LGA"], count)
    return pd.DataFrame({"hour": draw.uniform(0, 24, count), "seats": draw.integers(50, 300, count), "origin": origin})


@pytest.fixture(scope="module")
def trained() -> Any:
    rows = flights(600).astype({"origin": "category"})
    late = (rows["hour"] + np.random.default_rng(2).normal(0, 4, 600) > 16).astype(int)
    return HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype").fit(rows, late), rows


@pytest.fixture
def model(live: Any, trained: Any) -> Any:
    """Registered once on the shared server; returns what predicts in this process."""
    tilth.init(url=live.url, token=live.token)
    fitted, rows = trained
    try:
        tilth.load_model(f"{MODEL}/1")
    except NotFound:
        tilth.log_model(fitted, name=MODEL, example=rows.head())

    def predict(rows: pd.DataFrame) -> Any:
        typed = rows[["hour", "seats", "origin"]].astype({"origin": pd.CategoricalDtype(["EWR", "JFK", "LGA"])})
        return fitted.predict_proba(typed)[:, 1]

    return predict


def manifest_of(path: Path) -> ScoringManifest:
    return msgspec.json.decode(path.read_bytes(), type=ScoringManifest)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_format_gives_the_predictions_of_the_model_beside_the_rows(model, tmp_path, ending, read):
    rows = flights(250)
    rows.insert(0, "flight", np.arange(len(rows)))
    frame, source = pl.from_pandas(rows), tmp_path / f"in.{ending}"
    {"parquet": frame.write_parquet, "csv": frame.write_csv, "jsonl": frame.write_ndjson}[ending](source)
    done = tilth.score(
        f"{MODEL}/1", source, tmp_path / "out.parquet", processes=2, batch_rows=60, columns=["flight", "seats", "flight"]
    )
    out = pl.read_parquet(tmp_path / "out.parquet")
    assert out.columns == ["flight", "seats", "probability", "model_version"]
    assert (done.rows, done.refused, done.version, done.engine) == (250, 0, f"{MODEL}/1", "treelite")
    assert out["flight"].cast(pl.Int64).to_list() == list(range(250))
    assert out["seats"].dtype == pl.Int64
    np.testing.assert_allclose(out["probability"].to_numpy(), model(rows), atol=1e-12)
    manifest = manifest_of(tmp_path / "out.parquet.manifest.json")
    assert (manifest.state, len(manifest.parts), manifest.digest) == ("complete", 5, done.digest)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in.{ending}", "out.parquet", "out.parquet.manifest.json"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_folder_of_files_becomes_a_folder_of_parts(model, tmp_path, kind):
    (tmp_path / "in").mkdir()
    for number in range(2):
        pl.from_pandas(flights(30, seed=number)).write_parquet(tmp_path / "in" / f"{number}.parquet")
    (tmp_path / "in" / "_SUCCESS").touch()
    done = tilth.score(f"{MODEL}/1", tmp_path / "in", tmp_path / "out", output_format=kind, processes=1, batch_rows=20)
    parts = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert parts == ["_manifest.json", *(f"part-{number:06d}.{kind}" for number in range(4))]
    reader = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[kind]
    found = pl.concat([reader(tmp_path / "out" / name) for name in parts[1:]])
    expected = np.concatenate([model(flights(30, seed=number)) for number in range(2)])
    np.testing.assert_allclose(found["probability"].to_numpy(), expected, atol=1e-12)
    assert done.rows == 60


def test_all_that_does_not_fit_is_said_at_once_before_the_first_row(model, tmp_path):
    frame = pl.from_pandas(flights(10)).rename({"hour": "hours"}).with_columns(pl.col("seats").cast(pl.String))
    frame.write_parquet(tmp_path / "in.parquet")
    with pytest.raises(UnfitRows) as refused:
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", columns=["gate"])
    said = str(refused.value)
    assert "3 problems" in said
    assert "no column 'hour', which the model takes; is 'hours' meant?" in said
    assert "column 'seats' holds String, the model takes a whole number" in said
    assert "no column 'gate' to keep" in said
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_values_of_the_first_rows_are_looked_at_before_anything_is_scored(model, tmp_path):
    rows = flights(20)
    rows.loc[4, "origin"] = "ORD"
    rows["seats"] = rows["seats"].astype("float64")
    rows.loc[7, "seats"] = None
    rows.loc[8, "seats"] = 12.5
    pl.from_pandas(rows).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(UnfitRows) as refused:
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert "row 5: column 'origin': 'ORD' was not seen in training; known are 'EWR', 'JFK', 'LGA'" in str(refused.value)
    assert "row 8: column 'seats': expected a whole number, got nothing" in str(refused.value)
    assert "row 9: column 'seats': expected a whole number, got '12.5'" in str(refused.value)


def test_bad_rows_are_skipped_or_left_without_prediction_and_listed_with_their_reasons(model, tmp_path):
    text = "hour,seats,origin\n1.5,100,EWR\nnoon,100,EWR\n2.5,100,ORD\n\n3,100\n4,100,JFK\n"
    (tmp_path / "in.csv").write_text(text)
    done = tilth.score(f"{MODEL}/1", tmp_path / "in.csv", tmp_path / "skip.jsonl", on_bad_row="skip", processes=1)
    assert (done.rows, done.refused) == (2, 3)
    refused = [json.loads(line) for line in (tmp_path / "skip.jsonl.refused.jsonl").read_text().splitlines()]
    assert [(each["line"], each["reason"].partition(";")[0]) for each in refused] == [
        (3, "column 'hour': expected a number, got 'noon'"),
        (4, "column 'origin': 'ORD' was not seen in training"),
        (6, "the row has 2 values, the head names 3 columns"),
    ]
    tilth.score(f"{MODEL}/1", tmp_path / "in.csv", tmp_path / "null.parquet", on_bad_row="null", processes=1)
    out = pl.read_parquet(tmp_path / "null.parquet")
    assert out["probability"].is_null().to_list() == [False, True, True, False]
    assert out["origin"].to_list() == ["EWR", "EWR", "ORD", "JFK"]


def test_a_bad_row_further_down_ends_the_job_and_another_policy_goes_on_with_it(model, tmp_path, read):
    rows = flights(3000)
    rows.loc[2500, "origin"] = "ORD"
    pl.from_pandas(rows).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(BadRows, match=r"in\.parquet, row 2501: column 'origin': 'ORD'"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=1, batch_rows=500)
    assert not (tmp_path / "out.parquet").exists()
    failed = read(manifest_of(tmp_path / "out.parquet.manifest.json").run_id)
    assert failed.run.status == "failed"
    assert failed.error.startswith("in.parquet, row 2501")
    done = tilth.score(
        f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=1, batch_rows=500, on_bad_row="skip"
    )
    assert (done.rows, done.refused, done.rows_now) == (2999, 1, 499)


def test_a_quoted_line_break_ends_no_row_wherever_a_chunk_is_cut(model, tmp_path):
    rows = flights(40)
    lines = ["note,hour,seats,origin"]
    lines += [f'"gate {n}\nsaid ""go"", twice",{r.hour},{r.seats},{r.origin}' for n, r in enumerate(rows.itertuples())]
    (tmp_path / "in.csv").write_text("\n".join(lines))
    tilth.score(f"{MODEL}/1", tmp_path / "in.csv", tmp_path / "out.csv", processes=2, batch_rows=7)
    out = pl.read_csv(tmp_path / "out.csv")
    assert out["note"].to_list() == [f'gate {n}\nsaid "go", twice' for n in range(40)]
    np.testing.assert_allclose(out["probability"].to_numpy(), model(rows), atol=1e-12)


def test_chunks_of_lines_cover_a_file_once_and_hold_as_many_rows_as_asked_for(tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n" + "".join(f'{n},"x\n"\n' for n in range(10)))
    place = LocalPlace(tmp_path)
    found = list(chunks(source_of(str(tmp_path), place, "in.csv", None), 4, "csv"))
    whole = (tmp_path / "in.csv").read_bytes()
    assert b"".join(whole[chunk.start : chunk.end] for chunk in found) == whole[4:]
    assert [whole[chunk.start : chunk.end].count(b'"x') for chunk in found] == [4, 4, 2]
    assert [chunk.first for chunk in found] == [2, 10, 18]


def test_the_run_of_a_scoring_names_version_input_and_output(model, tmp_path, read):
    pl.from_pandas(flights(50)).write_parquet(tmp_path / "in.parquet")
    done = tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=1)
    detail = read(done.run_id)
    assert (detail.run.status, detail.run.experiment) == ("finished", "batch scoring")
    assert detail.tags[SCORED_VERSION_TAG] == f"{MODEL}/1"
    record = msgspec.json.decode(detail.tags[SCORING_TAG], type=ScoringRecord)
    assert (record.rows, record.output, record.digest) == (50, str(tmp_path / "out.parquet"), done.digest)
    digest = hashlib.sha256((tmp_path / "in.parquet").read_bytes()).hexdigest()
    assert [(data.name, data.digest, data.context) for data in detail.inputs] == [("in.parquet", digest, "scoring")]
    assert record.inputs[0].digest == digest
    assert {metric.key for metric in detail.metrics} >= {"rows", "refused", "rows_per_s"}


def test_a_scoring_within_a_run_is_a_child_of_it(model, tmp_path, read):
    pl.from_pandas(flights(5)).write_parquet(tmp_path / "in.parquet")
    with tilth.run("batch-parent") as parent:
        done = tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=1)
    assert read(done.run_id).run.parent_run_id == parent.id


def test_an_output_that_is_complete_or_somebody_elses_is_not_written_over(model, tmp_path):
    pl.from_pandas(flights(5)).write_parquet(tmp_path / "in.parquet")
    arguments = (f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet")
    tilth.score(*arguments, processes=1)
    with pytest.raises(OutputTaken, match=r"is complete .*5 rows.*--fresh"):
        tilth.score(*arguments, processes=1)
    assert tilth.score(*arguments, processes=1, resume=False).rows_now == 5
    (tmp_path / "mine.parquet").write_text("mine")
    with pytest.raises(OutputTaken, match="was not scored by Tilth"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "mine.parquet")
    with pytest.raises(OutputTaken, match="nothing to go on with"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "new.parquet", resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(OutputTaken, match="is not empty"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "full")


def test_what_cannot_be_read_is_refused_in_words(model, tmp_path):
    with pytest.raises(NothingToScore, match="there is no file at"):
        tilth.score(f"{MODEL}/1", tmp_path / "nowhere.parquet", tmp_path / "out.parquet")
    (tmp_path / "in.parquet").write_text("no Parquet")
    with pytest.raises(Invalid, match="cannot be read as Parquet"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet")
    (tmp_path / "in.xlsx").write_text("x")
    with pytest.raises(Invalid, match="does not say its format"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.xlsx", tmp_path / "out.parquet")


def test_files_without_rows_give_an_output_with_its_columns(model, tmp_path):
    pl.from_pandas(flights(5)).clear().write_parquet(tmp_path / "in.parquet")
    assert tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=1).rows == 0
    assert pl.read_parquet(tmp_path / "out.parquet").columns == ["hour", "seats", "origin", "probability", "model_version"]


def test_a_killed_scoring_goes_on_where_it_was(model, tmp_path, live, read):
    rows = flights(200_000)
    pl.from_pandas(rows).write_parquet(tmp_path / "in.parquet")
    code = f"import tilth; tilth.score({MODEL + '/1'!r}, 'in.parquet', 'out.parquet', processes=1, batch_rows=2000)"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=live.environment, stderr=subprocess.PIPE)
    manifest, parts = tmp_path / "out.parquet.manifest.json", tmp_path / ".out.parquet.parts"
    deadline = time.monotonic() + 60
    while not manifest.exists() or not manifest_of(manifest).parts:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    # Its scoring process ends, too, and without a word.
    assert child.communicate(timeout=60) == (None, b"")
    before = manifest_of(manifest)
    assert before.state == "running"
    assert not (tmp_path / "out.parquet").exists()
    damaged = parts / before.parts[0].name
    damaged.write_bytes(damaged.read_bytes()[:-10])
    done = tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=2, batch_rows=2000)
    assert done.rows == 200_000
    assert done.rows_now == 200_000 - 2000 * (len(before.parts) - 1)
    assert done.run_id == before.run_id
    out = pl.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_allclose(out["probability"].to_numpy(), model(rows), atol=1e-12)
    assert out["hour"].to_list() == rows["hour"].to_list()
    assert read(done.run_id).run.status == "finished"


def test_another_job_does_not_go_on_with_half_an_output(model, tmp_path):
    rows = flights(3000)
    rows.loc[2999, "origin"] = "ORD"
    pl.from_pandas(rows).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(BadRows):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out", processes=1, batch_rows=1500)
    with pytest.raises(OutputTaken, match="holds part of another job"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out", processes=1, batch_rows=1000)
    pl.from_pandas(flights(3000)).write_parquet(tmp_path / "in.parquet")
    os.utime(tmp_path / "in.parquet", (1, 1))
    with pytest.raises(OutputTaken, match="changed files"):
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out", processes=1, batch_rows=1500)
    assert (
        tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out", processes=1, batch_rows=1000, resume=False).rows
        == 3000
    )
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 3


def test_an_output_does_not_lie_among_the_files_that_are_scored(model, tmp_path):
    pl.from_pandas(flights(5)).write_parquet(tmp_path / "in.parquet")
    for name in ("out.parquet", "out"):
        with pytest.raises(Invalid, match="lies in the folder that is scored"):
            tilth.score(f"{MODEL}/1", tmp_path, tmp_path / name)


def test_the_pages_of_run_and_version_show_what_was_scored(model, tmp_path, live):
    rows = flights(40)
    rows.loc[3, "origin"] = "ORD"
    pl.from_pandas(rows).write_parquet(tmp_path / "in.parquet")
    done = tilth.score(f"{MODEL}/1", tmp_path / "in.parquet", tmp_path / "out.parquet", processes=1, on_bad_row="skip")
    headers = {"authorization": f"Bearer {live.token}"}
    run = httpx.get(f"{live.url}/p/default/runs/{done.run_id}", headers=headers).text
    version = httpx.get(f"{live.url}/p/default/models/{MODEL}/versions/1", headers=headers).text
    for page in (run, version):
        assert "Scored files" in page
        assert str(tmp_path / "out.parquet") in page
    assert f"/p/default/models/{MODEL}/versions/1" in run
    assert "1 refused" in run
    assert f"/p/default/runs/{done.run_id}" in version


def test_the_command_scores_and_says_what_came_of_it(model, tmp_path, live):
    (tmp_path / "in.csv").write_text("id,hour,seats,origin\n007,1.5,100,EWR\n008,20,120,JFK\n")

    def tilth_score(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tilth.cli", "score", f"{MODEL}/1", "--in", "in.csv", *words]
        return subprocess.run(command, cwd=tmp_path, env=live.environment, capture_output=True, text=True, timeout=60)

    ended = tilth_score("--out", "out.csv", "--columns", "id", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["rows"], found["refused"], found["version"]) == (2, 0, f"{MODEL}/1")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "id,probability,model_version"
    assert [line.split(",")[0] for line in lines[1:]] == ["007", "008"]
    again = tilth_score("--out", "out.csv", "--columns", "id")
    assert again.returncode == 1
    assert "is complete" in again.stderr
    assert "Traceback" not in again.stderr
    assert tilth_score("--out", "none.csv", "--columns", "-").returncode == 0
    assert (tmp_path / "none.csv").read_text().startswith("probability,model_version\n")


def test_a_call_that_finds_all_scored_already_completes_it_and_tells_no_speed(model, tmp_path, live):
    (tmp_path / "in.csv").write_text("hour,seats,origin\n1.5,100,EWR\n20,120,JFK\n")
    tilth.score(f"{MODEL}/1", tmp_path / "in.csv", tmp_path / "parts", processes=1)
    manifest = tmp_path / "parts" / "_manifest.json"
    # As it stands after a kill between the last part and the end.
    manifest.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest_of(manifest), state="running")))
    command = [sys.executable, "-m", "tilth.cli", "score", f"{MODEL}/1", "--in", str(tmp_path / "in.csv")]
    ended = subprocess.run([*command, "--out", str(tmp_path / "parts")], env=live.environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "all was scored before" in ended.stdout
    assert "rows/s" not in ended.stdout
    assert manifest_of(manifest).state == "complete"
