"""The interpreter that a model's process runs in: ours, one that is named, or one built from the model's requirements."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tilth.flavours import save_model
from tilth.plane.executors import ProcessPool
from tilth.plane.executors.environment import EnvironmentNotBuilt, EnvironmentUnusable, code_folder, interpreter
from tilth.plane.executors.process import Launch
from tilth.wire.plane import PlaneRuntime


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = np.random.default_rng(3).normal(size=(50, 2))
    place = tmp_path_factory.mktemp("environments") / "model"
    save_model(LinearRegression().fit(rows, rows.sum(axis=1)), place, example=rows)
    return place


def answer(python: str, folder: Path, home: Path) -> tuple[list[float], str]:
    """What the model says to (1, 2) in that interpreter, and what program its process runs."""
    pool = ProcessPool(Launch("sums/1", folder, python, code_folder(home), 1, 0, 20.0), 1, 1)
    try:
        pool.start()
        (process,) = pool.processes()
        return pool.predict({"rows": np.array([[1.0, 2.0]])})["rows"].round(6).tolist(), process.launch.python
    finally:
        pool.close()


def test_by_default_it_is_ours(folder: Path, tmp_path: Path) -> None:
    assert interpreter(PlaneRuntime(process=True), folder, tmp_path) == sys.executable


def test_a_named_interpreter_brings_its_own_packages_and_none_of_ours(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    with pytest.raises(EnvironmentUnusable, match=r"No module named 'msgspec'.*pip install"):
        interpreter(PlaneRuntime(python=str(python)), folder, tmp_path)
    packages = next((place / "lib").glob("python*")) / "site-packages"
    for name in ("numpy", "numpy.libs", "msgspec", "yaml"):
        found = Path(sysconfig.get_path("purelib"), name)
        if found.exists():
            (packages / name).symlink_to(found)
    assert answer(interpreter(PlaneRuntime(python=str(python)), folder, tmp_path), folder, tmp_path) == ([3.0], str(python))


@pytest.mark.parametrize(
    ("python", "why"), [("/no/such", "no program"), ("python3", "absolute path"), ("/bin/false", "cannot run")]
)
def test_what_is_no_interpreter_is_refused(folder: Path, tmp_path: Path, python: str, why: str) -> None:
    with pytest.raises(EnvironmentUnusable, match=why):
        interpreter(PlaneRuntime(python=python), folder, tmp_path)


def test_an_environment_is_built_once_from_the_models_requirements(folder: Path, tmp_path: Path) -> None:
    (folder / "requirements.txt").write_text("tilth==99\n# nothing else\n")
    runtime: Any = PlaneRuntime(environment="model")
    try:
        python = interpreter(runtime, folder, tmp_path)
    except EnvironmentNotBuilt as error:
        pytest.skip(f"no package registry and no cache of one can be reached: {error}")
    assert python.startswith(str(tmp_path))
    built = Path(python).stat().st_mtime_ns
    assert interpreter(runtime, folder, tmp_path) == python
    assert Path(python).stat().st_mtime_ns == built
    assert answer(python, folder, tmp_path) == ([3.0], python)


def test_requirements_that_nobody_can_meet_say_so_and_leave_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "requirements.txt").write_text("numpy==0.0.0.1\n")
    with pytest.raises(EnvironmentNotBuilt, match="cannot be built"):
        interpreter(PlaneRuntime(environment="model"), folder, tmp_path)
    assert not list(tmp_path.rglob(".complete"))


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example.org/simple",
        "-r /etc/passwd",
        "-e /srv/code",
        "numpy @ https://packages.example.org/numpy.whl",
        "https://packages.example.org/numpy.whl",
        "./numpy",
        "numpy==2 --global-option=build",
        "numpy; python_version > '3' --config-settings=a=b",
        "numpy \\",
        "this is no requirement",
    ],
)
def test_requirements_say_names_and_versions_not_where_packages_come_from(folder: Path, tmp_path: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(f"numpy>=2\n{line}\n")
    with pytest.raises(EnvironmentUnusable, match="no package by name and version"):
        interpreter(PlaneRuntime(environment="model"), folder, tmp_path)
    assert not list(tmp_path.rglob("pyvenv.cfg"))


def test_a_folder_without_requirements_cannot_ask_for_an_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusable, match=r"no requirements\.txt"):
        interpreter(PlaneRuntime(environment="model"), tmp_path, tmp_path)
