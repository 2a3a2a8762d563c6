"""What people do with the unmodified client: experiments, runs, metrics, params, tags, search."""

from __future__ import annotations

import math

import pytest

HEX = "0" * 32


def refused(mlflow):
    return pytest.raises(mlflow.exceptions.MlflowException)


@pytest.fixture
def run(ml):
    return ml.create_run("0")


@pytest.fixture
def rid(run):
    return run.info.run_id


def test_a_first_experiment_is_there_and_holds_runs_that_name_none(mlflow, ml):
    default = ml.get_experiment("0")
    assert (default.name, default.lifecycle_stage, default.artifact_location) == ("Default", "active", "mlflow-artifacts:/0")
    with mlflow.start_run() as active:
        pass
    assert active.info.experiment_id == "0"
    assert ml.get_run(active.info.run_id).info.status == "FINISHED"


def test_an_experiment_is_found_by_number_and_by_name_with_its_tags(ml):
    number = ml.create_experiment("flights", tags={"team": "ops"})
    assert number.isdigit()
    assert ml.get_experiment(number).tags == {"team": "ops"}
    assert ml.get_experiment_by_name("flights").experiment_id == number
    assert ml.get_experiment_by_name("no such thing") is None


def test_an_experiment_of_a_name_that_is_taken_is_refused_in_mlflows_words(mlflow, ml):
    ml.create_experiment("twice")
    with refused(mlflow) as told:
        ml.create_experiment("twice")
    assert told.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert "Experiment(name=twice) already exists" in told.value.message


def test_an_unknown_experiment_is_named(mlflow, ml):
    with refused(mlflow) as told:
        ml.get_experiment("4711")
    assert (told.value.error_code, told.value.message) == (
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_DOES_NOT_EXIST: No Experiment with id=4711 exists",
    )


def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back(mlflow, ml):
    number = ml.create_experiment("going")
    run_id = ml.create_run(number).info.run_id
    ml.delete_experiment(number)
    assert ml.get_experiment(number).lifecycle_stage == "deleted"
    assert ml.get_run(run_id).info.lifecycle_stage == "deleted"
    assert ml.search_runs([number]) == []
    assert [found.info.run_id for found in ml.search_runs([number], run_view_type=2)] == [run_id]
    with refused(mlflow) as told:
        ml.create_run(number)
    assert "must be in the 'active' state. Current state is deleted." in told.value.message
    with refused(mlflow):
        ml.log_metric(run_id, "auc", 1)
    ml.restore_experiment(number)
    assert ml.get_run(run_id).info.lifecycle_stage == "active"
    assert ml.get_experiment(number).lifecycle_stage == "active"


def test_the_experiment_of_runs_that_name_none_stays(mlflow, ml):
    with refused(
        mlflow,
    ) as told:
        ml.delete_experiment("0")
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_experiment_is_renamed_and_its_tags_change(ml):
    number = ml.create_experiment("before")
    ml.rename_experiment(number, "after")
    ml.set_experiment_tag(number, "stage", "x" * 20_000)
    assert (ml.get_experiment(number).name, len(ml.get_experiment(number).tags["stage"])) == ("after", 20_000)
    ml.delete_experiment_tag(number, "stage")
    assert ml.get_experiment(number).tags == {}


def test_experiments_are_searched_by_name_tags_and_view(ml):
    for name, tag in (("search-a", "1"), ("search-b", "2"), ("Search-C", "2")):
        ml.create_experiment(name, tags={"search": tag})
    names = lambda **asked: [found.name for found in ml.search_experiments(**asked)]  # noqa: E731
    assert names(filter_string="name LIKE 'search-%'") == ["search-b", "search-a"]
    assert names(filter_string="name ILIKE 'search-%'", order_by=["name DESC"]) == ["search-b", "search-a", "Search-C"]
    assert names(filter_string="tags.search = '2'", order_by=["name"]) == ["Search-C", "search-b"]
    assert names(filter_string="tags.search IS NOT NULL AND name != 'search-a'", order_by=["name"]) == ["Search-C", "search-b"]
    first = ml.search_experiments(filter_string="tags.search != '9'", max_results=2)
    rest = ml.search_experiments(filter_string="tags.search != '9'", max_results=2, page_token=first.token)
    assert [found.name for found in [*first, *rest]] == ["Search-C", "search-b", "search-a"]
    assert rest.token is None


def test_a_filter_that_is_not_understood_is_the_callers_mistake(mlflow, ml):
    with refused(mlflow) as told:
        ml.search_experiments(filter_string="nam = 'x'")
    assert "Invalid attribute key 'nam' specified" in told.value.message


def test_a_run_gets_a_name_and_an_address_for_its_artifacts(run, rid):
    assert run.info.run_name
    assert run.data.tags == {"mlflow.runName": run.info.run_name}
    assert (run.info.status, run.info.lifecycle_stage) == ("RUNNING", "active")
    assert run.info.artifact_uri == f"mlflow-artifacts:/0/{rid}/artifacts"


def test_a_run_keeps_what_the_fluent_api_says_about_it(mlflow, ml):
    with mlflow.start_run(run_name="hello", description="**why**", tags={"team": "ops"}) as active:
        mlflow.log_params({"depth": 6, "kind": "tree"})
        mlflow.log_metrics({"auc": 0.7, "loss": 0.3}, step=3)
    found = ml.get_run(active.info.run_id)
    assert found.info.run_name == "hello"
    assert found.data.params == {"depth": "6", "kind": "tree"}
    assert found.data.metrics == {"auc": 0.7, "loss": 0.3}
    assert found.data.tags["mlflow.note.content"] == "**why**"
    assert found.data.tags["team"] == "ops"
    assert found.info.user_id == found.data.tags["mlflow.user"]
    assert found.info.end_time >= found.info.start_time


def test_a_run_that_raises_is_failed(mlflow, ml):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as active:
        _ = 1 / 0
    assert ml.get_run(active.info.run_id).info.status == "FAILED"


def test_nested_runs_know_their_parent_here_and_on_our_own_api(mlflow, ml, shared_installation):
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        pass
    assert ml.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    own = shared_installation.client.get(f"/api/v1/p/default/runs/{parent.info.run_id}").json()
    assert [found["id"] for found in own["children"]] == [child.info.run_id]
    found = ml.search_runs(["0"], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert [one.info.run_id for one in found] == [child.info.run_id]


def test_notes_and_names_are_the_same_here_and_on_our_own_api(ml, rid, shared_installation):
    ml.set_tag(rid, "mlflow.note.content", "from there")
    ml.set_tag(rid, "mlflow.runName", "renamed")
    address = f"/api/v1/p/default/runs/{rid}"
    own = shared_installation.client.get(address).json()["run"]
    assert (own["notes"], own["name"]) == ("from there", "renamed")
    shared_installation.client.patch(address, json={"notes": "from here", "name": "again"})
    found = ml.get_run(rid)
    assert (found.data.tags["mlflow.note.content"], found.info.run_name) == ("from here", "again")
    assert found.data.tags["mlflow.runName"] == "again"
    ml.delete_tag(rid, "mlflow.note.content")
    assert "mlflow.note.content" not in ml.get_run(rid).data.tags


def test_the_latest_metric_is_that_of_the_greatest_step_then_moment_then_value(mlflow, ml, rid):
    for value, moment, step in ((1.0, 100, 5), (2.0, 900, 4), (3.0, 100, 5), (2.5, 100, 5)):
        ml.log_metric(rid, "m", value, timestamp=moment, step=step)
    assert ml.get_run(rid).data.metrics == {"m": 3.0}


def test_numbers_that_are_not_finite_come_back_as_mlflow_has_them(ml, rid):
    for key, value in (("nan", math.nan), ("up", math.inf), ("down", -math.inf)):
        ml.log_metric(rid, key, value)
    found = ml.get_run(rid).data.metrics
    assert math.isnan(found["nan"])
    assert (found["up"], found["down"]) == (1.7976931348623157e308, -1.7976931348623157e308)


def test_a_history_has_every_point_by_moment_and_repeated_ones_once(ml, rid):
    for value, moment, step in ((1.0, 30, 1), (2.0, 10, 2), (3.0, 20, 0), (3.0, 20, 0)):
        ml.log_metric(rid, "m", value, timestamp=moment, step=step)
    points = [(point.timestamp, point.step, point.value) for point in ml.get_metric_history(rid, "m")]
    assert points == [(10, 2, 2.0), (20, 0, 3.0), (30, 1, 1.0)]
    assert ml.get_metric_history(rid, "never logged") == []


def test_a_batch_with_repeated_points_keeps_each_once(mlflow, ml, rid):
    points = [mlflow.entities.Metric("m", float(n % 3), n % 3, n % 3) for n in range(9)]
    ml.log_batch(rid, metrics=points)
    ml.log_batch(rid, metrics=[*points, mlflow.entities.Metric("m", 9.0, 9, 9)])
    assert [point.value for point in ml.get_metric_history(rid, "m")] == [0.0, 1.0, 2.0, 9.0]


def test_a_param_is_written_once(mlflow, ml, rid):
    ml.log_param(rid, "a", "1")
    ml.log_param(rid, "a", "1")
    with refused(mlflow) as told:
        ml.log_param(rid, "a", "2")
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
    assert (
        f"Changing param values is not allowed. Param with key='a' was already logged with value='1' for run ID='{rid}'. "
        "Attempted logging new value '2'." in told.value.message
    )


def test_a_batch_is_kept_whole_or_not_at_all(mlflow, ml, rid):
    ml.log_param(rid, "a", "1")
    entities = mlflow.entities
    with refused(mlflow):
        ml.log_batch(
            rid,
            metrics=[entities.Metric("m", 1.0, 1, 0)],
            params=[entities.Param("b", "1"), entities.Param("a", "2")],
            tags=[entities.RunTag("t", "1")],
        )
    found = ml.get_run(rid).data
    assert (found.metrics, found.params, "t" in found.tags) == ({}, {"a": "1"}, False)


def test_long_values_are_cut_as_mlflow_cuts_them(ml, rid):
    ml.log_param(rid, "p", "x" * 7000)
    ml.set_tag(rid, "t", "y" * 9000)
    found = ml.get_run(rid).data
    assert (len(found.params["p"]), len(found.tags["t"])) == (6000, 8000)


def test_a_deleted_run_is_read_and_not_written(mlflow, ml, rid):
    ml.delete_run(rid)
    ml.delete_run(rid)
    assert ml.get_run(rid).info.lifecycle_stage == "deleted"
    with refused(mlflow) as told:
        ml.set_tag(rid, "t", "1")
    assert f"The run {rid} must be in the 'active' state. Current state is deleted." in told.value.message
    ml.restore_run(rid)
    ml.set_tag(rid, "t", "1")
    ml.delete_tag(rid, "t")
    with refused(mlflow) as told:
        ml.delete_tag(rid, "t")
    assert f"No tag with name: t in run with id {rid}" in told.value.message


def test_a_run_is_ended_and_resumed(mlflow, ml, rid):
    ml.set_terminated(rid, "KILLED", end_time=123)
    assert (ml.get_run(rid).info.status, ml.get_run(rid).info.end_time) == ("KILLED", 123)
    with mlflow.start_run(rid):
        assert ml.get_run(rid).info.status == "RUNNING"
    assert ml.get_run(rid).info.status == "FINISHED"


def test_data_sets_and_models_that_a_run_read_and_made(mlflow, ml, rid):
    entities = mlflow.entities
    data = entities.Dataset("flights", "abc123", "local", '{"uri": "x"}', schema='{"a": 1}')
    tags = [entities.InputTag("mlflow.data.context", "training"), entities.InputTag("fold", "1")]
    ml.log_inputs(rid, datasets=[entities.DatasetInput(data, tags)], models=[entities.LoggedModelInput("m-1")])
    ml.log_outputs(rid, [entities.LoggedModelOutput("m-2", 7)])
    found = ml.get_run(rid)
    (seen,) = found.inputs.dataset_inputs
    assert (seen.dataset.name, seen.dataset.digest, seen.dataset.schema) == ("flights", "abc123", '{"a": 1}')
    assert {tag.key: tag.value for tag in seen.tags} == {"mlflow.data.context": "training", "fold": "1"}
    assert [model.model_id for model in found.inputs.model_inputs] == ["m-1"]
    assert [(model.model_id, model.step) for model in found.outputs.model_outputs] == [("m-2", 7)]


def test_runs_are_searched_ordered_and_paged(ml):
    number = ml.create_experiment("searched")
    made = []
    for n in range(7):
        run_id = ml.create_run(number, start_time=1000 + n).info.run_id
        ml.log_metric(run_id, "m", n)
        ml.log_param(run_id, "kind", "even" if n % 2 == 0 else "odd")
        made.append(run_id)
    ids = lambda *asked, **options: [found.info.run_id for found in ml.search_runs([number], *asked, **options)]  # noqa: E731
    assert ids() == made[::-1]
    assert ids("metrics.m > 3 AND params.kind = 'even'", order_by=["metrics.m ASC"]) == [made[4], made[6]]
    first = ml.search_runs([number], order_by=["metrics.m DESC"], max_results=3)
    second = ml.search_runs([number], order_by=["metrics.m DESC"], max_results=4, page_token=first.token)
    assert [found.data.metrics["m"] for found in [*first, *second]] == [6, 5, 4, 3, 2, 1, 0]
    assert not second.token
    assert ids("attributes.start_time < 1002", order_by=["start_time"]) == made[:2]
    assert [found.info.run_id for found in ml.search_runs([], "")] == []


def test_a_run_filter_that_is_not_understood_is_the_callers_mistake(mlflow, ml):
    with refused(mlflow) as told:
        ml.search_runs(["0"], "metrics.m >")
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_unknown_runs_are_named(mlflow, ml):
    for call in (lambda: ml.get_run(HEX), lambda: ml.log_metric(HEX, "m", 1), lambda: ml.delete_run(HEX)):
        with refused(mlflow) as told:
            call()
        assert (told.value.error_code, f"Run with id={HEX} not found" in told.value.message) == ("RESOURCE_DOES_NOT_EXIST", True)


def test_projects_are_workspaces_by_prefix_and_by_name(mlflow, shared_installation, monkeypatch):
    assert shared_installation.client.post("/api/v1/projects", json={"name": "growth"}).status_code == 201
    mlflow.set_tracking_uri(f"{shared_installation.url}/p/growth")
    assert mlflow.MlflowClient().create_experiment("only here") == "1"
    assert mlflow.MlflowClient().get_experiment("0").name == "Default"
    mlflow.set_tracking_uri(shared_installation.url)
    assert mlflow.MlflowClient().get_experiment_by_name("only here") is None
    assert {workspace.name for workspace in mlflow.list_workspaces()} >= {"default", "growth"}
    monkeypatch.setenv("MLFLOW_WORKSPACE", "growth")
    assert mlflow.MlflowClient().get_experiment_by_name("only here").experiment_id == "1"


def test_a_token_works_as_the_password_of_a_user_name(mlflow, shared_installation, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
    with refused(mlflow) as told:
        mlflow.MlflowClient().get_experiment("0")
    assert told.value.error_code == "UNAUTHENTICATED"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anybody")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", shared_installation.owner_token)
    assert mlflow.MlflowClient().get_experiment("0").name == "Default"


def test_a_traced_function_is_not_held_up_and_a_search_of_traces_says_that_there_are_none(mlflow, ml):
    @mlflow.trace
    def double(x):
        return 2 * x

    assert double(21) == 42
    with refused(mlflow) as told:
        ml.search_traces(locations=["0"])
    assert told.value.error_code == "NOT_IMPLEMENTED"


def test_reserved_tags_are_searched_as_the_facts_that_they_are(ml):
    number = ml.create_experiment("facts")
    parent = ml.create_run(number, run_name="alpha").info.run_id
    child = ml.create_run(number, run_name="beta", tags={"mlflow.parentRunId": parent}).info.run_id
    ids = lambda *asked, **options: [found.info.run_id for found in ml.search_runs([number], *asked, **options)]  # noqa: E731
    assert ids("tags.mlflow.runName LIKE 'al%'") == [parent]
    assert ids("tags.`mlflow.runName` = 'beta'") == [child]
    assert ids("tags.mlflow.parentRunId IS NULL") == [parent]
    assert ids("tags.mlflow.parentRunId IS NOT NULL") == [child]
    assert ids(order_by=["tags.mlflow.runName"]) == [parent, child]
    assert ids("attributes.run_name ILIKE 'BE%'", order_by=["attributes.run_name DESC"]) == [child]


def test_a_parent_elsewhere_is_a_tag_like_any_other(ml, rid):
    ml.set_tag(rid, "mlflow.parentRunId", HEX)
    assert ml.get_run(rid).data.tags["mlflow.parentRunId"] == HEX
    other = ml.create_run("0", tags={"mlflow.parentRunId": "not a run id"})
    assert other.data.tags["mlflow.parentRunId"] == "not a run id"


def test_a_deleted_experiment_is_found_only_where_it_is_asked_for(mlflow, ml):
    number = ml.create_experiment("hidden")
    ml.delete_experiment(number)
    names = lambda view: [found.name for found in ml.search_experiments(view_type=view)]  # noqa: E731
    assert "hidden" not in names(mlflow.entities.ViewType.ACTIVE_ONLY)
    assert names(mlflow.entities.ViewType.DELETED_ONLY).count("hidden") == 1
    assert "hidden" in names(mlflow.entities.ViewType.ALL)
    with refused(mlflow) as told:
        ml.delete_experiment(number)
    assert f"No Experiment with id={number} exists" in told.value.message
    with refused(mlflow) as told:
        ml.rename_experiment(number, "shown")
    assert "Cannot rename a non-active experiment." in told.value.message
    with refused(mlflow) as told:
        ml.create_experiment("hidden")
    assert told.value.error_code == "RESOURCE_ALREADY_EXISTS"
