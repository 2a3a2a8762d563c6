"""Fills MLflow stores with two experiments by MLflow's own client. Arguments: tracking URIs."""

from __future__ import annotations

import sys

from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset

import mlflow
from mlflow import MlflowClient


def echo(model_input):
    return model_input


def fill(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("flights")
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_params({"depth": 3, "long": "x" * 500})
        mlflow.log_metrics({"auc": 0.7, "odd": float("nan")})
        for start in range(0, 6000, 1000):
            points = [mlflow.entities.Metric("loss", 1 / (s + 1), 1000 + s, s) for s in range(start, start + 1000)]
            MlflowClient().log_batch(run.info.run_id, metrics=points)
        mlflow.set_tag("team", "a")
        mlflow.set_tag("mlflow.note.content", "went well")
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_text("world", "b.txt")
        data = MetaDataset(HTTPDatasetSource("http://example.test/d"), name="d1", digest="1234")
        mlflow.log_input(data, context="training")
        mlflow.pyfunc.log_model(name="model", python_model=echo, pip_requirements=[], registered_model_name="churn")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("x", 1)
    client = MlflowClient()
    client.set_registered_model_alias("churn", "champion", 1)
    client.update_registered_model("churn", "predicts churn")
    client.set_model_version_tag("churn", "1", "k", "v")
    with mlflow.start_run(run_name="dead") as dead:
        mlflow.log_param("p", "1")
    client.delete_run(dead.info.run_id)


for uri in sys.argv[1:]:
    fill(uri)
