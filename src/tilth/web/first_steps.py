"""What an empty project shows: the way from nothing to an answered prediction, in commands that work when they are pasted. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. command: for a shell, or Python for a file or a notebook."""

    title: str
    text: str
    command: str


def connect(project: str) -> Step:
    return Step(
        "Connect a terminal",
        "Programs started in it find this server and this project. Is the server's home not found? Add --home DIR.",
        f'eval "$(tilth env --project {_word(project)})"',
    )


def first_run(project: str) -> Step:
    code = f"""import tilth

tilth.init(project="{project}")
with tilth.run("first", params={{"rate": 0.1}}) as run:
    loss = 1.0
    for step in range(50):
        loss *= 1 - 0.1
        run.log(loss=loss, step=step)"""
    return Step("Track a run", "In a script or a notebook; the curve grows here while it goes on.", code)


def track_script(project: str) -> Step:
    return Step(
        "Or track a script as it is",
        "The run is marked by how the program ends, with the traceback where it fails.",
        f"tilth exec --project {_word(project)} -- python train.py",
    )


def first_sweep(project: str) -> Step:
    code = f"""import tilth

def train(trial):
    return 1 - (trial["rate"] - 0.1) ** 2 - abs(trial["depth"] - 5) / 10

tilth.init(project="{project}")
tilth.sweep(train, {{"rate": {{"loguniform": [0.001, 1]}}, "depth": {{"int": [2, 10]}}}}, metric="score", trials=12)"""
    return Step("Search", "In a script or a notebook; a program of any kind is searched by `tilth sweep run`.", code)


def first_model(project: str) -> Step:
    code = f"""import tilth
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier

tilth.init(project="{project}")
X, y = load_iris(return_X_y=True, as_frame=True)
with tilth.run("iris") as run:
    model = HistGradientBoostingClassifier().fit(X, y == 2)
    run.log(accuracy=model.score(X, y == 2))
    tilth.log_model(model, name="iris", example=X.head(3))"""
    return Step("Register a model", "Its files are sealed by digest, with their signature and a model card.", code)


def first_deployment(project: str) -> Step:
    row = '{"sepal length (cm)": 6.1, "sepal width (cm)": 2.8, "petal length (cm)": 5.6, "petal width (cm)": 2.2}'
    lines = (
        f"tilth deploy iris/1 --project {_word(project)} --wait",
        f"tilth predict iris --project {_word(project)} --json-rows '[{row}]'",
    )
    return Step(
        "Serve it", "Over HTTP, in under a millisecond; a later version takes over without a failed request.", "\n".join(lines)
    )


def all_steps(project: str) -> list[Step]:
    return [connect(project), first_run(project), first_model(project), first_deployment(project)]


def _word(project: str) -> str:
    return shlex.quote(project)
