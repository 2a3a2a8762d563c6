"""Searching runs: the language of filters, orders, pages, views."""

from __future__ import annotations

import math

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from tests.mlflow.differential.place import Place


def _four_runs(client, place: Place) -> str:
    """Named a, b, c and d; d has neither the param, the tag nor the metric."""
    experiment = place.experiment()
    for number, name in enumerate("abcd"):
        run = place.run(experiment, run_name=name, start_time=100 + number, tags={"mlflow.user": f"user {name}"})
        if name != "d":
            client.log_batch(
                run,
                [Metric("m", float(number), 1, 0), Metric("an odd/key", 0.5 + number, 1, 0), Metric("equal", 1.0, 1, 0)],
                [Param("p", f"Value{number}"), Param("number", str(10 * number)), Param("a b", "x")],
                [RunTag("t", f"Tag{number}"), RunTag("a b", "x"), RunTag("dotted.key", "y")],
            )
        if number < 2:
            data = Dataset(f"data{number}", f"digest{number}", "local", "s")
            client.log_inputs(run, [DatasetInput(data, [InputTag("mlflow.data.context", "train")])])
        if number:
            client.set_terminated(run, ("FINISHED", "FAILED", "KILLED")[number - 1], end_time=200 + number)
    return experiment


def _found(client, experiment: str, text: str, **asked):
    return lambda: [run.info.run_name for run in client.search_runs([experiment], text, **{"order_by": ["run_name"], **asked})]


def _filters(client, place: Place, *filters: str) -> None:
    experiment = _four_runs(client, place)
    for text in filters:
        place.note(text, _found(client, experiment, text))


def filters_on_metrics(client, place: Place):
    _filters(
        client,
        place,
        "metrics.m > 0",
        "metrics.m >= 1",
        "metrics.m = 1",
        "metrics.m == 1",
        "metrics.m != 1",
        "metrics.m < 2",
        "metrics.m <= 1.0",
        "metric.m > 0",
        "metrics.m > -1",
        "metrics.m > 1e-3",
        "metrics.m > +1",
        "metrics.m > .5",
        "metrics.`an odd/key` > 1",
        'metrics."an odd/key" > 1',
        "metrics.none > 0",
        "metrics.none != 0",
        "metrics.m > '1'",
        "metrics.m > one",
        "metrics.m LIKE 1",
        "metrics.m IN (1)",
        "metrics.m IS NULL",
        "metrics.m > 0 AND metrics.m < 2",
        "metrics.m > 0 and metrics.equal = 1",
        "metrics > 0",
        "metrics. > 0",
        "1 < metrics.m",
        "metrics.m > 0 AND",
        "AND metrics.m > 0",
        "metrics.m > 0 AND AND metrics.m < 2",
        "metrics.m > 0, metrics.m < 2",
        "metrics.m > 0; metrics.m < 2",
        "METRICS.m > 0",
        "metrics.M > 0",
        "metrics.m>0",
        "  metrics.m   >   0  ",
        "metrics.m > 0\nAND metrics.m < 2",
    )


def filters_on_params(client, place: Place):
    _filters(
        client,
        place,
        "params.p = 'Value1'",
        'params.p = "Value1"',
        "params.p != 'Value1'",
        "params.p LIKE 'Val%'",
        "params.p LIKE 'val%'",
        "params.p ILIKE 'val%'",
        "params.p LIKE 'Value_'",
        "params.p LIKE '%1'",
        "params.p ILIKE '%ALUE%'",
        "params.p like 'Val%'",
        "param.p = 'Value1'",
        "parameter.p = 'Value1'",
        "parameters.p = 'Value1'",
        "params.`a b` = 'x'",
        "params.\"a b\" = 'x'",
        "params.p = Value1",
        "params.p = 1",
        "params.p > 'Value1'",
        "params.number = '10'",
        "params.number > 5",
        "params.p IN ('Value1', 'Value2')",
        "params.p IS NULL",
        "params.p IS NOT NULL",
        "params.none IS NULL",
        "params.none = 'x'",
        "params.none != 'x'",
        "params.p = ''",
        "params.p NOT LIKE 'Val%'",
    )


def filters_on_tags(client, place: Place):
    _filters(
        client,
        place,
        "tags.t = 'Tag1'",
        "tags.t != 'Tag1'",
        "tags.t LIKE 'Tag%'",
        "tags.t ILIKE 'tag%'",
        "tag.t = 'Tag1'",
        "tags.`a b` = 'x'",
        "tags.dotted.key = 'y'",
        "tags.`dotted.key` = 'y'",
        "tags.t IS NULL",
        "tags.t IS NOT NULL",
        "tags.t is not null",
        "tags.t = 5",
        "tags.t < 'x'",
        "tags.t IN ('Tag1')",
        "tags.mlflow.runName = 'b'",
        "tags.`mlflow.runName` LIKE 'b%'",
        "tags.mlflow.user = 'user c'",
        "tags.mlflow.parentRunId IS NULL",
        "tags.mlflow.note.content IS NULL",
        "tags.mlflow.parentRunId = 'x'",
        "tags.t = 'Tag1' AND params.p = 'Value1' AND metrics.m = 1",
        "tags.t = 'it''s'",
    )


def filters_on_attributes(client, place: Place):
    _filters(
        client,
        place,
        "attributes.status = 'FINISHED'",
        "status = 'FAILED'",
        "attribute.status != 'FINISHED'",
        "attr.status = 'RUNNING'",
        "run.status = 'KILLED'",
        "status = 'finished'",
        "status LIKE 'F%'",
        "status ILIKE 'f%'",
        "status = 'nonsense'",
        "status IN ('FINISHED')",
        "run_name = 'b'",
        "attributes.run_name LIKE 'b%'",
        "run_name ILIKE 'B'",
        "`run name` = 'b'",
        "attributes.`run name` = 'b'",
        "run_name != 'b'",
        "run_name IN ('a', 'b')",
        "user_id = 'nobody'",
        "attributes.start_time > 101",
        "start_time >= 101",
        "start_time = 101",
        "start_time != 101",
        "attributes.end_time < 203",
        "end_time != 5",
        "created > 101",
        "attributes.created > 101",
        "Created > 101",
        "start_time > '101'",
        "start_time LIKE '1'",
        "run_id = 'x'",
        "run_id IN ('x','y')",
        "run_id NOT IN ('x','y')",
        "run_id IN ()",
        "run_id IN ('x')",
        "run_id IN 'x'",
        "run_id != 'x'",
        "run_id LIKE '%'",
        "lifecycle_stage = 'active'",
        "experiment_id = '0'",
        "artifact_uri LIKE 'mlflow-artifacts:/%'",
        "nothing = 'x'",
        "attributes.nothing = 'x'",
        "metrics.m > 0 OR metrics.m < 1",
        "NOT metrics.m > 0",
        "(metrics.m > 0)",
        "foo.bar = 'x'",
        "",
        "   ",
        "'a' = 'a'",
        "run_name = 'b' --",
        "run_name = 'b'; DROP TABLE runs",
        "run_name",
        "run_name =",
        "run_name = 'b",
        "run_name = b",
    )


def filters_on_datasets(client, place: Place):
    _filters(
        client,
        place,
        "dataset.name = 'data0'",
        "datasets.name = 'data0'",
        "dataset.digest = 'digest1'",
        "dataset.context = 'train'",
        "dataset.context = 'test'",
        "dataset.name LIKE 'data%'",
        "dataset.name ILIKE 'DATA%'",
        "dataset.name != 'data0'",
        "dataset.name IN ('data0', 'data1')",
        "dataset.name NOT IN ('data0')",
        "dataset.foo = 'x'",
        "dataset.name = 5",
        "dataset.name > 'a'",
        "dataset.name = 'data0' AND dataset.context = 'train' AND metrics.m = 0",
    )


def ids_of_runs_in_filters(client, place: Place):
    experiment = place.experiment()
    first, second = place.run(experiment, run_name="a"), place.run(experiment, run_name="b")
    for label, text in {
        "=": f"run_id = '{first}'",
        "!=": f"run_id != '{first}'",
        "IN": f"attributes.run_id IN ('{first}', '{second}')",
        "NOT IN": f"run_id NOT IN ('{first}')",
        "double quotes": f'run_id IN ("{first}")',
        "LIKE": f"run_id LIKE '{first[:12]}%'",
        "mixed list": f"run_id IN ('{first}', 5)",
        "unclosed list": f"run_id IN ('{first}'",
    }.items():
        place.note(label, _found(client, experiment, text))


def orders(client, place: Place):
    experiment = _four_runs(client, place)
    for order in (
        [],
        ["metrics.m"],
        ["metrics.m ASC"],
        ["metrics.m DESC"],
        ["metrics.m desc"],
        ["metric.m DESC"],
        ["params.p DESC"],
        ["params.number"],
        ["tags.t DESC"],
        ["metrics.`an odd/key` DESC"],
        ['metrics."an odd/key" DESC'],
        ["attributes.start_time"],
        ["start_time DESC"],
        ["attributes.end_time"],
        ["end_time DESC"],
        ["run_name DESC"],
        ["attributes.`run name`"],
        ["attributes.`Start Time`"],
        ["Created"],
        ["created DESC"],
        ["status", "run_name"],
        ["attributes.status DESC", "run_name"],
        ["metrics.equal", "start_time DESC"],
        ["metrics.none", "run_name"],
        ["metrics.m", "metrics.m DESC"],
        ["dataset.name"],
        ["nothing"],
        ["foo.bar"],
        ["metrics.m UP"],
        ["metrics.m ASC DESC"],
        [""],
        ["metrics"],
        ["metrics."],
        ["lifecycle_stage", "run_name"],
        ["experiment_id", "run_name"],
        ["mlflow.runName"],
        ["metrics.m DESC, params.p"],
        ["metrics.m ; DROP TABLE runs"],
    ):
        place.note(str(order), _found(client, experiment, "", order_by=order))


def orders_with_nan_and_infinity(client, place: Place):
    experiment = place.experiment()
    for name, value in {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "one": 1.0, "none": None}.items():
        run = place.run(experiment, run_name=name, start_time=len(name))
        if value is not None:
            client.log_metric(run, "m", value, timestamp=1)
    for order in ("metrics.m", "metrics.m DESC"):
        place.note(order, _found(client, experiment, "", order_by=[order, "run_name"]))
    for text in ("metrics.m > 0", "metrics.m < 0", "metrics.m = 1", "metrics.m != 1", "metrics.m > 1e308", "metrics.m <= 1e309"):
        place.note(text, _found(client, experiment, text))
    for value in ("nan", "NaN", "inf", "-inf", "Infinity"):
        place.note(f"= {value}", _found(client, experiment, f"metrics.m = {value}"))


def pages(client, place: Place):
    experiment = place.experiment()
    for number in range(5):
        place.run(experiment, run_name=f"r{number}", start_time=number // 2)
    asked = {"order_by": ["start_time DESC", "run_name"], "max_results": 2}
    token, sizes = None, []
    for _ in range(4):
        page = client.search_runs([experiment], "", **asked, page_token=token)
        sizes.append([[run.info.run_name for run in page], bool(page.token)])
        token = page.token
        if not token:
            break
    place.note("pages", sizes)
    for most in (0, -1, 1, 5, 50_000, 50_001, "x", 1.5, None):
        place.note(f"max_results {most}", lambda most=most: len(client.search_runs([experiment], max_results=most)))
    for token in ("bad", "%%%"):
        place.note(f"token {token}", lambda token=token: len(client.search_runs([experiment], page_token=token)))
    place.note("no token for a page that holds all", client.search_runs([experiment], max_results=5).token)
    place.note("nothing is no page", client.search_runs([experiment], "run_name = 'x'").token)


def views(client, place: Place):
    experiment = place.experiment()
    place.run(experiment, run_name="kept")
    client.delete_run(place.run(experiment, run_name="gone"))
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL, 7, 0):
        place.note(str(view), _found(client, experiment, "", run_view_type=view))


def places_of_searches(client, place: Place):
    one, other = place.experiment(), place.experiment()
    place.run(one, run_name="one")
    place.run(other, run_name="other")
    for label, experiments in {
        "both": [one, other],
        "twice": [one, one],
        "none": [],
        "unknown": ["999999"],
        "odd": ["abc"],
        "known and unknown": [one, "999999"],
        "numbers": [int(one)],
        "text": one,
        "empty": [""],
    }.items():
        place.note(label, lambda asked=experiments: sorted(run.info.run_name for run in client.search_runs(asked)))


def equal_starts_are_ordered(client, place: Place):
    experiment = place.experiment()
    made = [place.run(experiment, start_time=7) for _ in range(4)]
    place.note("by id", [run.info.run_id for run in client.search_runs([experiment])] == sorted(made))


def what_a_search_shows(client, place: Place):
    experiment = _four_runs(client, place)
    found = client.search_runs([experiment], "run_name = 'b'")
    place.note("run", found[0])
    place.note("same as read alone", found[0].to_dictionary() == client.get_run(found[0].info.run_id).to_dictionary())
