"""A version in the shadow that hangs is given up, in words, and holds up no other one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
from tests.plane.conftest import PlaneHome, SavedModel
from tests.plane.unruly_models import HANG, Named, Unruly

from tilth.core.clock import now
from tilth.core.ids import new_id
from tilth.wire import predictions
from tilth.wire.plane import PREDICTIONS_FOLDER, PlaneDeployment, PlaneRuntime
from tilth.wire.predictions import PredictionFrame
from tilth.wire.shipping import PlaneShadows, ShadowCounts

FOLLOW = """
import os, sys
from pathlib import Path
import msgspec
from tilth.plane.shadow.company import Company
from tilth.wire.shipping import PlaneShadows
home, rounds = Path(sys.argv[1]), int(sys.argv[2])
company = Company(home, home / "predictions", home / "plane" / "progress.json")
for _ in range(rounds):
    company.become(msgspec.json.decode(sys.stdin.buffer.readline(), type=PlaneShadows))
    company.load_missing("http://127.0.0.1:9")
    while company.answer_what_is_new():
        pass
sys.stdout.buffer.write(msgspec.json.encode(company.counts()))
sys.stdout.flush()
os._exit(0)  # a model that hangs would hold up the end
"""


def follow(home: PlaneHome, *wanted: PlaneShadows) -> tuple[dict[str, ShadowCounts], str]:
    """What became of each shadow, by key, and what was logged; wanted: one after the other."""
    told = b"\n".join(map(msgspec.json.encode, wanted)) + b"\n"
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW, str(home.path), str(len(wanted))], input=told, capture_output=True, check=True, timeout=120
    )
    found = msgspec.json.decode(done.stdout, type=list[ShadowCounts])
    return {counts.key: counts for counts in found}, done.stderr.decode()


def shadows(home: PlaneHome, *deployments: PlaneDeployment, generation: int = 1) -> PlaneShadows:
    """All in the shadow of the same deployment."""
    versions = tuple(version for each in deployments for version in each.versions)
    made = msgspec.structs.replace(home.deployment(generation, *versions), id="d1", runtime=PlaneRuntime(predict_timeout_s=1.0))
    return PlaneShadows((made,), {f"d1/{version.key}": 1 for version in versions})


def asked(home: PlaneHome, *values: float) -> None:
    """The log of a model server that answered these."""
    folder = home.path / PREDICTIONS_FOLDER
    folder.mkdir(exist_ok=True)
    bodies = [msgspec.json.encode({"dataframe_records": [{"a": value, "b": 0.0}]}) for value in values]
    frames = [PredictionFrame(new_id(), now(), "d1", "other/1", "application/json", "", body, b"{}", 1) for body in bodies]
    (folder / f"w0-{new_id()}.log").write_bytes(b"".join(map(predictions.encode, frames)))


def test_one_that_hangs_is_given_up_and_the_others_answer_everything(
    home: PlaneHome, models: tuple[SavedModel, SavedModel], tmp_path: Path
) -> None:
    hanging = Named(tmp_path / "hanging", "hanging", Unruly())
    home.cache(hanging)  # type: ignore[arg-type]
    home.cache(models[0])
    asked(home, 1.0, HANG, 2.0, 3.0)
    good = home.deployment(1, models[0].version(1))
    counts, _ = follow(home, shadows(home, hanging.deployed("hanging"), good))
    assert counts["sums/1"].requests == 4
    given_up = counts["hanging/1"]
    assert (given_up.requests, given_up.errors, given_up.engine) == (1, 1, "")
    assert "is asked no more; stop it, and start it again" in given_up.error
    [kept] = [path for path in (home.path / PREDICTIONS_FOLDER).iterdir() if path.name.startswith("shadow-")]
    with kept.open("rb") as stream:
        assert [frame.version for frame in predictions.iterate(stream)].count("sums/1") == 4


def test_one_that_hangs_while_it_warms_up_is_tried_once(home: PlaneHome, tmp_path: Path) -> None:
    hanging = Named(tmp_path / "cold", "cold", Unruly(at_zero=HANG))
    home.cache(hanging)  # type: ignore[arg-type]
    first, again = (shadows(home, hanging.deployed("cold"), generation=generation) for generation in (1, 2))
    counts, log = follow(home, first, again)
    assert "while it warmed up" in counts["cold/1"].error
    assert log.count("cannot be loaded") == 1
