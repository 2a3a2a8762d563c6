"""Logged models."""

from __future__ import annotations

import math

from mlflow.entities.logged_model_status import LoggedModelStatus
from tests.mlflow.differential.place import Place

NONE = "m-" + "0" * 32


def a_new_logged_model(client, place: Place):
    experiment = place.experiment()
    run = place.run(experiment)
    made = place.note(
        "made",
        client.create_logged_model,
        experiment,
        name="m",
        source_run_id=run,
        tags={"t": "1"},
        params={"p": "2"},
        model_type="agent",
    )
    place.note("read", client.get_logged_model, made.model_id)


def names_of_logged_models(client, place: Place):
    experiment = place.experiment()
    for name in ("plain", "ünï", "a b", "a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "x" * 250, "..", "m-1"):
        place.note(name[:20], lambda name=name: client.create_logged_model(experiment, name).name)
    made = client.create_logged_model(experiment)
    place.note("invented", bool(made.name))
    place.note("twice", client.create_logged_model(experiment, "plain").name)


def logged_models_in_no_place(client, place: Place):
    for number in ("999999", "abc"):
        place.note(number, client.create_logged_model, number, "m")
    place.note("unknown run", client.create_logged_model, place.experiment(), "m", source_run_id="0" * 32)
    gone = place.experiment()
    client.delete_experiment(gone)
    place.note("deleted experiment", client.create_logged_model, gone, "m")


def ends_of_logged_models(client, place: Place):
    experiment = place.experiment()
    for status in ("READY", "FAILED", LoggedModelStatus.READY, LoggedModelStatus.FAILED, LoggedModelStatus.PENDING, "foo"):
        made = client.create_logged_model(experiment, "m")
        place.note(f"{status!r}", client.finalize_logged_model, made.model_id, status)
        place.note(f"{status!r}: shown", client.get_logged_model(made.model_id).status)
    made = client.create_logged_model(experiment, "m")
    client.finalize_logged_model(made.model_id, "READY")
    place.note("again", client.finalize_logged_model, made.model_id, "FAILED")


def unknown_logged_models(client, place: Place):
    for model in (NONE, "x", "m-1"):
        place.note(f"get {model[:5]}", client.get_logged_model, model)
        place.note(f"end {model[:5]}", client.finalize_logged_model, model, "READY")
        place.note(f"delete {model[:5]}", client.delete_logged_model, model)
        place.note(f"tags {model[:5]}", client.set_logged_model_tags, model, {"a": "b"})
        place.note(f"untag {model[:5]}", client.delete_logged_model_tag, model, "a")
        place.note(f"params {model[:5]}", client.log_model_params, model, {"a": "b"})
        place.note(f"list {model[:5]}", client.list_logged_model_artifacts, model)


def tags_of_logged_models(client, place: Place):
    model = client.create_logged_model(place.experiment(), "m", tags={"first": "1"}).model_id
    place.note("two", client.set_logged_model_tags, model, {"a": "1", "b": "2"})
    place.note("again", client.set_logged_model_tags, model, {"a": "3"})
    place.note("slash", client.set_logged_model_tags, model, {"x/y": "4", "q?r": "5", "ü": "6"})
    place.note("number", client.set_logged_model_tags, model, {"n": 5})
    place.note("empty", client.set_logged_model_tags, model, {"e": ""})
    place.note("none", client.set_logged_model_tags, model, {})
    place.note("shown", client.get_logged_model(model).tags)
    for key in ("a", "a", "x/y", "never"):
        place.note(f"remove {key} ({len(place.outcomes)})", client.delete_logged_model_tag, model, key)
    place.note("left", client.get_logged_model(model).tags)


def params_of_logged_models(client, place: Place):
    model = client.create_logged_model(place.experiment(), "m", params={"first": "1"}).model_id
    place.note("two", client.log_model_params, model, {"a": "1", "b": 2})
    place.note("same", client.log_model_params, model, {"a": "1"})
    place.note("other", client.log_model_params, model, {"a": "2"})
    place.note("shown", client.get_logged_model(model).params)
    place.note("long", client.log_model_params, model, {"l": "v" * 6001})
    place.note("key", client.log_model_params, model, {"../x": "v"})
    place.note("made long", lambda: client.create_logged_model(place.experiment(), "m", params={"l": "v" * 6001}).params)


def deleted_logged_models(client, place: Place):
    experiment = place.experiment()
    model = client.create_logged_model(experiment, "m").model_id
    place.note("deleted", client.delete_logged_model, model)
    place.note("read", client.get_logged_model, model)
    place.note("again", client.delete_logged_model, model)
    place.note("tags", client.set_logged_model_tags, model, {"a": "b"})
    place.note("end", client.finalize_logged_model, model, "READY")
    place.note("found", [found.name for found in client.search_logged_models([experiment])])


def _five_models(client, place: Place) -> str:
    experiment = place.experiment()
    run = place.run(experiment)
    for number, name in enumerate("abcde"):
        made = client.create_logged_model(
            experiment,
            name,
            source_run_id=run if number < 3 else None,
            tags={"t": f"Tag{number}"} if number != 4 else {},
            params={"p": f"Value{number}"},
            model_type="agent" if number % 2 else None,
        )
        if number < 4:
            value = (0.5, math.nan, -1.0, 2.0)[number]
            client.log_metric(run, f"only {name}", 1.0, timestamp=1, model_id=made.model_id)
            client.log_metric(run, "m", value, timestamp=1, step=number, model_id=made.model_id)
        if number in (1, 2):
            client.finalize_logged_model(made.model_id, "READY" if number == 1 else "FAILED")
    return experiment


def _models(client, experiment: str, **asked):
    return lambda: [found.name for found in client.search_logged_models([experiment], **asked)]


def filters_of_logged_models(client, place: Place):
    experiment = _five_models(client, place)
    for text in (
        "name = 'a'",
        "name != 'a'",
        "name LIKE 'a%'",
        "name ILIKE 'A'",
        "attributes.name = 'b'",
        "model_type = 'agent'",
        "status = 'READY'",
        "status = 'PENDING'",
        "status = 'FAILED'",
        "status != 'READY'",
        "source_run_id = 'x'",
        "model_id = 'x'",
        "model_id IN ('x', 'y')",
        "name IN ('a', 'c')",
        "name NOT IN ('a', 'c')",
        "creation_timestamp > 5",
        "creation_time > 5",
        "last_updated_timestamp > 5",
        "experiment_id = '0'",
        "tags.t = 'Tag1'",
        "tags.t LIKE 'Tag%'",
        "tags.t != 'Tag1'",
        "tags.t IS NULL",
        "params.p = 'Value1'",
        "params.p ILIKE 'value%'",
        "params.p != 'Value1'",
        "metrics.m > 0",
        "metrics.m = 0.5",
        "metrics.m < 0",
        "metrics.m > 0 AND tags.t = 'Tag0'",
        "metrics.none > 0",
        "metrics.m > 'x'",
        "nothing = 'x'",
        "foo.bar = 'x'",
        "name = 5",
        "name",
        "name = 'a' OR name = 'b'",
        "name > 'a'",
    ):
        place.note(text, lambda text=text: sorted(_models(client, experiment, filter_string=text)()))


def orders_of_logged_models(client, place: Place):
    experiment = _five_models(client, place)
    for order in (
        None,
        [{"field_name": "name"}],
        [{"field_name": "name", "ascending": False}],
        [{"field_name": "metrics.m"}, {"field_name": "name"}],
        [{"field_name": "metrics.m", "ascending": False}, {"field_name": "name"}],
        [{"field_name": "metrics.none"}, {"field_name": "name"}],
        [{"field_name": "creation_timestamp"}, {"field_name": "name"}],
        [{"field_name": "last_updated_timestamp", "ascending": True}],
        [{"field_name": "params.p", "ascending": False}],
        [{"field_name": "tags.t"}],
        [{"field_name": "nothing"}],
        [{"field_name": "foo.bar"}],
        [{"ascending": True}],
        [{"field_name": "metrics.m", "dataset_name": "x"}, {"field_name": "name"}],
        [{"field_name": "metrics.m", "dataset_digest": "x"}],
    ):
        if order and order[0].get("field_name", "").startswith(("creation", "last")):
            place.note(str(order), lambda order=order: sorted(_models(client, experiment, order_by=order)()))
        elif order is not None:
            place.note(str(order), _models(client, experiment, order_by=order))


def pages_of_logged_models(client, place: Place):
    experiment = place.experiment()
    for name in "abcde":
        client.create_logged_model(experiment, name)
    by_name = [{"field_name": "name", "ascending": True}]
    first = client.search_logged_models([experiment], max_results=2, order_by=by_name)
    place.note("first", [[found.name for found in first], bool(first.token)])
    second = client.search_logged_models([experiment], max_results=2, order_by=by_name, page_token=first.token)
    place.note("second", [[found.name for found in second], bool(second.token)])
    last = client.search_logged_models([experiment], max_results=2, order_by=by_name, page_token=second.token)
    place.note("last", [[found.name for found in last], bool(last.token)])
    place.note("other question", _models(client, experiment, max_results=2, page_token=first.token))
    for most in (0, -1, 1, 100, 1001):
        place.note(f"max_results {most}", lambda most=most: len(client.search_logged_models([experiment], max_results=most)))
    place.note("bad token", _models(client, experiment, page_token="bad"))
    place.note("no experiments", client.search_logged_models, [])
    place.note("unknown experiment", client.search_logged_models, ["999999"])


def logged_models_by_dataset(client, place: Place):
    experiment = place.experiment()
    run = place.run(experiment)
    for name, value in {"a": 1.0, "b": 3.0}.items():
        model = client.create_logged_model(experiment, name).model_id
        for data, factor in {"train": 1, "test": 2}.items():
            client.log_metric(
                run, "m", value * factor, timestamp=1, step=factor, model_id=model, dataset_name=data, dataset_digest="d"
            )
    for label, asked in {
        "train": {"datasets": [{"dataset_name": "train"}], "filter_string": "metrics.m > 2"},
        "test": {"datasets": [{"dataset_name": "test"}], "filter_string": "metrics.m <= 2"},
        "digest": {"datasets": [{"dataset_name": "test", "dataset_digest": "d"}], "filter_string": "metrics.m > 0"},
        "other digest": {"datasets": [{"dataset_name": "test", "dataset_digest": "e"}], "filter_string": "metrics.m > 0"},
        "no name": {"datasets": [{"dataset_digest": "d"}], "filter_string": "metrics.m > 0"},
        "ordered": {"order_by": [{"field_name": "metrics.m", "dataset_name": "test", "ascending": False}]},
    }.items():
        place.note(label, _models(client, experiment, **asked))
