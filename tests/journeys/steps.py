"""One program, one model and the questions that every journey asks, whatever database and store it runs on."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.conftest import Server

from tilth.cli.main import run
from tilth.wire import predictions
from tilth.wire.plane import PREDICTIONS_FOLDER, STATE_PATH, PlaneState

PATIENCE_S = 60.0
PROGRAM = """
import json
import numpy as np, pandas as pd, tilth
from sklearn.ensemble import HistGradientBoostingClassifier

rng = np.random.default_rng(5)
rows = pd.DataFrame({
    "wind": rng.normal(10, 4, 400),
    "hour": rng.integers(0, 24, 400),
    "origin": pd.Categorical.from_codes(rng.integers(0, 3, 400), ["EWR", "JFK", "LGA"]),
})
late = (rows.hour > 12).astype(int)
model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype").fit(rows, late)
with tilth.run("first", experiment="delays") as run:
    run.params(depth=3)
    for step in range(20):
        run.log(loss=1.0 / (step + 1), step=step)
    run.log_text("what was seen\\n" * 1000, "notes/seen.txt")
    logged = tilth.log_model(model, name="delay", example=rows.head(5))
tilth.set_alias("delay", "champion", 1)
view = tilth.deploy("delay@champion", "delay")
answer = tilth.predict("delay", rows.head(3))
print(json.dumps({"run": run.id, "state": view.status.state, "answer": answer, "rows": json.loads(rows.head(3).to_json(orient="records"))}))
"""
NOTES = b"what was seen\n" * 1000


@dataclass(frozen=True)
class Done:
    """What the program said: its run, and what the deployment answered to `rows`."""

    run: str
    rows: list[dict[str, Any]]
    answer: list[Any]


def python(server: Server, code: str) -> str:
    """Runs a program against the server and returns what it printed. Its home is the server's."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=server.environment,
        cwd=server.home.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def train_and_deploy(server: Server) -> Done:
    said = json.loads(python(server, PROGRAM).splitlines()[-1])
    assert said["state"] == "live"
    return Done(said["run"], said["rows"], said["answer"])


def predict(server: Server, body: Any, *, token: str | None = None, deployment: str = "delay") -> httpx.Response:
    return httpx.post(
        f"{server.serve_url}/p/default/deployments/{deployment}/invocations",
        content=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {server.token if token is None else token}", "content-type": "application/json"},
        timeout=30,
    )


def check_everything_answers(server: Server, done: Done) -> None:
    """What the program left is there: over the API, the command line, the prediction port and the pages."""
    with server.client(timeout=30) as client:
        run = client.get(f"/api/v1/p/default/runs/{done.run}").json()
        assert (run["run"]["status"], run["run"]["experiment"], run["params"]["depth"]) == ("finished", "delays", "3")
        history = client.get(f"/api/v1/p/default/runs/{done.run}/metrics/loss").json()
        assert [point[0] for point in history["points"]] == list(range(20))
        (entry,) = client.get(f"/api/v1/p/default/runs/{done.run}/artifacts", params={"path": "notes"}).json()["files"]
        assert entry["digest"] == hashlib.sha256(NOTES).hexdigest()
        assert client.get(f"/api/v1/p/default/runs/{done.run}/artifacts/notes/seen.txt").content == NOTES
        (version,) = client.get("/api/v1/p/default/models/delay").json()["versions"]
        assert (version["version"], version["aliases"]) == (1, ["champion"])
    wait_until(lambda: predict(server, {"dataframe_records": done.rows}).status_code == 200, "the deployment to answer")
    assert predict(server, {"dataframe_records": done.rows}).json()["predictions"] == done.answer
    code, out, err = tilth(server, "predict", "delay", "--json-rows", json.dumps(done.rows))
    assert [json.loads(line) for line in out.splitlines()] == done.answer, (code, err)
    check_pages(server, done)


def tilth(server: Server, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in this process: a new one takes a second to import all that it needs."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = run([*arguments, "--home", str(server.home)])
    return code, out.getvalue(), err.getvalue()


def check_pages(server: Server, done: Done) -> None:
    """Every kind of page answers to somebody who came by a one-time link, and to nobody else."""
    link = tilth(server, "open", "--print")[1].strip()
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=30) as browser:
        assert browser.get("/p/default/runs").status_code == 401
        assert browser.get(link).status_code == 200
        for page in ("", "/runs", f"/runs/{done.run}", "/models", "/models/delay", "/models/delay/versions/1"):
            assert browser.get(f"/p/default{page}").status_code == 200, page
        for page in ("/p/default/deployments", "/p/default/deployments/delay", "/p/default/audit", "/settings/projects"):
            assert browser.get(page).status_code == 200, page


def check_it_is_sound(server: Server) -> None:
    """Doctor and auditor have nothing to complain of."""
    for command, said in ((("doctor",), "nothing is broken"), (("audit", "verify"), "the audit trail holds")):
        code, out, err = tilth(server, *command)
        assert code == 0, out + err
        assert said in out


def logged_predictions(home: Path) -> dict[str, predictions.PredictionFrame]:
    """Every whole frame of the prediction log, by prediction id."""
    frames: dict[str, predictions.PredictionFrame] = {}
    for path in (home / PREDICTIONS_FOLDER).iterdir():
        with path.open("rb") as segment:
            frames |= {frame.prediction_id: frame for frame in predictions.iterate(segment)}
    return frames


def kept_predictions(server: Server) -> dict[str, list[Any]]:
    """The only output of each row of every prediction of every deployment, by prediction id; what waits is shipped first."""
    kept: dict[str, list[Any]] = {}
    with server.client(timeout=60) as client:
        base = "/api/v1/p/default/deployments"
        for deployment in client.get(base).json()["deployments"]:
            where = f"{base}/{deployment['name']}/predictions"
            client.post(f"{where}/flush", params={"timeout_s": 30}).raise_for_status()
            token, more = "", True
            while more:
                page = client.get(where, params={"limit": 1000, "page_token": token}).raise_for_status().json()
                for row in page["predictions"]:
                    (output,) = row["outputs"].values()
                    kept.setdefault(row["prediction_id"], []).append(output)
                token = page["next_page_token"]
                more = bool(token)
    return kept


def state_of(home: Path) -> PlaneState:
    """What the model servers are told."""
    return msgspec.json.decode((home / STATE_PATH).read_bytes(), type=PlaneState)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def controls(server: Server) -> list[int]:
    return [pid for pid in children_of(server.process.pid) if " tilth.app " in command_of(pid)]


def workers(server: Server) -> list[int]:
    return [pid for pid in children_of(server.process.pid) if " tilth.plane " in command_of(pid)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"waited {patience_s:.0f} s for {what}")


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What each of `count` threads got that began together."""
    start = threading.Barrier(count)

    def begin(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def answers(server: Server) -> bool:
    return httpx.get(f"{server.url}/api/v1/health", timeout=2).status_code == 200


def clean_environment(**more: str) -> dict[str, str]:
    """Of a program that finds a server by its home alone."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith(("TILTH_", "MLFLOW_"))}, **more}
