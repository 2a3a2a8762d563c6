"""`tilth sweep` as a user types it, against a server on a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tilth.cli.sweep_trials import filled

FILE = """
[sweep]
name = "depths"
experiment = "search"
metric = "score"
sampler = "grid"
parallel = 2
[space]
depth = { int = [1, 3] }
fast = [true]
"""
PROGRAM = """
import argparse, json, os, tilth
given = argparse.ArgumentParser()
given.add_argument("--depth", type=int)
given.add_argument("--fast")
values = given.parse_args()
assert json.loads(os.environ["TILTH_PARAMS"]) == {"depth": values.depth, "fast": True}
print("training at depth", values.depth)
if values.depth == 3:
    raise SystemExit("no rows left")
with tilth.run():
    tilth.log(score=values.depth / 10)
"""


def tilth(installation: Any, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tilth.cli", *words, "--url", installation.url, "--token", installation.owner_token]
        if "--" not in words
        else [sys.executable, "-m", "tilth.cli", *_before(words, installation)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )


def _before(words: tuple[str, ...], installation: Any) -> list[str]:
    """Options stand before the program."""
    at = words.index("--")
    verb = list(words[:2])
    return [*verb, "--url", installation.url, "--token", installation.owner_token, *words[2:at], *words[at:]]


def test_a_program_is_run_for_each_value_in_a_run_of_its_own(installation, tmp_path):
    (tmp_path / "sweep.toml").write_text(FILE)
    (tmp_path / "train.py").write_text(PROGRAM)
    done = tilth(installation, tmp_path, "sweep", "run", "sweep.toml", "--", sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    assert "best score 0.2 of trial 2: depth=2 fast=True" in done.stdout
    assert "no rows left" in done.stderr
    [sweep] = installation.client.get("/api/v1/p/default/sweeps").json()["sweeps"]
    assert (sweep["state"], sweep["finished"], sweep["failed"], sweep["best"]) == ("finished", 2, 1, 0.2)
    shown = tilth(installation, tmp_path, "sweep", "show", sweep["id"], "--json")
    rows = json.loads(shown.stdout)
    assert [(row["number"], row["status"]) for row in rows] == [(2, "finished"), (1, "finished"), (3, "failed")]
    files = installation.client.get(f"/api/v1/p/default/runs/{rows[2]['id']}/artifacts", params={"path": "logs"}).json()["files"]
    assert [file["path"] for file in files] == ["logs/output.log"]
    listed = tilth(installation, tmp_path, "sweep", "list")
    assert "3 of 3" in listed.stdout
    again = tilth(installation, tmp_path, "sweep", "resume", sweep["id"])
    assert again.returncode == 0, again.stderr


def test_a_sweep_without_a_trial_that_succeeded_ends_with_code_1(installation, tmp_path):
    (tmp_path / "sweep.toml").write_text(FILE.replace("{ int = [1, 3] }", "3"))
    (tmp_path / "train.py").write_text(PROGRAM)
    done = tilth(installation, tmp_path, "sweep", "run", "sweep.toml", "--", sys.executable, "train.py")
    assert (done.returncode, "no trial succeeded" in done.stdout) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sweep]\nmetric = 'a'\n", "empty"),
        ("[sweep]\nmetric = 'a'\ntrails = 3\n[space]\nx = 1\n", "no setting 'trails'; it has: metric"),
        ("[sweep]\nmetric = 'a'\n[space]\nx = { uniform = [1] }\n", "'x'"),
        ("[other]\n", "other"),
        ("not toml", "TOML"),
    ],
)
def test_a_wrong_file_is_told_in_words(installation, tmp_path, text, says):
    (tmp_path / "sweep.toml").write_text(text)
    done = tilth(installation, tmp_path, "sweep", "run", "sweep.toml", "--", sys.executable)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr


def test_of_a_trial_that_prints_without_end_the_beginning_is_kept(installation, tmp_path):
    (tmp_path / "sweep.toml").write_text('[sweep]\nmetric = "score"\ntrials = 1\n[space]\ndepth = 3\n')
    tilth(installation, tmp_path, "sweep", "run", "sweep.toml", "--", sys.executable, "-c", "print('x' * 21_000_000)")
    [sweep] = installation.client.get("/api/v1/p/default/sweeps").json()["sweeps"]
    [trial] = installation.client.get(f"/api/v1/p/default/sweeps/{sweep['id']}/trials").json()["trials"]
    kept = installation.client.get(f"/api/v1/p/default/runs/{trial['id']}/artifacts/logs/output.log").content
    assert (len(kept) < 20_001_000, kept[:3], kept[-14:]) == (True, b"xxx", b"e first 20 MB\n")


def test_params_fill_places_or_follow_the_command():
    assert filled(["train", "--rate={rate}"], {"rate": 0.1, "fast": True}) == ["train", "--rate=0.1", "--fast", "true"]
    assert filled(["train", "{a}/{b}"], {"a": "{b}", "b": 1}) == ["train", "{b}/1"]
