"""Runs and what they log."""

from __future__ import annotations

import math

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, Metric, Param, RunTag
from tests.mlflow.differential.place import Place

NONE = "0" * 32


def a_new_run(client, place: Place):
    made = place.note("made", client.create_run, place.experiment(), start_time=5, tags={"a": "1"}, run_name="first")
    place.note("read", client.get_run, made.info.run_id)


def a_run_without_a_name(client, place: Place):
    made = place.note("made", client.create_run, place.experiment(), start_time=5)
    place.note("tag", made.data.tags["mlflow.runName"] == made.info.run_name)


def names_of_runs(client, place: Place):
    experiment = place.experiment()
    for label, fields in {
        "empty": {"run_name": ""},
        "unicode": {"run_name": "läuf 🌍"},
        "path": {"run_name": "../../x"},
        "long": {"run_name": "n" * 250},
        "longer": {"run_name": "n" * 300},
        "tag": {"tags": {"mlflow.runName": "by tag"}},
        "both same": {"run_name": "x", "tags": {"mlflow.runName": "x"}},
        "both": {"run_name": "x", "tags": {"mlflow.runName": "y"}},
    }.items():
        place.note(label, client.create_run, experiment, start_time=1, **fields)


def runs_in_no_experiment(client, place: Place):
    for number in ("999999", "abc", "", None, "-1", "99999999999999999999"):
        place.note(str(number), client.create_run, number)


def odd_fields_of_new_runs(client, place: Place):
    experiment = place.experiment()
    for label, fields in {
        "start text": {"start_time": "x"},
        "start float": {"start_time": 1.5},
        "start negative": {"start_time": -1},
        "start huge": {"start_time": 2**63},
        "start zero": {"start_time": 0},
        "tag key": {"tags": {"../x": "1"}},
        "tag key long": {"tags": {"k" * 251: "1"}},
        "tag value long": {"tags": {"k": "v" * 8001}},
        "tag number": {"tags": {"k": 5}},
        "tag None": {"tags": {"k": None}},
        "tag empty key": {"tags": {"": "v"}},
    }.items():
        place.note(label, client.create_run, experiment, **{"start_time": 1, **fields})


def unknown_runs(client, place: Place):
    for run in (NONE, "../x", "", "r" * 300, "ü"):
        place.note(f"get {run[:20]}", client.get_run, run)
        place.note(f"delete {run[:20]}", client.delete_run, run)
        place.note(f"restore {run[:20]}", client.restore_run, run)
        place.note(f"metric {run[:20]}", client.log_metric, run, "a", 1)
        place.note(f"param {run[:20]}", client.log_param, run, "a", 1)
        place.note(f"tag {run[:20]}", client.set_tag, run, "a", 1)
        place.note(f"untag {run[:20]}", client.delete_tag, run, "a")
        place.note(f"history {run[:20]}", client.get_metric_history, run, "a")
        place.note(f"end {run[:20]}", client.set_terminated, run)
        place.note(f"update {run[:20]}", client.update_run, run, "RUNNING")
        place.note(f"batch {run[:20]}", client.log_batch, run, metrics=[Metric("a", 1, 1, 1)])
        place.note(f"inputs {run[:20]}", client.log_inputs, run, [DatasetInput(Dataset("n", "d", "t", "s"), [])])
        place.note(f"outputs {run[:20]}", client.log_outputs, run, [LoggedModelOutput("m-" + NONE, 0)])
        place.note(f"list {run[:20]}", client.list_artifacts, run)


def ends_of_runs(client, place: Place):
    experiment = place.experiment()
    for status in ("FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED", "foo", "", None):
        run = place.run(experiment)
        place.note(f"{status}", client.set_terminated, run, status, end_time=9)
        place.note(f"{status}: shown", client.get_run(run).info)
    run = place.run(experiment)
    client.set_terminated(run, "FINISHED", 9)
    place.note("again", client.set_terminated, run, "FAILED", 12)
    place.note("again: shown", client.get_run(run).info)
    place.note("log afterwards", client.log_metric, run, "a", 1)
    place.note("running again", client.update_run, run, "RUNNING")
    place.note("running again: shown", client.get_run(run).info)


def changing_runs(client, place: Place):
    run = place.run()
    place.note("name", client.update_run, run, name="new")
    place.note("name: shown", client.get_run, run)
    place.note("status", client.update_run, run, status="FAILED")
    place.note("empty name", client.update_run, run, name="")
    place.note("name tag", client.set_tag, run, "mlflow.runName", "by tag")
    place.note("name tag: shown", client.get_run, run)
    place.note("untag name", client.delete_tag, run, "mlflow.runName")
    place.note("note", client.set_tag, run, "mlflow.note.content", "text")
    place.note("note: shown", client.get_run(run).data.tags.get("mlflow.note.content"))
    place.note("untag note", client.delete_tag, run, "mlflow.note.content")
    place.note("untag note again", client.delete_tag, run, "mlflow.note.content")


def deleted_runs(client, place: Place):
    run = place.run()
    client.log_metric(run, "a", 1)
    client.set_tag(run, "t", "1")
    place.note("deleted", client.delete_run, run)
    place.note("shown", client.get_run(run).info)
    place.note("again", client.delete_run, run)
    place.note("metric", client.log_metric, run, "a", 2)
    place.note("param", client.log_param, run, "a", 2)
    place.note("tag", client.set_tag, run, "a", 2)
    place.note("untag", client.delete_tag, run, "t")
    place.note("end", client.set_terminated, run)
    place.note("batch", client.log_batch, run, params=[Param("a", "1")])
    place.note("inputs", client.log_inputs, run, [DatasetInput(Dataset("n", "d", "t", "s"), [])])
    place.note("history", client.get_metric_history, run, "a")
    place.note("text", client.list_artifacts, run)
    place.note("restored", client.restore_run, run)
    place.note("restored again", client.restore_run, run)
    place.note("back", client.get_run(run).info.lifecycle_stage)


def metrics(client, place: Place):
    run = place.run()
    for label, key, value in (
        ("whole", "whole", 3),
        ("float", "float", 0.1),
        ("nan", "nan", math.nan),
        ("inf", "inf", math.inf),
        ("minus inf", "-inf", -math.inf),
        ("huge", "huge", 1e308),
        ("tiny", "tiny", 5e-324),
        ("bool", "bool", True),
        ("text number", "text number", "1.5"),
        ("text", "text", "abc"),
        ("None", "none", None),
        ("empty key", "", 1),
        ("path key", "../x", 1),
        ("path key 2", "/x", 1),
        ("path key 3", "a//b", 1),
        ("path key 4", "a/./b", 1),
        ("path key 5", ".", 1),
        ("path key 6", "a/", 1),
        ("slash key", "a/b", 1),
        ("odd key", "a$b", 1),
        ("odd key 2", "a'b", 1),
        ("colon key", "a:b", 1),
        ("blank key", "a b-c.d_e", 1),
        ("unicode key", "größe", 1),
        ("key 250", "k" * 250, 1),
        ("key 251", "k" * 251, 1),
    ):
        place.note(label, client.log_metric, run, key, value, timestamp=5, step=1)
    place.note("shown", client.get_run(run).data.metrics)
    place.note("nan history", client.get_metric_history, run, "nan")
    place.note("inf history", client.get_metric_history, run, "inf")
    place.note("-inf history", client.get_metric_history, run, "-inf")


def steps_and_moments_of_metrics(client, place: Place):
    run = place.run()
    for label, fields in {
        "step negative": {"step": -5},
        "step text": {"step": "x"},
        "step float": {"step": 1.5},
        "step huge": {"step": 2**63 - 1},
        "step too huge": {"step": 2**63},
        "step None": {"step": None},
        "moment negative": {"timestamp": -1},
        "moment zero": {"timestamp": 0},
        "moment text": {"timestamp": "x"},
        "moment float": {"timestamp": 1.5},
    }.items():
        place.note(label, client.log_metric, run, "m", 1.0, **{"timestamp": 5, "step": 1, **fields})
    place.note("history", client.get_metric_history, run, "m")


def the_latest_of_a_metric(client, place: Place):
    run = place.run()
    for value, moment, step in ((1, 5, 0), (2, 4, 1), (3, 9, 0), (4, 4, 1), (0, 4, 1), (7, 1, -3)):
        client.log_metric(run, "m", value, timestamp=moment, step=step)
        place.note(f"after {value}", client.get_run(run).data.metrics["m"])
    place.note("history", client.get_metric_history, run, "m")
    for value in (math.nan, 5.0, math.nan):
        client.log_metric(run, "n", value, timestamp=1, step=1)
    place.note("nan", client.get_run(run).data.metrics["n"])
    place.note("twice the same", client.log_metric, run, "m", 4, timestamp=4, step=1)
    place.note("not doubled", len(client.get_metric_history(run, "m")))


def histories(client, place: Place):
    run = place.run()
    client.log_batch(run, [Metric("m", float(n), n, n % 7) for n in range(50)])
    place.note("all", client.get_metric_history, run, "m")
    place.note("none", client.get_metric_history, run, "no such metric")
    place.note("odd key", client.get_metric_history, run, "../x")
    place.note("empty key", client.get_metric_history, run, "")


def metrics_of_models_and_datasets(client, place: Place):
    experiment = place.experiment()
    run = place.run(experiment)
    model = client.create_logged_model(experiment, "m", source_run_id=run)
    client.log_inputs(run, [DatasetInput(Dataset("data", "d1", "t", "s"), [InputTag("mlflow.data.context", "train")])])
    place.note("model", client.log_metric, run, "a", 1, timestamp=1, step=1, model_id=model.model_id)
    place.note(
        "dataset",
        client.log_metric,
        run,
        "b",
        2,
        timestamp=1,
        step=1,
        model_id=model.model_id,
        dataset_name="data",
        dataset_digest="d1",
    )
    place.note("unknown model", client.log_metric, run, "c", 1, timestamp=1, step=1, model_id="m-" + NONE)
    place.note("dataset alone", client.log_metric, run, "d", 1, timestamp=1, step=1, dataset_name="data")
    place.note("run", client.get_run, run)
    place.note("the model", client.get_logged_model, model.model_id)
    place.note("history", client.get_metric_history, run, "b")


def params(client, place: Place):
    run = place.run()
    for label, key, value in (
        ("text", "text", "x"),
        ("number", "number", 5),
        ("float", "float", 0.1),
        ("None", "none", None),
        ("list", "list", [1, 2]),
        ("empty", "empty", ""),
        ("empty key", "", "x"),
        ("path", "../x", "x"),
        ("odd", "a=b", "x"),
        ("unicode", "größe", "ü🌍"),
        ("key 250", "k" * 250, "x"),
        ("key 251", "k" * 251, "x"),
        ("value 6000", "v6000", "v" * 6000),
        ("value 6001", "v6001", "v" * 6001),
        ("lines", "lines", "a\nb"),
        ("NUL", "nul", "a\0b"),
    ):
        place.note(label, client.log_param, run, key, value)
    place.note("shown", {key: value[:20] + f"({len(value)})" for key, value in client.get_run(run).data.params.items()})


def params_do_not_change(client, place: Place):
    run = place.run()
    client.log_param(run, "a", 1)
    place.note("same", client.log_param, run, "a", 1)
    place.note("other", client.log_param, run, "a", 2)
    place.note("batch", client.log_batch, run, params=[Param("b", "1"), Param("a", "2")])
    place.note("batch same", client.log_batch, run, params=[Param("a", "1")])
    place.note("twice in a batch", client.log_batch, run, params=[Param("c", "1"), Param("c", "2")])
    place.note("twice in a batch, same", client.log_batch, run, params=[Param("d", "1"), Param("d", "1")])
    place.note("shown", client.get_run(run).data.params)


def tags(client, place: Place):
    run = place.run(run_name="r")
    for label, key, value in (
        ("text", "text", "x"),
        ("again", "text", "y"),
        ("number", "number", 5),
        ("None", "none", None),
        ("empty", "empty", ""),
        ("empty key", "", "x"),
        ("path", "../x", "x"),
        ("odd", "a=b", "x"),
        ("unicode", "größe", "ü🌍"),
        ("key 250", "k" * 250, "x"),
        ("key 251", "k" * 251, "x"),
        ("value 8000", "v8000", "v" * 8000),
        ("value 8001", "v8001", "v" * 8001),
        ("user", "mlflow.user", "somebody"),
        ("parent that is none", "mlflow.parentRunId", "nobody"),
    ):
        place.note(label, client.set_tag, run, key, value)
    place.note("shown", {key: value[:20] + f"({len(value)})" for key, value in client.get_run(run).data.tags.items()})
    place.note("remove", client.delete_tag, run, "text")
    place.note("remove again", client.delete_tag, run, "text")
    place.note("remove odd", client.delete_tag, run, "no such/tag")


def batches(client, place: Place):
    run = place.run()
    place.note("empty", client.log_batch, run)
    place.note("mixed", client.log_batch, run, [Metric("m", 1, 1, 0)], [Param("p", "1")], [RunTag("t", "1")])
    place.note("shown", client.get_run(run).data)
    place.note("1000 metrics", client.log_batch, run, [Metric(f"m{n}", n, 1, 0) for n in range(1000)])
    place.note("101 params", lambda: client.log_batch(run, params=[Param(f"p{n}", "1") for n in range(101)]))
    place.note("101 tags", lambda: client.log_batch(run, tags=[RunTag(f"t{n}", "1") for n in range(101)]))
    place.note("bad metric", client.log_batch, run, [Metric("ok", 1, 1, 0), Metric("../x", 1, 1, 0)])
    place.note("all or nothing", "ok" in client.get_run(run).data.metrics)
    place.note("bad param", client.log_batch, run, [Metric("ok", 1, 1, 0)], [Param("", "1")])
    place.note("bad tag", client.log_batch, run, tags=[RunTag("a$b", "1")])
    place.note("long param", client.log_batch, run, params=[Param("long", "v" * 6001)])
    place.note("long tag", client.log_batch, run, tags=[RunTag("long", "v" * 8001)])
    place.note("lengths", [len(client.get_run(run).data.params["long"]), len(client.get_run(run).data.tags["long"])])
    place.note("nan", client.log_batch, run, [Metric("nan", math.nan, 1, 0)])
    place.note("nan: shown", client.get_run(run).data.metrics["nan"])
    place.note("same point twice", client.log_batch, run, [Metric("s", 1, 1, 0), Metric("s", 1, 1, 0)])
    place.note("same point twice: history", client.get_metric_history, run, "s")


def inputs(client, place: Place):
    run = place.run()
    entry = DatasetInput(
        Dataset("data", "d1", "local", '{"uri":"x"}', schema="{}", profile="{}"), [InputTag("mlflow.data.context", "train")]
    )
    place.note("one", client.log_inputs, run, [entry])
    place.note("again", client.log_inputs, run, [entry])
    place.note("more tags", client.log_inputs, run, [DatasetInput(entry.dataset, [InputTag("a", "b")])])
    place.note(
        "two",
        client.log_inputs,
        run,
        [DatasetInput(Dataset("e", "2", "t", "s"), []), DatasetInput(Dataset("f", "3", "t", "s"), [])],
    )
    place.note(
        "shown",
        sorted(
            (
                [e.dataset.name, e.dataset.digest, sorted((t.key, t.value) for t in e.tags)]
                for e in client.get_run(run).inputs.dataset_inputs
            ),
            key=str,
        ),
    )
    place.note("none", client.log_inputs, run, [])
    for label, dataset in {
        "name 500": Dataset("n" * 500, "d", "t", "s"),
        "name 501": Dataset("n" * 501, "d", "t", "s"),
        "digest 36": Dataset("x", "d" * 36, "t", "s"),
        "digest 37": Dataset("x", "d" * 37, "t", "s"),
        "source 65536": Dataset("x", "e", "t", "s" * 65536),
        "source 65537": Dataset("x", "f", "t", "s" * 65537),
        "empty name": Dataset("", "d", "t", "s"),
        "empty digest": Dataset("x", "", "t", "s"),
        "empty source": Dataset("x", "g", "t", ""),
        "empty source type": Dataset("x", "h", "", "s"),
    }.items():
        place.note(label, client.log_inputs, run, [DatasetInput(dataset, [])])
    place.note("tag key", client.log_inputs, run, [DatasetInput(Dataset("x", "i", "t", "s"), [InputTag("k" * 256, "v")])])
    place.note("tag value", client.log_inputs, run, [DatasetInput(Dataset("x", "j", "t", "s"), [InputTag("k", "v" * 501)])])


def models_as_inputs_and_outputs(client, place: Place):
    experiment = place.experiment()
    run = place.run(experiment)
    model = client.create_logged_model(experiment, "m")
    place.note("input", client.log_inputs, run, models=[LoggedModelInput(model.model_id)])
    place.note("output", client.log_outputs, run, [LoggedModelOutput(model.model_id, 3)])
    place.note("output again", client.log_outputs, run, [LoggedModelOutput(model.model_id, 4)])
    place.note("shown", client.get_run, run)


def children(client, place: Place):
    experiment = place.experiment()
    parent = place.run(experiment)
    child = place.run(experiment, tags={"mlflow.parentRunId": parent})
    place.note("parent", client.get_parent_run, child)
    place.note("no parent", client.get_parent_run, parent)
    place.note("tag", client.get_run(child).data.tags["mlflow.parentRunId"])
    place.note("found", [run.info.run_id for run in client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")])
