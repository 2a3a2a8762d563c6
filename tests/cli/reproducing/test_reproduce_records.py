"""What `tilth reproduce` reads from a record: packages, the script of a command, how it was started."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.cli.reproducing.repositories import git

from tilth.cli.program_code import script_of
from tilth.cli.reproducing.launch import CannotStart, launch_of
from tilth.cli.reproducing.packages import read_packages
from tilth.wire.tracking import Environment, GitState


def a_wheel(folder: Path) -> None:
    name = "plough-1.2.0"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("plough.py", "depth = 12\n")
        wheel.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: plough\nVersion: 1.2.0\n")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")


def test_the_packages_of_the_run_are_installed_and_options_among_them_are_not(tilth, record, repository, tmp_path):
    a_wheel(tmp_path)
    (repository / "dig.py").write_text("import plough, sys; sys.exit(plough.depth)\n")
    git(repository, "add", "dig.py")
    git(repository, "commit", "--quiet", "-m", "dig")
    wheels = {"UV_FIND_LINKS": str(tmp_path), "UV_OFFLINE": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_NO_INDEX": "1"}
    listed = b"plough==1.2.0\n--index-url https://example.org/evil\n# inhouse==3 was installed from a folder of that machine\n"
    files = {"environment/packages.txt": listed}
    version = ".".join(map(str, sys.version_info[:3]))
    run_id = record(files, entry_point="dig.py", argv=[], python=version)
    done = tilth("reproduce", run_id, "--into", "dug", "--yes", "--json", **wheels)
    assert done.exit_code == 12, done.output
    answer = json.loads(done.stdout)
    assert answer["status"] == "failed"
    assert any("--index-url" in note for note in answer["notes"])
    assert any("inhouse 3" in note for note in answer["notes"])

    lacking = record({"environment/packages.txt": b"plough==7\n"}, entry_point="dig.py", argv=[], python=version)
    assert "could not be installed" in tilth.refused("reproduce", lacking, "--into", "lacks", "--yes", **wheels)
    assert not (tilth.here / "lacks" / ".venv").exists()


def test_only_packages_at_versions_are_read():
    text = "numpy==2.4.0\n-e /x\ntorch @ https://example.org/t.whl\nx @ file:///etc\ny @ git+ext::sh\n--no-index\nz\n"
    found = read_packages(text)
    assert found.wanted == ["numpy==2.4.0", "torch @ https://example.org/t.whl"]
    assert found.refused == ["-e /x", "x @ file:///etc", "y @ git+ext::sh", "--no-index", "z"]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["python", "-u", "train.py", "other.py"], "train.py"),
        (["./train.py"], "train.py"),
        (["python", "-m", "train.py"], None),
        (["sh", "-ec", "x" * 5000 + ".py"], None),
        (["python", "missing.py", "train.py"], None),
        (["train", "train.py"], "train.py"),
    ],
)
def test_the_script_of_a_command_is_found(tmp_path, command, found):
    (tmp_path / "train.py").write_text("")
    script = script_of(command, tmp_path)
    assert (script and script.name) == found


def made_by(entry_point: str, *argv: str, git: bool = True, **more: Any) -> Environment:
    state = GitState(commit="a" * 40, root="/srv/flights") if git else None
    return Environment(git=state, entry_point=entry_point, argv=list(argv), working_folder="/srv/flights/jobs", **more)


@pytest.mark.parametrize(
    ("recorded", "command", "where"),
    [
        (made_by("train.py", "--depth", "3"), "python train.py --depth 3", "jobs"),
        (made_by("../train.py"), "python ../train.py", "jobs"),
        (made_by("/srv/flights/train.py"), "python ../train.py", "jobs"),
        (made_by("python -m flights.train", "3"), "python -m flights.train 3", "jobs"),
        (made_by("/usr/bin/python3.11", "train.py"), "python train.py", "jobs"),
        (made_by("./train.sh", "-x"), "./train.sh -x", "jobs"),
        (made_by("train", "-x", code=["code/train"]), "python train -x", "jobs"),
        (made_by("train.py", git=False, code=["code/train.py"]), "python train.py", "."),
        (made_by("/tmp/odd.py", git=False, code=["code/odd.py"]), "python odd.py", "."),
        (made_by("notebook x.ipynb", code=["code/notebook.ipynb"]), "python -m IPython reproduced.ipynb", "jobs"),
    ],
)
def test_a_command_is_told_from_its_record(recorded, command, where):
    launch = launch_of(recorded)
    assert (" ".join(launch.shown), str(launch.where)) == (command, where)


@pytest.mark.parametrize(
    "recorded",
    [
        made_by("-c"),
        made_by(""),
        made_by("python -m os;x"),
        made_by("train.py", git=False),
        made_by("notebook x"),
        made_by("/x/y.py"),
    ],
)
def test_a_record_without_a_program_is_not_guessed_at(recorded):
    with pytest.raises(CannotStart):
        launch_of(recorded)
