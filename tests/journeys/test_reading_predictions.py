"""Predictions read back by the SDK and the command line, with labels, from a whole server."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.conftest import Server
from tests.journeys.steps import tilth as call
from tests.journeys.steps import wait_until

import tilth
from tilth.cli.elsewhere.deployed import deployed
from tilth.core.home import find_target
from tilth.sdk.connection import forget
from tilth.sdk.moments import InvalidMoment, moment_of
from tilth.sdk.predictions import UnknownColumn

NAME = "read-back"


@pytest.fixture(scope="module")
def asked(tilth_server: Server) -> Iterator[list[float]]:
    """A deployment that was asked for 30 rows, and its answers."""
    sklearn = pytest.importorskip("sklearn.linear_model")
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame({"a": [float(n) for n in range(30)], "b": [1.0] * 30})
    tilth.init(home=tilth_server.home)
    tilth.log_model(sklearn.LinearRegression().fit(rows, rows["a"] * 2), name=NAME, example=rows.head())
    tilth.deploy(f"{NAME}/1")
    yield [tilth.predict(NAME, rows.iloc[at : at + 10])[0] for at in (0, 10, 20)]
    forget()


def test_a_frame_holds_what_was_asked_and_answered(asked: list[float], tilth_server: Server) -> None:
    frame = tilth.predictions(NAME, since="1h", flush=True)
    assert frame["in_a"].to_list() == [float(n) for n in range(30)]
    assert frame["out_prediction"].to_list()[::10] == pytest.approx(asked)
    assert frame["row"].to_list() == list(range(10)) * 3
    assert tilth.predictions(NAME, columns=["out_prediction", "in_b"]).columns == ["out_prediction", "in_b"]
    assert len(tilth.predictions(NAME, versions=[7])) == 0
    assert len(tilth.predictions(NAME, until="1h")) == 0
    with pytest.raises(UnknownColumn, match="in_c"):
        tilth.predictions(NAME, columns=["in_c"])
    labelled = [{"prediction_id": f"{frame['prediction_id'][4]}.4", "label": 1.5}]
    tilth.labels.log(NAME, labelled)
    joined = tilth.predictions(NAME, labels=True)
    assert joined.filter(pl.col("label").is_not_null()).select("row", "label").rows() == [(4, 1.5)]
    assert joined["label_at"].null_count() == len(joined) == 30


def test_the_command_line_lists_shows_and_exports(asked: list[float], tilth_server: Server, tmp_path: Path) -> None:
    def told(*arguments: str) -> Any:
        code, out, err = call(tilth_server, "predictions", *arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    told("flush", NAME)
    rows = told("list", NAME, "--limit", "5")
    assert len(rows) == 5
    one = told("show", NAME, rows[0]["prediction_id"])
    assert len(one["rows"]) == 10
    assert told("export", NAME, "--out", str(tmp_path / "all.csv"))["rows"] == 30
    with (tmp_path / "all.csv").open() as opened:
        assert [float(row["in_a"]) for row in csv.DictReader(opened)] == [float(n) for n in range(30)]
    told("export", NAME, "--out", str(tmp_path / "all.parquet"))
    told("export", NAME, "--out", str(tmp_path / "files"))
    exported = pl.concat([pl.read_parquet(path) for path in (tmp_path / "files").iterdir()])
    assert exported.sort("at", "prediction_id", "row").equals(pl.read_parquet(tmp_path / "all.parquet"))
    assert told("policy", NAME, "--redact", "b=drop", "--keep-days", "3")["redact"] == {"b": "drop"}
    assert told("policy", NAME, "--redact", "b=keep")["redact"] == {}
    code, _, err = call(tilth_server, "predictions", "policy", NAME, "--redact", "b")
    assert (code, "FIELD=hash" in err) == (1, True)
    code, _, err = call(tilth_server, "predictions", "show", NAME, "nothing")
    assert (code, "nothing" in err) == (1, True)


def test_a_number_that_is_hashed_by_now_is_text_in_one_frame_with_what_was_kept_before(
    asked: list[float], tilth_server: Server
) -> None:
    name = f"{NAME}-hashed"
    tilth.deploy(f"{NAME}/1", name=name)
    tilth.predict(name, [{"a": 1.5, "b": 1.0}])
    tilth.predictions(name, flush=True)
    code, _, err = call(tilth_server, "predictions", "policy", name, "--redact", "a=hash")
    assert code == 0, err

    def asked_again() -> bool:
        tilth.predict(name, [{"a": 1.5, "b": 1.0}])
        return tilth.predictions(name, flush=True).schema["in_a"] == pl.String

    # The policy takes effect within seconds.
    wait_until(asked_again, "a prediction whose input is hashed")
    frame = tilth.predictions(name)
    assert frame["in_a"][0] == "1.5"
    assert len(frame["in_a"][-1]) == 32
    assert frame["in_b"].to_list() == [1.0] * len(frame)


def test_moments_are_read_as_people_write_them() -> None:
    assert moment_of("2026-03-01") == 1_772_323_200_000
    assert moment_of("2026-03-01T01:00:00+01:00") == 1_772_323_200_000
    assert moment_of("1772323200000") == moment_of(1_772_323_200_000)
    assert moment_of("2h") < moment_of("1h")
    with pytest.raises(InvalidMoment, match="yesterday"):
        moment_of("yesterday")


def test_the_home_that_an_option_names_keeps_what_is_fetched(
    asked: list[float], tilth_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TILTH_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    fetched = deployed(find_target({}, tmp_path, home=tilth_server.home), NAME).model
    assert fetched.folder.is_relative_to(tilth_server.home)
    assert not (tmp_path / ".tilth").exists()
