"""The registry as MLflow's client uses it: models, versions, stages, aliases, tags and searches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


def refused(message: str) -> Any:
    return pytest.raises(Exception, match=re.escape(message))


@pytest.fixture
def model(ml: Any, request: pytest.FixtureRequest) -> str:
    """A registered model of its own for each test."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:200]
    ml.create_registered_model(name)
    return name


def test_a_registered_model_keeps_its_words(ml: Any) -> None:
    made = ml.create_registered_model("words", tags={"team": "a"}, description="first")
    assert (made.name, made.tags, made.description, made.latest_versions) == ("words", {"team": "a"}, "first", [])
    ml.update_registered_model("words", description="second")
    ml.set_registered_model_tag("words", "x.y", "1")
    ml.delete_registered_model_tag("words", "team")
    ml.delete_registered_model_tag("words", "never there")
    found = ml.get_registered_model("words")
    assert (found.description, found.tags) == ("second", {"x.y": "1"})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "Missing value for required parameter 'name'."),
        ("a/b", "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
        ("a:b", "Names cannot contain '/' or ':'"),
        ("..", "This name would resolve to"),
    ],
)
def test_a_name_that_would_not_fit_into_an_address_is_refused(ml: Any, name: str, why: str) -> None:
    with refused(why):
        ml.create_registered_model(name)


def test_a_name_is_taken_once(ml: Any, model: str) -> None:
    with refused(f"RESOURCE_ALREADY_EXISTS: Registered Model (name={model}) already exists."):
        ml.create_registered_model(model)


def test_a_renamed_model_takes_its_versions_along(ml: Any, model: str) -> None:
    ml.create_model_version(model, "s3://bucket/m")
    ml.rename_registered_model(model, "renamed")
    assert ml.get_model_version("renamed", "1").source == "s3://bucket/m"
    with refused(f"Registered Model with name={model} not found"):
        ml.get_registered_model(model)
    ml.create_registered_model(model)
    with refused("Registered Model (name=renamed) already exists."):
        ml.rename_registered_model(model, "renamed")


def test_a_deleted_model_is_gone_and_its_name_is_free(ml: Any, model: str) -> None:
    ml.create_model_version(model, "s3://bucket/m")
    ml.delete_registered_model(model)
    for ask in (ml.get_registered_model, ml.delete_registered_model):
        with refused(f"RESOURCE_DOES_NOT_EXIST: Registered Model with name={model} not found"):
            ask(model)
    assert ml.create_registered_model(model).latest_versions == []
    assert ml.create_model_version(model, "s3://bucket/n").version == "1"


def test_a_version_from_elsewhere_is_remembered_as_it_is(ml: Any, model: str) -> None:
    made = ml.create_model_version(model, "s3://bucket/model", run_link="http://r", tags={"a": "b"}, description="d")
    assert (made.version, made.source, made.run_link, made.tags, made.description) == (
        "1", "s3://bucket/model", "http://r", {"a": "b"}, "d",
    )  # fmt: skip
    assert (made.status, made.current_stage) == ("READY", "None")
    assert ml.get_model_version_download_uri(model, "1") == "s3://bucket/model"


def test_our_own_pages_and_programs_say_that_its_files_are_elsewhere(ml: Any, model: str, shared_installation: Any) -> None:
    ml.create_model_version(model, "s3://bucket/model")
    own = shared_installation.client.get(f"/api/v1/p/default/models/{model}/versions/1").json()
    assert own["logged_model"] is None
    assert own["version"]["source"] == "s3://bucket/model"
    assert "its files lie elsewhere, at s3://bucket/model" in own["version"]["unservable"]
    page = shared_installation.client.get(f"/p/default/models/{model}/versions/1")
    assert page.status_code == 200
    assert "elsewhere, at" in page.text
    assert "files elsewhere" in page.text
    assert "without tilth.json" not in page.text
    deployed = shared_installation.client.put("/api/v1/p/default/deployments/from-elsewhere", json={"model": model, "version": 1})
    assert deployed.status_code == 409
    assert "its files lie elsewhere" in deployed.text


def test_a_version_of_artifacts_seals_them_without_moving_a_byte(mlflow: Any, ml: Any, model: str, tmp_path: Path) -> None:
    run_id = ml.create_run("0").info.run_id
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    ml.log_artifacts(run_id, str(tmp_path), "model")
    made = ml.create_model_version(model, f"runs:/{run_id}/model", run_id=run_id)
    (tmp_path / "MLmodel").write_text("changed later\n")
    ml.log_artifacts(run_id, str(tmp_path), "model")
    where = ml.get_model_version_download_uri(model, made.version)
    assert "/models/m-" in where
    kept = mlflow.artifacts.load_text(f"{where}/MLmodel")
    assert kept == "flavors: {}\n"
    assert ml.search_logged_models(["0"], filter_string=f"source_run_id = '{run_id}'") == []
    uri = f"{ml.get_run(run_id).info.artifact_uri}/model"
    assert ml.create_model_version(model, uri, run_id=run_id).source == uri


def test_a_version_may_be_made_of_another_version(ml: Any, model: str) -> None:
    ml.create_registered_model(f"{model}-copy")
    ml.create_model_version(model, "s3://bucket/m")
    copy = ml.copy_model_version(f"models:/{model}/1", f"{model}-copy")
    assert copy.source == f"models:/{model}/1"


@pytest.mark.parametrize(
    ("source", "run_id", "why"),
    [
        ("/etc/passwd", None, "To use a local path as a model version source"),
        ("file:///etc", "r", "To use a local path as a model version source"),
        ("s3://b/../x", None, "an absolute path must be provided without relative path references"),
        ("s3://b/%2e%2e/x", None, "an absolute path must be provided without relative path references"),
        ("runs:/abc/model", "other", "The run_id request parameter must identify the resource that contains the source."),
        ("mlflow-artifacts:/0/abc/artifacts/m", None, "The run_id request parameter must identify the resource"),
        ("models:/m-0123", None, "The model_id request parameter must identify the resource"),
    ],
)
def test_a_source_that_is_not_the_callers_is_refused(ml: Any, model: str, source: str, run_id: Any, why: str) -> None:
    with refused(why):
        ml.create_model_version(model, source, run_id=run_id)


def test_words_about_a_version_change(ml: Any, model: str) -> None:
    ml.create_model_version(model, "s3://b/m")
    ml.update_model_version(model, "1", description="told")
    ml.set_model_version_tag(model, "1", "k", "v")
    ml.set_model_version_tag(model, "1", "k2", "v")
    ml.delete_model_version_tag(model, "1", "k2")
    found = ml.get_model_version(model, "1")
    assert (found.description, found.tags) == ("told", {"k": "v"})
    with refused(f"Model Version (name={model}, version=9) not found"):
        ml.get_model_version(model, "9")
    with refused("Parameter 'version' must be an integer, got 'x'."):
        ml.get_model_version(model, "x")


def test_a_deleted_version_takes_its_aliases_along_and_its_number_is_not_used_again(ml: Any, model: str) -> None:
    ml.create_model_version(model, "s3://b/m")
    ml.set_registered_model_alias(model, "best", "1")
    ml.delete_model_version(model, "1")
    assert ml.get_registered_model(model).aliases == {}
    assert ml.create_model_version(model, "s3://b/m").version == "2"
    with refused(f"Model Version (name={model}, version=1) not found"):
        ml.delete_model_version(model, "1")


def test_aliases_name_versions(ml: Any, model: str) -> None:
    for _ in range(2):
        ml.create_model_version(model, "s3://b/m")
    ml.set_registered_model_alias(model, "champion", "1")
    ml.set_registered_model_alias(model, "champion", "2")
    assert ml.get_model_version_by_alias(model, "champion").version == "2"
    assert ml.get_model_version_by_alias(model, "latest").version == "2"
    assert ml.get_model_version(model, "2").aliases == ["champion"]
    assert ml.get_registered_model(model).aliases == {"champion": "2"}
    ml.delete_registered_model_alias(model, "champion")
    ml.delete_registered_model_alias(model, "champion")
    with refused("INVALID_PARAMETER_VALUE: Registered model alias champion not found."):
        ml.get_model_version_by_alias(model, "champion")


@pytest.mark.parametrize(
    ("alias", "why"),
    [
        ("latest", "'latest' alias name (case insensitive) is reserved."),
        ("LATEST", "'latest' alias name (case insensitive) is reserved."),
        ("v12", "Version alias name 'v12' is reserved."),
        ("a b", "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-)."),
        ("a" * 256, "'Registered model alias name' exceeds the maximum length of 255 characters"),
    ],
)
def test_an_alias_that_means_something_else_is_refused(ml: Any, model: str, alias: str, why: str) -> None:
    ml.create_model_version(model, "s3://b/m")
    with refused(why):
        ml.set_registered_model_alias(model, alias, "1")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stages_still_work(ml: Any, model: str) -> None:
    for _ in range(3):
        ml.create_model_version(model, "s3://b/m")
    ml.transition_model_version_stage(model, "1", "production")
    moved = ml.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    assert moved.current_stage == "Production"
    assert ml.get_model_version(model, "1").current_stage == "Archived"
    latest = {each.current_stage: each.version for each in ml.get_latest_versions(model)}
    assert latest == {"Archived": "1", "Production": "2", "None": "3"}
    assert [each.version for each in ml.get_latest_versions(model, ["production"])] == ["2"]
    with refused("Invalid Model Version stage: nowhere. Value must be one of None, Staging, Production, Archived."):
        ml.transition_model_version_stage(model, "1", "nowhere")
    with refused("Model version transition cannot archive existing model versions because 'Archived' is not an Active stage"):
        ml.transition_model_version_stage(model, "1", "Archived", archive_existing_versions=True)


def test_registered_models_are_searched_sorted_and_paged(ml: Any) -> None:
    for name, tag in (("sr-a", "x"), ("sr-b", "y"), ("SR-c", "x")):
        ml.create_registered_model(name, tags={"kind.of": tag, "sr": "1"})

    def found(filter_string: str, **options: Any) -> list[str]:
        return [each.name for each in ml.search_registered_models(filter_string=filter_string, **options)]

    assert found("tags.sr = '1'") == ["SR-c", "sr-a", "sr-b"]
    assert found("name LIKE 'sr-%'") == ["sr-a", "sr-b"]
    assert found("name ILIKE 'sr-%'", order_by=["name DESC"]) == ["sr-b", "sr-a", "SR-c"]
    assert found("name IN ('sr-a', 'sr-b') AND tag.`kind.of` != 'y'") == ["sr-a"]
    assert found("tags.sr = '1'", order_by=["last_updated_timestamp DESC"])[0] == "SR-c"
    first = ml.search_registered_models("tags.sr = '1'", max_results=2)
    rest = ml.search_registered_models("tags.sr = '1'", max_results=2, page_token=first.token)
    assert [m.name for m in [*first, *rest]] == ["SR-c", "sr-a", "sr-b"]
    assert not rest.token
    for wrong, why in (
        ("tag.sr = 1", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 1"),
        ("bogus = 'a'", "Invalid attribute key 'bogus' specified."),
        ("name > 'a'", "Invalid comparator for attribute: >"),
        ("param.a = 'a'", "Invalid entity type 'param'."),
    ):
        with refused(why):
            found(wrong)
    with refused("Invalid order by key 'bogus' specified."):
        found("", order_by=["bogus"])
    with refused("Invalid page token"):
        found("", page_token="!")


def test_prompts_are_hidden_among_the_models_unless_asked_for(ml: Any, wire: Any) -> None:
    prompt = {"name": "a-prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    assert wire.post("registered-models/create", prompt).status_code == 200
    made = wire.post("model-versions/create", {**prompt, "source": "dummy-source"})
    assert made.status_code == 200
    assert made.json()["model_version"]["source"] == "dummy-source"
    assert ml.search_registered_models("name = 'a-prompt'") == []
    assert ml.search_model_versions("name = 'a-prompt'") == []
    asked = ml.search_registered_models("tags.`mlflow.prompt.is_prompt` = 'true'")
    assert [m.name for m in asked] == ["a-prompt"]
    with refused("Tried to create a registered model with name 'a-prompt', but the name is already taken by a prompt."):
        ml.create_registered_model("a-prompt")
    local = wire.post("model-versions/create", {**prompt, "source": "/etc/passwd"})
    assert local.status_code == 400
    assert "Invalid prompt source: '/etc/passwd'" in local.json()["message"]


def test_versions_are_searched_sorted_and_paged(ml: Any, model: str) -> None:
    for number, run_id in enumerate(("r1", "r2", "r2"), 1):
        ml.create_model_version(model, f"s3://b/{number}", run_id=run_id, tags={"n": str(number)})

    def found(filter_string: str, **options: Any) -> list[str]:
        return [each.version for each in ml.search_model_versions(filter_string, **options)]

    assert found(f"name = '{model}'") == ["3", "2", "1"]
    assert found(f"name = '{model}' AND run_id = 'r2'", order_by=["version_number ASC"]) == ["2", "3"]
    assert found(f"name = '{model}' AND run_id IN ('r1', 'r2') AND version_number < 3") == ["2", "1"]
    assert found(f"name = '{model}' AND source_path LIKE '%/1'") == ["1"]
    assert found(f"name = '{model}' AND tags.n != '2'", order_by=["version_number ASC"]) == ["1", "3"]
    first = ml.search_model_versions(f"name = '{model}'", max_results=2)
    assert [v.version for v in ml.search_model_versions(f"name = '{model}'", page_token=first.token)] == ["1"]
    with refused("Invalid attribute key 'bogus' specified."):
        found("bogus = 'x'")


def test_projects_do_not_see_each_others_models(ml: Any, model: str, shared_installation: Any) -> None:
    shared_installation.client.post("/api/v1/projects", json={"name": "registry-apart"})
    apart = shared_installation.client.get("/p/registry-apart/api/2.0/mlflow/registered-models/get", params={"name": model})
    assert apart.status_code == 404
    assert apart.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
