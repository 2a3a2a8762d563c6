"""Moving in from MLflow: real stores, brought in whole, counted, and safe to stop at any moment."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import httpx
import pytest

EXPECTED = {
    "experiments": 2,
    "runs": 3,
    "metric points": 6003,
    "params": 3,
    "data sets": 1,
    "artifacts": 2,
    "artifact bytes": 10,
    "logged models": 1,
    "models": 1,
    "versions": 1,
}


def counts(result) -> dict[str, int]:
    return json.loads(result.stdout)


def runs_of(installation, **asked):
    detail = {}
    found = installation.client.post(
        "/api/v1/p/default/runs/bulk", json={"do": "archive", "filter": "", "dry_run": True, **asked}
    )
    for run_id in found.json()["runs"]:
        run = installation.client.get(f"/api/v1/p/default/runs/{run_id}").json()
        detail[run["run"]["name"]] = run
    return detail


@pytest.mark.parametrize("kind", ["sqlite", "files"])
def test_a_store_comes_whole_and_is_left_alone_the_second_time(kind, stores, tilth, installation):
    first = tilth("import", "mlflow", str(stores[kind]), "--json")
    assert first.exit_code == 0, first.output
    told = counts(first)
    assert told["complete"]
    assert {key: told["here"][key] for key in EXPECTED} == EXPECTED
    again = tilth("import", "mlflow", str(stores[kind]), "--json")
    assert counts(again)["here"] == told["here"]
    runs = runs_of(installation)
    assert set(runs) == {"first", "child"}
    assert runs["child"]["run"]["parent_run_id"] == runs["first"]["run"]["id"]
    assert runs["first"]["run"]["notes"] == "went well"
    assert runs["first"]["params"]["long"] == "x" * 500
    loss = next(metric for metric in runs["first"]["metrics"] if metric["key"] == "loss")
    assert (loss["count"], loss["step"], loss["max"]) == (6000, 5999, 1.0)
    assert next(metric for metric in runs["first"]["metrics"] if metric["key"] == "odd")["value"] == "NaN"
    text = installation.client.get(f"/api/v1/p/default/runs/{runs['first']['run']['id']}/artifacts/notes/a.txt")
    assert text.content == b"hello"
    version = installation.client.get("/api/v1/p/default/models/churn/versions/1").json()["version"]
    assert (version["aliases"], version["tags"]["k"], version["status"]) == (["champion"], "v", "ready")


def test_a_dry_run_counts_and_brings_nothing(stores, tilth, installation):
    result = tilth("import", "mlflow", str(stores["files"]), "--dry-run", "--json")
    assert result.exit_code == 0
    assert counts(result)["source"]["metric points"] == 6003
    assert runs_of(installation) == {}


def test_what_came_since_the_last_import_is_added(stores, tilth, tmp_path, installation):
    copy = tmp_path / "mlruns"
    shutil.copytree(stores["files"], copy)
    assert tilth("import", "mlflow", str(copy)).exit_code == 0
    loss = next(copy.glob("*/*/metrics/loss"))
    with loss.open("a") as opened:
        opened.write("900000 0.5 9000\n")
    told = counts(tilth("import", "mlflow", str(copy), "--json"))
    assert told["complete"], told
    assert told["here"]["metric points"] == 6004


def test_a_run_whose_id_belongs_to_another_project_gets_one_of_its_own(stores, tilth, installation):
    installation.client.post("/api/v1/projects", json={"name": "other"})
    assert tilth("import", "mlflow", str(stores["files"])).exit_code == 0
    second = tilth("import", "mlflow", str(stores["files"]), "--json", project="other")
    assert counts(second)["complete"], second.output
    assert tilth("import", "mlflow", str(stores["files"]), project="other").exit_code == 0
    listed = installation.client.post("/api/v1/p/other/runs/bulk", json={"do": "archive", "filter": "", "dry_run": True}).json()
    tags = installation.client.get(f"/api/v1/p/other/runs/{listed['runs'][0]}").json()["tags"]
    assert len(tags["tilth.imported_id"]) == 32


def test_one_experiment_can_be_chosen_and_an_unknown_one_is_named(stores, tilth):
    result = tilth("import", "mlflow", str(stores["files"]), "--experiment", "flihgts", "--json")
    assert result.exit_code == 1
    assert "flihgts" in counts(result)["missing"][0]


def test_a_folder_that_is_no_store_is_told_in_a_sentence(tilth, tmp_path):
    result = tilth("import", "mlflow", str(tmp_path))
    assert result.exit_code == 1
    assert "is not an mlruns folder" in str(result.exception)


def test_yaml_that_would_make_objects_is_not_followed(tilth, tmp_path, stores):
    copy = tmp_path / "mlruns"
    shutil.copytree(stores["files"], copy)
    meta = next(copy.glob("*/*/params/depth")).parent.parent / "meta.yaml"
    meta.write_text("!!python/object/apply:os.system ['touch hacked']\n")
    assert tilth("import", "mlflow", str(copy)).exit_code == 1
    assert not (tmp_path / "hacked").exists()


def test_a_viewer_may_not_import(stores, installation):
    client = installation.as_(installation.member("vera", "developer"))
    answer = client.post("/api/v1/p/default/import/runs", json={"runs": []})
    assert answer.status_code == 403


def test_an_import_that_is_killed_goes_on_where_it_stopped(stores, installation):
    environment = {
        **os.environ,
        "TILTH_URL": installation.url,
        "TILTH_TOKEN": installation.owner_token,
        "TILTH_PROJECT": "default",
    }
    command = [sys.executable, "-m", "tilth.cli", "import", "mlflow", str(stores["sqlite"]), "--json"]
    killed = subprocess.run(command, env={**environment, "TILTH_KILL_AT": "import_after_runs"}, capture_output=True, timeout=60)
    assert killed.returncode == -9
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["here"]["metric points"] == 6003


def test_a_running_server_is_read_over_http(stores, tilth, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    store = stores["sqlite"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{store}", "--serve-artifacts", "--artifacts-destination", str(tmp_path / "a")]
    server = subprocess.Popen(
        command, cwd=store.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(300):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        result = tilth("import", "mlflow", f"http://127.0.0.1:{port}", "--json")
    finally:
        os.killpg(server.pid, 9)
        server.wait()
    told = counts(result)
    assert told["complete"], told
    assert {key: told["here"][key] for key in EXPECTED} == EXPECTED
