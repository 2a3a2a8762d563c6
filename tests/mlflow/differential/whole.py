"""Whole pieces of work with the fluent interface: files, tables, models, autologging."""

from __future__ import annotations

import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from tests.mlflow.differential.place import Place

import mlflow

ROWS = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0.5, 0.1, 0.9, 0.3]})
TARGET = [2.0, 4.0, 6.0, 8.0]


def experiments_by_the_fluent_interface(client, place: Place):
    made = mlflow.create_experiment(place.name, tags={"a": "1"})
    place.note("by name", mlflow.get_experiment_by_name(place.name).tags)
    place.note("unknown name", mlflow.get_experiment_by_name("no such experiment"))
    mlflow.set_experiment(place.name)
    mlflow.set_experiment_tags({"b": 2, "c": "x"})
    place.note("tags", client.get_experiment(made).tags)
    place.note("found", [found.name for found in mlflow.search_experiments(filter_string=f"name = '{place.name}'")])
    mlflow.delete_experiment(made)
    place.note("deleted", client.get_experiment(made).lifecycle_stage)
    mlflow.set_experiment("Default")


def files_by_the_fluent_interface(client, place: Place):
    mlflow.set_experiment(place.name)
    place.file("tree/a.txt", b"alpha")
    place.file("tree/b/c.json", b'{"c": 1}')
    with mlflow.start_run() as run:
        mlflow.log_artifact(place.file("one.txt", b"one"), "folder")
        mlflow.log_artifacts(str(place.folder / "tree"), "tree")
    root = mlflow.get_artifact_uri() if mlflow.active_run() else run.info.artifact_uri
    place.note("text", mlflow.artifacts.load_text(f"{root}/folder/one.txt"))
    place.note("dict", mlflow.artifacts.load_dict(f"{root}/tree/b/c.json"))
    place.note("by run", mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/tree/a.txt"))
    place.note("list", [found.path for found in mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="tree")])
    place.note("list by uri", [found.path for found in mlflow.artifacts.list_artifacts(f"runs:/{run.info.run_id}/tree")])
    place.note("bad json", mlflow.artifacts.load_dict, f"{root}/tree/a.txt")


def tables_that_grow(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run() as run:
        mlflow.log_table(pd.DataFrame({"q": ["a", "b"], "n": [1, 2]}), "t/table.json")
        mlflow.log_table({"q": ["c"], "n": [3]}, "t/table.json")
    table = mlflow.load_table("t/table.json", run_ids=[run.info.run_id], extra_columns=["run_id"])
    place.note("columns", sorted(table.columns))
    place.note("rows", table[["q", "n"]].to_dict("list"))
    place.note("unknown", mlflow.load_table, "none.json", run_ids=[run.info.run_id])


def a_run_below_a_named_parent(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run(run_name="parent") as parent:
        pass
    with mlflow.start_run(run_name="child", parent_run_id=parent.info.run_id) as child:
        mlflow.log_metric("m", 1, timestamp=5, step=1)
    place.note("parent", client.get_parent_run(child.info.run_id).info.run_name)
    place.note("unknown parent", mlflow.start_run, parent_run_id="0" * 32)
    place.note("found", len(client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")))


def one_data_set_in_two_roles(client, place: Place):
    mlflow.set_experiment(place.name)
    data = mlflow.data.from_pandas(ROWS, name="frame")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="train")
        mlflow.log_input(mlflow.data.from_numpy(np.arange(4.0), name="array"), context="test", tags={"a": "b"})
    shown = client.get_run(run.info.run_id).inputs.dataset_inputs
    place.note("names", sorted([each.dataset.name, sorted((tag.key, tag.value) for tag in each.tags)] for each in shown))
    place.note("found", len(mlflow.search_runs(filter_string="dataset.name = 'array'", output_format="list")))
    place.note("by context", len(mlflow.search_runs(filter_string="dataset.context = 'test'", output_format="list")))


def a_run_removed_by_the_fluent_interface(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run() as run:
        pass
    mlflow.delete_run(run.info.run_id)
    place.note("deleted", mlflow.get_run(run.info.run_id).info.lifecycle_stage)
    place.note("frame", len(mlflow.search_runs()))


def _fitted():
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(ROWS, TARGET)


def a_model_with_its_signature(client, place: Place):
    mlflow.set_experiment(place.name)
    model = _fitted()
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="m",
            signature=infer_signature(ROWS, model.predict(ROWS)),
            params={"depth": 3},
            tags={"kind": "line"},
            model_type="regressor",
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    shown = client.get_logged_model(info.model_id)
    place.note("logged", [shown.name, shown.params, shown.tags.get("kind"), shown.model_type, str(shown.status)])
    read = mlflow.models.get_model_info(info.model_uri)
    place.note("inputs", read.signature.inputs.to_dict())
    place.note("flavors", sorted(read.flavors))
    place.note("wrong column", mlflow.pyfunc.load_model(info.model_uri).predict, pd.DataFrame({"z": [1.0]}))
    place.note(
        "frame", sorted(name for name in mlflow.search_logged_models().columns if name in ("name", "params", "tags", "status"))
    )


def a_model_of_own_code(client, place: Place):
    class Doubled(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            return [2 * value for value in model_input]

    mlflow.set_experiment(place.name)
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="double", python_model=Doubled(), pip_requirements=["mlflow"])
    place.note("predicts", list(mlflow.pyfunc.load_model(info.model_uri).predict([1, 2])))
    place.note("listed", sorted(found.path for found in client.list_logged_model_artifacts(info.model_id)))


def a_model_that_is_kept_elsewhere(client, place: Place):
    mlflow.set_experiment(place.name)
    made = mlflow.create_external_model(name="agent", model_type="agent", params={"a": "1"}, tags={"t": "2"})
    place.note("made", [made.name, str(made.status), made.params, made.model_type])
    opened = mlflow.initialize_logged_model(name="later", params={"p": "1"})
    place.note("opened", str(opened.status))
    place.note("finished", str(mlflow.finalize_logged_model(opened.model_id, "READY").status))
    mlflow.set_logged_model_tags(made.model_id, {"more": "x"})
    mlflow.delete_logged_model_tag(made.model_id, "t")
    mlflow.log_model_params({"late": "v"}, model_id=made.model_id)
    shown = mlflow.get_logged_model(made.model_id)
    place.note("params", shown.params)
    place.note("tags", {key: value for key, value in shown.tags.items() if not key.startswith("mlflow.")})


def versions_by_stage_and_alias(client, place: Place):
    mlflow.set_experiment(place.name)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            _fitted(), name="m", pip_requirements=["scikit-learn"], serialization_format="cloudpickle"
        )
    first = mlflow.register_model(info.model_uri, place.name)
    place.note("first", [first.version, first.current_stage])
    client.transition_model_version_stage(place.name, "1", "Production")
    place.note("by stage", mlflow.pyfunc.load_model(f"models:/{place.name}/Production").predict(ROWS).round(6).tolist())
    place.note("no such stage", mlflow.pyfunc.load_model, f"models:/{place.name}/Staging")
    place.note("found", [found.version for found in mlflow.search_model_versions(filter_string=f"name = '{place.name}'")])
    place.note("model", [found.name for found in mlflow.search_registered_models(filter_string=f"name = '{place.name}'")])
    mlflow.set_model_version_tag(place.name, "1", "checked", "yes")
    place.note("tag", client.get_model_version(place.name, "1").tags)
    copied = client.copy_model_version(f"models:/{place.name}/1", f"{place.name}-live")
    place.note("copied", [copied.name, copied.version, copied.source])
    place.note("loads", mlflow.pyfunc.load_model(f"models:/{place.name}-live/1").predict(ROWS).round(6).tolist())


def _summary(client, run_id: str) -> dict[str, object]:
    shown = client.get_run(run_id)
    return {
        "status": shown.info.status,
        "params": sorted(shown.data.params),
        "metrics": sorted(shown.data.metrics),
        "tags": sorted(key for key in shown.data.tags if not key.startswith("mlflow.")),
        "inputs": [[tag.value for tag in each.tags] for each in shown.inputs.dataset_inputs],
        "outputs": len(shown.outputs.model_outputs),
        "artifacts": sorted(found.path for found in client.list_artifacts(run_id)),
    }


def autologging_of_scikit_learn(client, place: Place):
    from sklearn.linear_model import Ridge

    mlflow.set_experiment(place.name)
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        with mlflow.start_run() as run:
            model = Ridge(alpha=0.5).fit(ROWS, TARGET)
            model.score(ROWS, TARGET)
    finally:
        mlflow.sklearn.autolog(disable=True)
    place.note("run", _summary(client, run.info.run_id))


def autologging_of_lightgbm(client, place: Place):
    import lightgbm

    mlflow.set_experiment(place.name)
    mlflow.lightgbm.autolog(silent=True, log_input_examples=False)
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(80, 3))
    data = lightgbm.Dataset(rows, (rows[:, 0] > 0).astype(int))
    try:
        with mlflow.start_run() as run:
            options = {"objective": "binary", "metric": "binary_logloss", "verbose": -1, "num_threads": 1, "seed": 1}
            model = lightgbm.train(options, data, num_boost_round=4, valid_sets=[data], valid_names=["train"])
    finally:
        mlflow.lightgbm.autolog(disable=True)
    place.note("run", _summary(client, run.info.run_id))
    place.note("curve", [point.step for point in client.get_metric_history(run.info.run_id, "train-binary_logloss")])
    back = mlflow.lightgbm.load_model(f"runs:/{run.info.run_id}/model")
    place.note("back", bool(np.allclose(back.predict(rows), model.predict(rows))))


def autologging_of_xgboost(client, place: Place):
    import xgboost

    mlflow.set_experiment(place.name)
    mlflow.xgboost.autolog(silent=True, log_input_examples=False)
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(80, 3))
    data = xgboost.DMatrix(rows, (rows[:, 0] > 0).astype(int))
    try:
        with mlflow.start_run() as run:
            options = {"objective": "binary:logistic", "nthread": 1, "eval_metric": "logloss"}
            model = xgboost.train(options, data, num_boost_round=4, evals=[(data, "train")], verbose_eval=False)
    finally:
        mlflow.xgboost.autolog(disable=True)
    place.note("run", _summary(client, run.info.run_id))
    place.note("curve", [point.step for point in client.get_metric_history(run.info.run_id, "train-logloss")])
    back = mlflow.xgboost.load_model(f"runs:/{run.info.run_id}/model")
    place.note("back", bool(np.allclose(back.predict(data), model.predict(data))))
