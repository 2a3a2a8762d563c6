"""`tilth reproduce`: a run of somebody else becomes a folder, and runs again. Real Git, a real server, nothing from the network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.cli.reproducing.repositories import SCRIPT, git

from tilth.cli.reproducing.folder import FolderInUse, UnsafePath, held, place, preparing
from tilth.cli.reproducing.repository import Source, UnsafeRemote, check_out, checked_remote
from tilth.core.hashing import content_address
from tilth.sdk.capture import CUT


def nothing_made(folder: Path) -> bool:
    return not any(folder.iterdir())


def test_a_run_is_made_again_from_its_commit_its_changes_and_its_data(tilth, shared_installation, repository):
    (repository / "steps.py").write_text("factor = 5\n")
    (repository / "picture.bin").write_bytes(bytes(range(256)))
    git(repository, "add", "picture.bin")
    first = subprocess.run(
        [sys.executable, "train.py", "3"], cwd=repository, env=os.environ | tilth.environment, capture_output=True, text=True
    )
    assert first.returncode == 0, first.stderr
    (repository / "steps.py").write_text("factor = 1\n")
    listed = json.loads(tilth("run", "list", "--experiment", "again", "--filter", "name='first'", "--json").stdout)
    run_id = listed[0]["run"]["id"]

    done = tilth("reproduce", run_id, "--into", "again", "--no-environment", "--yes", "--json")

    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["metrics"] == [{"metric": "score", "first": 15.0, "again": 15.0, "difference": "same"}]
    assert [(one["name"], one["state"]) for one in answer["data"]] == [("rows", "brought")]
    assert (tilth.here / "again" / "picture.bin").read_bytes() == bytes(range(256))
    again = json.loads(tilth("run", "show", answer["again"], "--json").stdout)
    assert again["tags"]["tilth.reproduces"] == run_id
    assert again["run"]["experiment"] == "again"
    assert "start: python train.py 3" in done.stderr
    page = shared_installation.client.get(f"/p/default/runs/{answer['again']}").text
    assert f'again of <b><a href="/p/default/runs/{run_id}">first</a>' in page


def test_the_folder_talks_to_the_remote_of_the_run(tilth, record, repository):
    git(repository, "remote", "add", "origin", "https://example.org/flights.git")
    state = {"commit": git(repository, "rev-parse", "HEAD"), "root": str(repository), "remote": "https://example.org/flights.git"}
    assert tilth("reproduce", record(git=state), "--into", "x", "--no-start", "--no-environment").exit_code == 0
    assert git(tilth.here / "x", "remote", "get-url", "origin") == "https://example.org/flights.git"


def test_nothing_is_done_unless_somebody_agrees(tilth, record):
    asked = tilth("reproduce", record(), "--no-environment", typed="n\n")
    assert asked.exit_code == 1
    assert "start: python train.py 3" in asked.stderr
    assert nothing_made(tilth.here)


def test_a_folder_is_prepared_without_a_question_where_no_code_runs(tilth, record):
    run_id = record()
    done = tilth("reproduce", run_id, "--no-environment", "--no-start")
    assert done.exit_code == 0, done.output
    folder = tilth.here / f"reproduced-{run_id[-8:]}"
    assert (folder / "steps.py").read_text() == "factor = 2\n"
    assert git(folder, "status", "--short") == ""
    assert f"cd {folder} && tilth exec -- python train.py 3" in done.stderr
    again = tilth("reproduce", run_id, "--no-environment", "--no-start")
    assert "as it was prepared before" in again.stderr


def test_the_changes_must_fit_or_are_left_out_by_wish(tilth, record):
    diff = b"--- a/steps.py\n+++ b/steps.py\n@@ -1 +1 @@\n-factor = 9\n+factor = 10\n"
    run_id = record({"code/diff.patch": diff})
    assert "steps.py: patch does not apply" in tilth.refused("reproduce", run_id, "--no-environment", "--no-start")
    assert nothing_made(tilth.here)
    assert tilth("reproduce", run_id, "--no-environment", "--no-start", "--no-diff").exit_code == 0


@pytest.mark.parametrize("target", ["../outside.txt", ".git/hooks/post-checkout", "/tmp/outside-of-everything.txt"])
def test_changes_that_leave_the_folder_are_refused(tilth, record, target):
    diff = f"--- /dev/null\n+++ b/{target}\n@@ -0,0 +1 @@\n+x\n".encode()
    refused = tilth("reproduce", record({"code/diff.patch": diff}), "--no-environment", "--no-start")
    assert refused.exit_code == 1
    assert nothing_made(tilth.here)


def test_code_is_not_written_through_a_link_of_the_commit(tilth, record, repository, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (repository / "linked").symlink_to(tmp_path / "elsewhere")
    git(repository, "add", "linked")
    git(repository, "commit", "--quiet", "-m", "two")
    run_id = record({"code/new.py": b"print()"}, entry_point="linked/new.py", code=["code/new.py"])
    assert "through a link" in tilth.refused("reproduce", run_id, "--no-environment", "--no-start")
    assert nothing_made(tilth.here)
    assert nothing_made(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", [".venv", "tilth-reproduced.json", "tilth-reproduced.json.new"])
def test_what_the_command_writes_itself_follows_no_link_of_the_commit(tilth, record, repository, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    (repository / name).symlink_to(tmp_path / "elsewhere" / ("mine" if "json" in name else ""))
    git(repository, "add", "-f", name)
    git(repository, "commit", "--quiet", "-m", "two")
    done = tilth(
        "reproduce",
        record({"environment/packages.txt": b"plough==7\n"}),
        "--yes",
        "--no-start",
        UV_NO_INDEX="1",
        PIP_NO_INDEX="1",
    )
    assert done.exit_code == 1
    assert (tmp_path / "elsewhere" / "mine").read_text() == "mine"
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_the_commit_that_mlflow_notes_is_enough_for_a_folder(tilth, shared_installation, repository):
    tags = {"mlflow.source.git.commit": git(repository, "rev-parse", "HEAD")}
    run_id = shared_installation.client.post("/api/v1/p/default/runs", json={"tags": tags}).json()["id"]
    arguments = ("reproduce", run_id, "--repository", str(repository), "--into", "x", "--no-environment")
    assert "not recorded" in tilth.refused(*arguments)
    assert tilth(*arguments, "--no-start").exit_code == 0
    assert (tilth.here / "x" / "train.py").read_text() == SCRIPT
    nothing = shared_installation.client.post("/api/v1/p/default/runs", json={}).json()["id"]
    assert "does not say what made it" in tilth.refused("reproduce", nothing)


@pytest.mark.parametrize(
    "address",
    [
        "--upload-pack=touch x",
        "ext::sh -c touch% x",
        "file:///etc",
        "ssh://-oProxyCommand=x/y",
        "-oX@host:y",
        "fd::17",
        "https://",
        "a\nb:c",
    ],
)
def test_an_address_that_could_set_something_off_is_refused(tilth, record, address):
    with pytest.raises(UnsafeRemote):
        checked_remote(address)
    lost = {"commit": "a" * 40, "remote": address}
    assert tilth("reproduce", record(git=lost), "--no-environment", "--no-start").exit_code == 1
    assert nothing_made(tilth.here)


@pytest.mark.parametrize(
    "address", ["https://example.org/a/b.git", "git@example.org:a/b.git", "ssh://git@example.org:22/a", "example.org:~ada/b"]
)
def test_usual_addresses_are_taken(address):
    assert checked_remote(address) == address


def test_a_commit_that_is_none_is_refused(tilth, record):
    assert "no commit id" in tilth.refused(
        "reproduce", record(git={"commit": "--output=x", "remote": "https://example.org/a"}), "--no-start"
    )


def test_a_commit_that_nobody_has_is_told(tilth, record):
    assert "--repository" in tilth.refused("reproduce", record(git={"commit": "a" * 40}), "--no-start")


def test_a_commit_that_no_branch_holds_any_more_comes_from_the_clone_and_others_from_afar(repository, tmp_path):
    lost = git(repository, "rev-parse", "HEAD")
    (repository / "steps.py").write_text("factor = 7\n")
    git(repository, "commit", "--quiet", "--amend", "-am", "other")
    for number, (source, commit) in enumerate(
        [(Source(str(repository), True), lost), (Source(f"file://{repository}", False), git(repository, "rev-parse", "HEAD"))]
    ):
        into = tmp_path / f"out-{number}"
        into.mkdir()
        check_out(source, commit, into)
        assert git(into, "rev-parse", "HEAD") == commit


def test_secrets_that_are_not_kept_are_named(tilth, record):
    run_id = record(argv=["--api-key", "***", "--token=***", "3"])
    assert "--api-key, --token;" in tilth.refused("reproduce", run_id, "--no-environment", "--yes")
    assert nothing_made(tilth.here)


def test_a_folder_with_other_things_is_left_alone(tilth, record):
    (tilth.here / "mine").mkdir()
    (tilth.here / "mine" / "thesis.txt").write_text("x")
    assert "is not empty" in tilth.refused("reproduce", record(), "--into", "mine", "--no-start", "--no-environment")
    assert tilth("reproduce", record(), "--into", "made", "--no-start", "--no-environment").exit_code == 0
    assert "was prepared for run" in tilth.refused("reproduce", record(), "--into", "made", "--no-start", "--no-environment")


def test_the_folder_one_stands_in_is_not_replaced(tilth, record):
    assert "where you stand" in tilth.refused("reproduce", record(), "--into", ".", "--no-start", "--no-environment")


@pytest.mark.parametrize(("diff", "fits"), [(b"", True), (CUT, False)])
def test_no_changes_fit_and_cut_changes_do_not(tilth, record, diff, fits):
    call = ("reproduce", record({"code/diff.patch": diff}), "--no-start", "--no-environment")
    assert (tilth(*call).exit_code == 0) is fits


def test_a_recorded_word_cannot_pass_for_a_line_of_the_plan(tilth, record):
    asked = tilth("reproduce", record(argv=["x\nstart: nothing\x1b[2K"]), "--no-environment", typed="n\n")
    assert "\nstart: nothing" not in asked.stderr
    assert "\x1b" not in asked.stderr


def test_what_a_killed_call_left_is_cleared_by_the_next(tmp_path):
    folder = tmp_path / "again"
    code = (
        "import os, sys; from pathlib import Path; from tilth.cli.reproducing.folder import preparing\n"
        "with preparing(Path(sys.argv[1])) as into:\n (into / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == -signal.SIGKILL
    assert not folder.exists()
    with preparing(folder) as into:
        assert list(into.iterdir()) == []
    assert folder.is_dir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["again"]


def test_two_calls_do_not_prepare_one_folder(tmp_path):
    with preparing(tmp_path / "again"), pytest.raises(FolderInUse, match="another call"), preparing(tmp_path / "again"):
        pass
    with held(tmp_path / "again"), pytest.raises(FolderInUse), held(tmp_path / "again"):
        pass


@pytest.mark.parametrize("name", ["../x", "/etc/x", ".git/config", "a/../../x", "link/x"])
def test_files_stay_in_the_folder(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafePath):
        place(tmp_path / "in", PurePosixPath(name), b"")


def test_data_is_looked_for_by_content(tilth, record, repository):
    (repository / "data" / "other.csv").write_text("changed since")
    (repository / "data" / "kept.csv").write_text("lost here")

    def file(name: str, data: bytes) -> dict[str, Any]:
        profile = json.dumps({"bytes": len(data)})
        source = f"data/{name}.csv"
        return {"name": name, "digest": content_address(data), "source_type": "file", "source": source, "profile": profile}

    inputs = [file("rows", b"a,b\n1,2\n"), file("other", b"as it was then"), file("kept", b"as it was"), file("gone", b"x")]
    inputs.append({"name": "typed", "digest": "a" * 64, "source_type": "json", "source": "by hand"})
    inputs.append(file("climbs", b"a,b\n1,2\n") | {"source": "../flights/data/rows.csv"})
    done = tilth(
        "reproduce",
        record({"kept/it.csv": b"as it was"}, inputs),
        "--into",
        "x",
        "--no-start",
        "--no-environment",
        "--json",
        "--no-diff",
    )
    states = {one["name"]: one["state"] for one in json.loads(done.stdout)["data"]}
    assert states == {
        "rows": "brought",
        "other": "missing",
        "kept": "brought",
        "gone": "missing",
        "typed": "unknown",
        "climbs": "missing",
    }
    (tilth.here / "x" / "data" / "kept.csv").write_text("as it wad")
    # The folder is known again by its run, whose data is looked at anew.
    run_id = json.loads((tilth.here / "x" / "tilth-reproduced.json").read_text())["run_id"]
    again = json.loads(tilth("reproduce", run_id, "--into", "x", "--no-start", "--no-environment", "--json").stdout)
    assert {one["name"]: one["state"] for one in again["data"]}["kept"] == "differs"


def test_a_program_that_never_heard_of_tilth_is_made_again_too(tilth, shared_installation, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "plain.py").write_text("import sys; print(sys.argv[1], open('plain.py').read()[:10])")
    command = [sys.executable, "-m", "tilth.cli", "exec", "--experiment", "plain", "--", "python", "plain.py", "seven"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | tilth.environment | {"PATH": path}
    first = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert first.stdout == "seven import sys\n", first.stderr
    run_id = json.loads(tilth("run", "list", "--experiment", "plain", "--json").stdout)[0]["run"]["id"]
    (work / "plain.py").unlink()
    done = tilth("reproduce", run_id, "--into", "x", "--no-environment", "--yes", "--json")
    assert done.exit_code == 0, done.output
    packages = shared_installation.client.get(f"/api/v1/p/default/runs/{run_id}/artifacts/environment/packages.txt").text
    assert "\npytest==" in packages
    assert (tilth.here / "x" / "plain.py").read_text().startswith("import sys")


def test_a_nested_run_is_compared_with_the_one_of_its_name(tilth, tmp_path):
    program = """import tilth
with tilth.run("search", experiment="nested"):
    for depth in (1, 2):
        with tilth.run(f"depth {depth}", experiment="nested", nested=True) as run:
            run.log(score=depth)
"""
    (tmp_path / "search.py").write_text(program)
    subprocess.run([sys.executable, "search.py"], cwd=tmp_path, env=os.environ | tilth.environment, check=True)
    listed = json.loads(tilth("run", "list", "--experiment", "nested", "--filter", 'name="depth 2"', "--json").stdout)
    done = tilth("reproduce", listed[0]["run"]["id"], "--no-environment", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"] == [{"metric": "score", "first": 2.0, "again": 2.0, "difference": "same"}]


def test_a_trial_of_a_sweep_gets_its_params_again(tilth, shared_installation, record, repository):
    (repository / "trial.py").write_text("import json, os, sys; sys.exit(json.loads(os.environ['TILTH_PARAMS'])['depth'])\n")
    git(repository, "add", "trial.py")
    git(repository, "commit", "--quiet", "-m", "trial")
    spec = json.dumps({"metric": "score", "space": {"depth": [1, 2]}, "command": ["python", "trial.py"]})
    runs, client = "/api/v1/p/default/runs", shared_installation.client
    sweep = client.post(runs, json={"tags": {"tilth.sweep": spec}}).json()["id"]
    run_id = record(entry_point="python", argv=["trial.py"])
    assert client.patch(f"{runs}/{run_id}", json={"parent_run_id": sweep}).status_code == 200
    assert client.post(f"{runs}/{run_id}/log", json={"tags": {"tilth.sweep.params": '{"depth":7}'}}).status_code < 300
    assert tilth("reproduce", run_id, "--no-environment", "--yes").exit_code == 7
