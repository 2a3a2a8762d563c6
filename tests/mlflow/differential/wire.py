"""Requests that no well-behaved client sends, as they travel."""

from __future__ import annotations

from tests.mlflow.differential.place import Place


def bodies_that_are_no_json(client, place: Place):
    for label, body in {
        "text": b"hello",
        "half": b'{"name": ',
        "list": b"[]",
        "number": b"5",
        "null": b"null",
        "nothing": b"",
    }.items():
        place.ask(label, "POST", "experiments/create", body)
    place.ask("two", "POST", "experiments/create", b"{}{}")
    place.ask("latin", "POST", "experiments/create", b'{"name": "\xff"}')


def other_content_types(client, place: Place):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "application/JSON"):
        place.ask(kind, "POST", "experiments/create", b"{}", headers={"content-type": kind})
    place.ask("none", "POST", "experiments/create", b'{"name": ""}', headers={})


def missing_parameters(client, place: Place):
    for call in (
        "experiments/create",
        "experiments/delete",
        "experiments/restore",
        "experiments/update",
        "experiments/set-experiment-tag",
        "experiments/delete-experiment-tag",
        "runs/update",
        "runs/delete",
        "runs/restore",
        "runs/log-metric",
        "runs/log-parameter",
        "runs/set-tag",
        "runs/delete-tag",
        "runs/log-batch",
        "runs/log-model",
        "runs/log-inputs",
        "registered-models/create",
        "registered-models/rename",
        "registered-models/set-tag",
        "registered-models/alias",
        "registered-models/get-latest-versions",
        "model-versions/create",
        "model-versions/transition-stage",
        "model-versions/set-tag",
        "logged-models",
        "logged-models/search",
    ):
        place.ask(call, "POST", call, {})
    for call in (
        "experiments/get",
        "experiments/get-by-name",
        "runs/get",
        "metrics/get-history",
        "artifacts/list",
        "registered-models/get",
        "registered-models/alias",
        "model-versions/get",
        "model-versions/get-download-uri",
    ):
        place.ask(call + " ", "GET", call)
    for call in ("registered-models/update", "model-versions/update"):
        place.ask(call, "PATCH", call, {})
    for call in ("registered-models/delete", "model-versions/delete", "registered-models/delete-tag", "registered-models/alias"):
        place.ask("DELETE " + call, "DELETE", call, {})


def wrong_kinds(client, place: Place):
    run = place.run()
    metric = {"run_id": run, "key": "m", "value": 1.0, "timestamp": 5, "step": 1}
    for label, change in {
        "value text": {"value": "abc"},
        "value number in text": {"value": "1.5"},
        "value NaN": {"value": "NaN"},
        "value Infinity": {"value": "Infinity"},
        "value null": {"value": None},
        "value list": {"value": [1]},
        "value bool": {"value": True},
        "timestamp in text": {"timestamp": "7"},
        "timestamp text": {"timestamp": "abc"},
        "timestamp float": {"timestamp": 1.5},
        "timestamp whole float": {"timestamp": 8.0},
        "step text": {"step": "foo"},
        "step in text": {"step": "9"},
        "step null": {"step": None},
        "step float": {"step": 1.5},
        "key number": {"key": 5},
        "key null": {"key": None},
        "key list": {"key": []},
        "run number": {"run_id": 5},
        "run list": {"run_id": [run]},
        "unknown field": {"foo": {"bar": 1}},
        "run_uuid": {"run_id": None, "run_uuid": run},
    }.items():
        place.ask(label, "POST", "runs/log-metric", {**metric, **change})
    place.note("history", client.get_metric_history, run, "m")


def wrong_kinds_in_batches(client, place: Place):
    run = place.run()
    point = {"key": "m", "value": 1, "timestamp": 1, "step": 0}
    for label, body in {
        "metrics text": {"metrics": "x"},
        "metrics object": {"metrics": {"key": "m"}},
        "metric number": {"metrics": [5]},
        "metric without key": {"metrics": [{"value": 1, "timestamp": 1}]},
        "metric without value": {"metrics": [{"key": "m", "timestamp": 1}]},
        "metric without timestamp": {"metrics": [{"key": "m", "value": 1}]},
        "metric empty key": {"metrics": [{**point, "key": ""}]},
        "metric value text": {"metrics": [{**point, "value": "abc"}]},
        "metric step text": {"metrics": [{**point, "step": "abc"}]},
        "metric negative moment": {"metrics": [{**point, "timestamp": -1}]},
        "second metric": {"metrics": [point, {**point, "key": "../x"}]},
        "param without value": {"params": [{"key": "p"}]},
        "param without key": {"params": [{"value": "v"}]},
        "param number": {"params": [{"key": "n", "value": 5}]},
        "params text": {"params": "x"},
        "tag without key": {"tags": [{"value": "v"}]},
        "tag without value": {"tags": [{"key": "t"}]},
        "tag number": {"tags": [{"key": "n", "value": 5}]},
        "same tag twice": {"tags": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]},
        "same param twice": {"params": [{"key": "q", "value": "1"}, {"key": "q", "value": "1"}]},
        "1001 metrics": {"metrics": [{**point, "step": number} for number in range(1001)]},
        "101 params": {"params": [{"key": f"k{number}", "value": "v"} for number in range(101)]},
        "101 tags": {"tags": [{"key": f"k{number}", "value": "v"} for number in range(101)]},
        "1001 together": {
            "metrics": [{**point, "step": number} for number in range(950)],
            "params": [{"key": f"k{number}", "value": "v"} for number in range(51)],
        },
        "a megabyte": {"tags": [{"key": f"k{number}", "value": "v" * 11_000} for number in range(100)]},
    }.items():
        place.ask(label, "POST", "runs/log-batch", {"run_id": run, **body})
    place.note("run", client.get_run(run).data)


def whole_numbers_as_text(client, place: Place):
    experiment = place.experiment()
    made = place.ask("run", "POST", "runs/create", {"experiment_id": experiment, "start_time": "17", "run_name": "r"})
    run = made["run"]["info"]["run_id"]
    place.ask("end", "POST", "runs/update", {"run_id": run, "status": "FINISHED", "end_time": "99"})
    place.ask("status number", "POST", "runs/update", {"run_id": run, "status": 4})
    place.ask("status unknown", "POST", "runs/update", {"run_id": run, "status": "DONE"})
    place.ask("status text number", "POST", "runs/update", {"run_id": run, "status": "3"})
    place.ask("end text", "POST", "runs/update", {"run_id": run, "end_time": "x"})
    place.ask("search", "POST", "runs/search", {"experiment_ids": [experiment], "max_results": "1"})
    place.ask("experiment number", "POST", "runs/search", {"experiment_ids": [int(experiment)]})
    place.ask("view", "POST", "runs/search", {"experiment_ids": [experiment], "run_view_type": "ALL"})
    place.ask("view number", "POST", "runs/search", {"experiment_ids": [experiment], "run_view_type": 3})
    place.ask("view unknown", "POST", "runs/search", {"experiment_ids": [experiment], "run_view_type": "SOME"})
    place.ask("ids text", "POST", "runs/search", {"experiment_ids": "1"})
    place.ask("filter number", "POST", "runs/search", {"experiment_ids": [experiment], "filter": 5})
    place.ask("order text", "POST", "runs/search", {"experiment_ids": [experiment], "order_by": "start_time"})
    place.ask("order number", "POST", "runs/search", {"experiment_ids": [experiment], "order_by": [5]})
    place.ask("max negative", "POST", "runs/search", {"experiment_ids": [experiment], "max_results": -1})
    place.ask("max zero", "POST", "runs/search", {"experiment_ids": [experiment], "max_results": 0})
    place.ask("max many", "POST", "runs/search", {"experiment_ids": [experiment], "max_results": 50_001})
    place.ask("max text", "POST", "runs/search", {"experiment_ids": [experiment], "max_results": "x"})


def searches_by_get(client, place: Place):
    place.ask("experiments", "GET", "experiments/search", params={"max_results": 1, "filter": "name = 'Default'"})
    asked = [("max_results", "1"), ("filter", "name LIKE 'Def%t'"), ("order_by", "name"), ("order_by", "creation_time DESC")]
    place.ask("order", "GET", "experiments/search", params=asked)
    place.ask("many", "GET", "experiments/search", params={"max_results": 50_001})
    place.ask("text", "GET", "experiments/search", params={"max_results": "x"})
    place.ask("models none", "GET", "registered-models/search", params={"filter": "name = 'no such'"})
    place.ask("versions none", "GET", "model-versions/search", params={"filter": "name = 'no such'"})
    place.ask("models max", "GET", "registered-models/search", params={"max_results": 1001})
    place.ask("versions max", "GET", "model-versions/search", params={"max_results": 200_001})


def histories_in_pages(client, place: Place):
    run = place.run()
    for step in range(5):
        client.log_metric(run, "m", float(step), timestamp=step, step=step)
    ask = {"run_id": run, "metric_key": "m"}
    first = place.ask("no limit", "GET", "metrics/get-history", params=ask)
    assert first
    place.ask("unknown key", "GET", "metrics/get-history", params={**ask, "metric_key": "none"})
    place.ask("zero", "GET", "metrics/get-history", params={**ask, "max_results": 0})
    place.ask("negative", "GET", "metrics/get-history", params={**ask, "max_results": -1})
    place.ask("text", "GET", "metrics/get-history", params={**ask, "max_results": "x"})
    place.ask("bad token", "GET", "metrics/get-history", params={**ask, "max_results": 2, "page_token": "bad"})
    bulk = "metrics/get-history-bulk-interval"
    place.ask("interval", "GET", bulk, params={"run_ids": [run], "metric_key": "m", "max_results": 3})
    place.ask("part", "GET", bulk, params={"run_ids": [run], "metric_key": "m", "start_step": 1, "end_step": 3})
    place.ask("start alone", "GET", bulk, params={"run_ids": [run], "metric_key": "m", "start_step": 1})
    place.ask("backwards", "GET", bulk, params={"run_ids": [run], "metric_key": "m", "start_step": 3, "end_step": 1})
    place.ask("no runs", "GET", bulk, params={"metric_key": "m"})
    place.ask("no key", "GET", bulk, params={"run_ids": [run]})
    place.ask("too many", "GET", bulk, params={"run_ids": [run], "metric_key": "m", "max_results": 2501})
    place.ask("unknown run", "GET", bulk, params={"run_ids": ["0" * 32], "metric_key": "m"})


def shapes_of_answers(client, place: Place):
    made = place.ask("experiment", "POST", "experiments/create", {"name": place.name, "tags": [{"key": "a", "value": "1"}]})
    number = made["experiment_id"]
    place.ask("get", "GET", "experiments/get", params={"experiment_id": number})
    place.ask("by name", "GET", "experiments/get-by-name", params={"experiment_name": place.name})
    run = place.ask("run", "POST", "runs/create", {"experiment_id": number, "start_time": 5, "run_name": "r"})["run"]["info"][
        "run_id"
    ]
    place.ask("metric", "POST", "runs/log-metric", {"run_id": run, "key": "m", "value": "NaN", "timestamp": 1})
    place.ask("big", "POST", "runs/log-metric", {"run_id": run, "key": "i", "value": "Infinity", "timestamp": 1, "step": 2})
    place.ask("param", "POST", "runs/log-parameter", {"run_id": run, "key": "p", "value": ""})
    place.ask("tag", "POST", "runs/set-tag", {"run_id": run, "key": "t", "value": ""})
    place.ask("get run", "GET", "runs/get", params={"run_id": run})
    place.ask("by uuid", "GET", "runs/get", params={"run_uuid": run})
    place.ask("history", "GET", "metrics/get-history", params={"run_id": run, "metric_key": "m"})
    place.ask("list", "GET", "artifacts/list", params={"run_id": run})
    place.ask("search nothing", "POST", "runs/search", {"experiment_ids": [number], "filter": "run_name = 'x'"})
    place.ask("model", "POST", "registered-models/create", {"name": place.name})
    place.ask("version", "POST", "model-versions/create", {"name": place.name, "source": "s3://b/x"})
    place.ask("version read", "GET", "model-versions/get", params={"name": place.name, "version": "1"})
    place.ask("model read", "GET", "registered-models/get", params={"name": place.name})
    place.ask("logged", "POST", "logged-models", {"experiment_id": number, "name": "m"})


def addresses_that_are_not(client, place: Place):
    place.ask("nothing", "GET", "/api/2.0/mlflow/nothing")
    place.ask("wrong method", "GET", "/api/2.0/mlflow/experiments/create")
    place.ask("other version", "GET", "/api/1.0/mlflow/experiments/get?experiment_id=0")
    place.ask("ajax", "GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0")
    place.note("health", place.http.get("/health").text)
    place.note("version", place.http.get("/version").status_code)
