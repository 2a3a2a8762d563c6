"""The fluent interface."""

from __future__ import annotations

import math

import pandas as pd
from mlflow.entities import Metric
from tests.mlflow.differential.place import Place

import mlflow


def runs_in_runs(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run(run_name="outer", tags={"a": "1"}, description="text") as outer:
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_metric("m", 1.0, step=2)
        place.note("again without nesting", mlflow.start_run)
    place.note("outer", {**client.get_run(outer.info.run_id).data.tags})
    place.note("parent", mlflow.get_parent_run(inner.info.run_id).info.run_name)
    place.note("ends", [client.get_run(run.info.run_id).info.status for run in (outer, inner)])


def runs_that_fail(client, place: Place):
    mlflow.set_experiment(place.name)
    try:
        with mlflow.start_run() as run:
            raise RuntimeError("broken")
    except RuntimeError:
        place.note("status", client.get_run(run.info.run_id).info.status)
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_param("p", 1)
    place.note("went on", client.get_run(run.info.run_id).info.status)
    place.note("unknown", mlflow.start_run, run_id="0" * 32)
    client.delete_run(run.info.run_id)
    place.note("deleted", mlflow.start_run, run_id=run.info.run_id)


def experiments_by_name(client, place: Place):
    made = mlflow.set_experiment(place.name)
    place.note("name", made.name)
    place.note("again", mlflow.set_experiment(place.name).experiment_id == made.experiment_id)
    place.note("by id", mlflow.set_experiment(experiment_id=made.experiment_id).name)
    place.note("unknown id", mlflow.set_experiment, experiment_id="999999")
    client.delete_experiment(made.experiment_id)
    place.note("deleted", mlflow.set_experiment, place.name)
    mlflow.set_experiment("Default")


def everything_in_one_run(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run(run_name="all") as run:
        mlflow.log_params({"a": 1, "b": 0.5, "c": None, "d": [1]})
        mlflow.log_metrics({"m": 1.0, "n": math.nan}, step=3)
        mlflow.set_tags({"t": 1, "u": "x"})
        mlflow.log_text("text", "t.txt")
        mlflow.log_dict({"a": 1}, "d.json")
        mlflow.log_input(mlflow.data.from_pandas(pd.DataFrame({"x": [1.0, 2.0]}), name="frame"), context="train")
        mlflow.set_tag("mlflow.note.content", "note")
        place.note("same param", mlflow.log_param, "a", 1)
        place.note("other param", mlflow.log_param, "a", 2)
        place.note("other params", mlflow.log_params, {"e": 1, "a": 3})
        mlflow.delete_tag("u")
    shown = client.get_run(run.info.run_id)
    place.note("params", shown.data.params)
    place.note("metrics", shown.data.metrics)
    place.note("tags", {key: value for key, value in shown.data.tags.items() if not key.startswith("mlflow.log-model")})
    place.note("inputs", [[each.dataset.name, each.dataset.digest, each.dataset.profile] for each in shown.inputs.dataset_inputs])
    place.note("last", mlflow.last_active_run().info.run_name)


def figures_and_images(client, place: Place):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    mlflow.set_experiment(place.name)
    with mlflow.start_run() as run:
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "plots/f.png")
        plt.close(figure)
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "i.png")
        place.note("stepped", mlflow.log_image, np.zeros((4, 4, 3), dtype=np.uint8), key="k", step=1)
    place.note("plots", [file.path for file in client.list_artifacts(run.info.run_id, "plots")])
    place.note("image", sorted(file.path for file in client.list_artifacts(run.info.run_id)))
    place.note("images", len(client.list_artifacts(run.info.run_id, "images")))


def searches_as_frames(client, place: Place):
    experiment = mlflow.set_experiment(place.name)
    for number in range(3):
        with mlflow.start_run(run_name=f"r{number}"):
            mlflow.log_metric("m", number)
            mlflow.log_param("p", number)
    frame = mlflow.search_runs([experiment.experiment_id], "metrics.m > 0", order_by=["metrics.m DESC"])
    place.note("columns", sorted(name for name in frame.columns if "source" not in name))
    place.note("metrics", frame["metrics.m"].tolist())
    place.note("params", frame["params.p"].tolist())
    place.note("kinds", {name: str(frame[name].dtype) for name in ("start_time", "end_time", "metrics.m", "status")})
    place.note("by name", len(mlflow.search_runs(experiment_names=[place.name])))
    place.note("list", len(mlflow.search_runs([experiment.experiment_id], output_format="list", max_results=2)))
    place.note("unknown name", len(mlflow.search_runs(experiment_names=["no such experiment"])))
    place.note("bad filter", mlflow.search_runs, [experiment.experiment_id], "foo")
    place.note("empty", mlflow.search_runs([experiment.experiment_id], "metrics.m > 99").empty)


def a_long_batch_goes_in_parts(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run() as run:
        mlflow.log_params({f"p{number}": number for number in range(250)})
        mlflow.log_metrics({f"m{number}": float(number) for number in range(1200)})
        client.log_batch(run.info.run_id, [Metric("curve", float(n), n, n) for n in range(1000)])
    shown = client.get_run(run.info.run_id).data
    place.note("counts", [len(shown.params), len(shown.metrics)])
    place.note("curve", sum(point.value for point in client.get_metric_history(run.info.run_id, "curve")))


def a_model_from_fit_to_prediction(client, place: Place):
    from sklearn.linear_model import LinearRegression

    mlflow.set_experiment(place.name)
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            LinearRegression().fit(rows, [2.0, 4.0, 6.0]),
            name="model",
            registered_model_name=place.name,
            input_example=rows,
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    version = client.get_model_version(place.name, "1")
    place.note("version", [version.version, version.status, version.current_stage, version.run_id == run.info.run_id])
    place.note("source", version.source == f"models:/{info.model_id}")
    client.set_registered_model_alias(place.name, "best", "1")
    for label, uri in {
        "alias": f"models:/{place.name}@best",
        "number": f"models:/{place.name}/1",
        "latest": f"models:/{place.name}/latest",
        "logged": info.model_uri,
        "run": f"runs:/{run.info.run_id}/model",
    }.items():
        place.note(label, lambda uri=uri: [round(float(v), 6) for v in mlflow.pyfunc.load_model(uri).predict(rows)])
    place.note("unknown alias", mlflow.pyfunc.load_model, f"models:/{place.name}@none")
    place.note("unknown version", mlflow.pyfunc.load_model, f"models:/{place.name}/9")
    place.note("logged model", client.get_logged_model(info.model_id).status)
    place.note("outputs", len(client.get_run(run.info.run_id).outputs.model_outputs))
    place.note("found", len(mlflow.search_logged_models([run.info.experiment_id], output_format="list")))
    place.note("last", mlflow.last_logged_model().model_id == info.model_id)
    again = mlflow.register_model(info.model_uri, place.name, tags={"a": "b"})
    place.note("again", [again.version, again.tags])
    place.note("unknown", mlflow.register_model, "models:/m-" + "0" * 32, place.name)
    place.note("unknown run", mlflow.register_model, "runs:/" + "0" * 32 + "/model", place.name)
