"""Trains the flight-delay model and deploys it in the Tilth of a home: a process of its own, so that nothing of it is measured.

    python -m benchmarks.demo_model --home DIR --bodies FILE [--quick]

FILE gets one request body a line, one flight of the first week of April each, in MLflow's form `dataframe_split`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from examples.flight_delay.asking import bodies
from examples.flight_delay.data import between, flights_with_weather
from examples.flight_delay.features import features
from examples.flight_delay.training import PARAMS, split_by_day, train

import tilth
from benchmarks.processes import NotStarted, Tilth, environment

NAME = "flight-delay"
ROWS = 1000


def deploy_in(running: Tilth, quick: bool) -> list[bytes]:
    """Deploys the model in a running Tilth. Returns the request bodies. Raises NotStarted."""
    file = running.home.parent / "bodies.jsonl"
    command = [sys.executable, "-m", "benchmarks.demo_model", "--home", str(running.home), "--bodies", str(file)]
    ended = subprocess.run(
        [*command, *(["--quick"] if quick else [])], env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    if ended.returncode:
        raise NotStarted(f"the model could not be deployed: {ended.stderr.strip()[-600:]}")
    return file.read_bytes().splitlines()


def invocations(running: Tilth) -> str:
    return f"/p/{running.project}/deployments/{NAME}/invocations"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--bodies", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="ten trees from one month, instead of the whole model")
    given = parser.parse_args()
    flights = flights_with_weather()
    split = split_by_day(between(flights, "2013-01-01", "2013-01-31" if given.quick else "2013-03-31"))
    fitted = train(split, {**PARAMS, "max_iter": 10} if given.quick else PARAMS)
    tilth.init(home=str(given.home))
    unseen = {"dest": "missing", "carrier": "missing"}
    model = tilth.log_model(fitted.model, name=NAME, example=split.X.head(5), unseen=unseen)  # type: ignore[arg-type]
    assert model.version is not None
    tilth.set_alias(NAME, "champion", model.version)
    tilth.deploy(f"{NAME}@champion", wait=True)
    asked = features(between(flights, "2013-04-01", "2013-04-07").head(ROWS), split.known)
    given.bodies.write_bytes(b"\n".join(bodies(asked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
