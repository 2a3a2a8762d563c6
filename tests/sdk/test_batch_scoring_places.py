"""Batch scoring in an object store, by models of other kinds, and by processes that die."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression

import tilth
from tilth.core.hashing import Manifest
from tilth.flavours import save_model
from tilth.sdk.batch.calling import NotTrusted
from tilth.sdk.batch.crews import ProcessCrew
from tilth.sdk.batch.errors import InvalidPlace, ScorerLost
from tilth.sdk.batch.inputs import fit
from tilth.sdk.batch.places import LocalPlace, StoreTrouble, open_place
from tilth.sdk.batch.planning import chunks, source_of
from tilth.sdk.batch.work import ScoringWork
from tilth.wire.signature import Column, Signature, Tensor

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """Address of an S3 server (moto) with the bucket `tilth-blobs`."""
    child_file = Path(__file__).parents[1] / "conformance" / "moto_child.py"
    with subprocess.Popen(
        [sys.executable, str(child_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | KEYS,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        child.stdin.close()


@pytest.fixture
def sums(live: Any) -> str:
    """A registered model that adds the columns a and b."""
    tilth.init(url=live.url, token=live.token)
    rows = pd.DataFrame(np.random.default_rng(3).normal(size=(50, 2)), columns=["a", "b"])
    logged = tilth.log_model(LinearRegression().fit(rows, rows.sum(axis=1)), name="batch-sums", example=rows.head())
    return f"batch-sums/{logged.version}"


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_rows_of_an_object_store_are_scored_into_it(sums, s3_server, monkeypatch, ending):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    options = f"?endpoint={s3_server}&region=us-east-1"
    place = open_place(f"s3://tilth-blobs/{ending}{options}")
    for number in range(2):
        frame = pl.DataFrame({"id": [number * 10 + n for n in range(5)], "a": [float(n) for n in range(5)], "b": [1.5] * 5})
        data = frame.write_csv().encode() if ending == "csv" else _parquet(frame)
        place.write(f"in/{number}.{ending}", data)
    done = tilth.score(
        sums, f"s3://tilth-blobs/{ending}/in{options}", f"s3://tilth-blobs/{ending}/out.{ending}{options}", processes=1
    )
    assert done.rows == 10
    assert [file.name for file in place.files() if not file.name.startswith("in/")] == [
        f"out.{ending}",
        f"out.{ending}.manifest.json",
    ]
    data = b"".join(place.pieces(f"out.{ending}"))
    out = pl.read_csv(data) if ending == "csv" else pl.read_parquet(data)
    np.testing.assert_allclose(out["prediction"].to_numpy(), np.tile(np.arange(5) + 1.5, 2), atol=1e-9)
    tilth.score(
        sums, f"s3://tilth-blobs/{ending}/in/0.{ending}{options}", f"s3://tilth-blobs/{ending}/parts{options}", processes=1
    )
    assert {"parts/_manifest.json", "parts/part-000000.parquet"} < {file.name for file in place.files()}


def test_an_address_that_leads_nowhere_is_refused_in_words(s3_server, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreTrouble, match="check that the bucket exists"):
        open_place(f"s3://nobodys?endpoint={s3_server}&region=us-east-1").write("x", b"1")
    for address, why in (
        ("ftp://host/x", "give a path, or an address of s3://"),
        ("s3://me:secret@bucket/x", "no credentials"),
        ("s3://bucket/x?acl=public", "option 'acl'"),
    ):
        with pytest.raises(InvalidPlace, match=why):
            open_place(address)


def _parquet(frame: pl.DataFrame) -> bytes:
    into = io.BytesIO()
    frame.write_parquet(into)
    return into.getvalue()


class Moody(RegressorMixin, BaseEstimator):
    """Raises on rows whose x is negative, and ends its process at x = 99."""

    def fit(self, rows: Any, target: Any) -> Moody:
        self.n_features_in_ = 1
        return self

    def predict(self, rows: Any) -> Any:
        values = np.asarray(rows, dtype=float)[:, 0]
        if (values == 99).any():
            os._exit(7)
        if (values < 0).any():
            raise RuntimeError("I do not like this one")
        return values * 2


def work_of(folder: Path, model: Any, example: pd.DataFrame, files: Path, out: Path, **options: Any) -> ScoringWork:
    save_model(model, folder, example=example)
    given = {"keep": (), "on_bad_row": "skip", "batch_rows": 100} | options
    return ScoringWork(
        folder=str(folder),
        seal=Manifest.of_folder(folder).digest,
        version="moody/1",
        source=str(files),
        source_format="parquet",
        target=str(out),
        target_format="parquet",
        **given,
    )


@pytest.fixture
def moody(tmp_path: Path) -> Any:
    """Runs the model over a file of these values; returns the parts."""
    example = pd.DataFrame({"x": [1.0, 2.0]})

    def run(values: list[float]) -> Any:
        (tmp_path / "in").mkdir()
        pl.DataFrame({"x": values}).write_parquet(tmp_path / "in" / "rows.parquet")
        work = work_of(tmp_path / "model", Moody().fit(example, None), example, tmp_path / "in", tmp_path / "out", keep=("x",))
        source = source_of(work.source, LocalPlace(tmp_path / "in"), "", None)
        with ProcessCrew(work, 1) as crew:
            return [part for _, part in crew.scored(chunks(source, 100, "parquet"))]

    return run


def test_rows_on_which_the_model_raises_are_refused_and_their_neighbours_scored(moody, tmp_path):
    (part,) = moody([1.0, 2.0, -3.0, 4.0, -5.0, 6.0])
    assert (part.rows, part.refused) == (4, 2)
    out = pl.read_parquet(tmp_path / "out" / part.name)
    assert out["prediction"].to_list() == [2.0, 4.0, 8.0, 12.0]
    assert 'row":3' in (tmp_path / "out" / part.refused_name).read_text()
    assert "the model raised RuntimeError: I do not like this one" in (tmp_path / "out" / part.refused_name).read_text()


def test_a_scoring_process_that_ends_is_told_with_how_it_ended(moody):
    with pytest.raises(ScorerLost, match=r"ended with code 7 while it scored rows\.parquet from 1 on"):
        moody([1.0, 99.0])


class Label(ClassifierMixin, BaseEstimator):
    def fit(self, rows: Any, target: Any) -> Label:
        self.classes_ = np.array(["early", "late"])
        self.n_features_in_ = 1
        return self

    def predict(self, rows: Any) -> Any:
        return self.classes_[(np.asarray(rows, dtype=float)[:, 0] > 0).astype(int)]


def test_a_class_is_written_by_its_name(tmp_path):
    example = pd.DataFrame({"x": [1.0, -2.0]})
    (tmp_path / "in").mkdir()
    pl.DataFrame({"x": [3.0, -1.0]}).write_parquet(tmp_path / "in" / "rows.parquet")
    work = work_of(tmp_path / "model", Label().fit(example, None), example, tmp_path / "in", tmp_path / "out")
    source = source_of(work.source, LocalPlace(tmp_path / "in"), "", None)
    with ProcessCrew(work, 2) as crew:
        ((_, part),) = crew.scored(chunks(source, 100, "parquet"))
    out = pl.read_parquet(tmp_path / "out" / part.name)
    assert out.to_dicts() == [
        {"prediction": "late", "model_version": "moody/1"},
        {"prediction": "early", "model_version": "moody/1"},
    ]


def test_free_text_and_arrays_reach_the_model_by_name_with_their_types():
    text = Signature(inputs=(Column("note", "string", nullable=True), Column("n", "long")))
    found = fit(pl.DataFrame({"note": ["late again", None], "n": [1, 2]}), text, textual=False)
    arrays = found.arrays(found.good())
    assert arrays["note"].tolist() == ["late again", None]
    assert (arrays["n"].dtype, arrays["n"].tolist()) == (np.int64, [1, 2])
    tensors = Signature(tensors=(Tensor("image", "float32", (-1, 2, 2)),))
    frame = pl.DataFrame({"image": [[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0]], None]})
    found = fit(frame, tensors, textual=False)
    assert found.good().tolist() == [True, False, False]
    assert found.bad[1] == "tensor 'image': expected float32 of shape [2, 2], got shape [1, 2]"
    image = found.arrays(found.good())["image"]
    assert (image.dtype, image.shape) == (np.float32, (1, 2, 2))


@pytest.mark.parametrize(
    ("column", "values", "bad"),
    [
        (Column("x", "double", nullable=True), [1.5, None, float("nan")], {}),
        (Column("x", "double"), [1.5, None, float("nan")], {1: "got nothing", 2: "got nothing"}),
        (Column("x", "long"), [1.0, 2.5, 2.0**60], {1: "got '2.5'", 2: "beyond 2**53"}),
        (Column("x", "boolean"), [True, False, None], {2: "expected true or false, got nothing"}),
        (Column("x", "string", categories=("1", "2")), [1, 2, 3], {2: "'3' was not seen in training"}),
        (Column("x", "string", categories=("a",), unseen="missing", nullable=True), ["a", "b", None], {}),
    ],
)
def test_values_are_judged_by_the_signature(column, values, bad):
    found = fit(pl.DataFrame({"x": values}), Signature(inputs=(column,)), textual=False)
    assert found.bad.keys() == bad.keys()
    for row, part in bad.items():
        assert part in found.bad[row]


def test_a_model_from_elsewhere_that_runs_code_is_scored_only_when_trusted(live, tmp_path):
    tilth.init(url=live.url, token=live.token)
    rows = pd.DataFrame(np.random.default_rng(4).normal(size=(30, 2)), columns=["a", "b"])
    joblib.dump(LinearRegression().fit(rows, rows.sum(axis=1)), tmp_path / "sums.joblib")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    tilth.import_model(
        tmp_path / "sums.joblib", "batch-imported", example=tmp_path / "rows.csv", trust=True, reason="made in a test"
    )
    with pytest.raises(NotTrusted, match="runs code of its own"):
        tilth.score("batch-imported/1", tmp_path / "rows.csv", tmp_path / "out.parquet", processes=1)
    tilth.score("batch-imported/1", tmp_path / "rows.csv", tmp_path / "out.parquet", processes=1, trust=True)
    out = pl.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_allclose(out[out.columns[-2]].to_numpy(), rows.sum(axis=1), atol=1e-9)
