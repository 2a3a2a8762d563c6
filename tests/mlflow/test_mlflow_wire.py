"""The protocol as it travels: shapes, words of errors, statuses, what is not spoken."""

from __future__ import annotations

import httpx
import pytest

UNKNOWN = "0" * 32
DOCS = " See the API docs for more information about request parameters."


def told(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    body = answer.json()
    return answer.status_code, body["error_code"], body["message"]


def test_a_run_has_the_fields_and_types_of_the_protocol(wire):
    run_id = wire.run(run_name="shape", tags=[{"key": "t", "value": "1"}])
    wire.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": "NaN", "timestamp": "12", "step": "3"})
    run = wire.get("runs/get", run_id=run_id).json()["run"]
    assert run["info"].pop("user_id")
    assert run == {
        "info": {
            "run_uuid": run_id,
            "run_id": run_id,
            "run_name": "shape",
            "experiment_id": "0",
            "status": "RUNNING",
            "start_time": 1,
            "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
            "lifecycle_stage": "active",
        },
        "data": {
            "metrics": [{"key": "m", "value": "NaN", "timestamp": 12, "step": 3}],
            "tags": [{"key": "t", "value": "1"}, {"key": "mlflow.runName", "value": "shape"}],
        },
        "inputs": {},
        "outputs": {},
    }


def test_a_call_that_only_does_something_answers_an_empty_object(wire):
    answer = wire.post("runs/set-tag", {"run_uuid": wire.run(), "key": "t", "value": "1", "unknown_field": [1]})
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    ("call", "body", "message"),
    [
        ("runs/log-metric", {"value": 1, "timestamp": 1}, "Missing value for required parameter 'run_id'." + DOCS),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "", "value": 1, "timestamp": 1}, "Missing value for required parameter 'key'."),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "m", "value": 1}, "Missing value for required parameter 'timestamp'."),
        (
            "runs/log-metric",
            {"run_id": UNKNOWN, "key": "m", "value": 1, "timestamp": 1, "step": "foo"},
            "Invalid value \"foo\" for parameter 'step' supplied",
        ),
        (
            "runs/log-metric",
            {"run_id": UNKNOWN, "key": "m", "value": [], "timestamp": 1},
            "Invalid value [] for parameter 'value' supplied",
        ),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "../m", "value": 1, "timestamp": 1}, "must not resolve to other names"),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "m?", "value": 1, "timestamp": 1}, "Names may only contain alphanumerics"),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "m", "value": 1, "timestamp": -1}, "Timestamp must be a nonnegative long"),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "m" * 251, "value": 1, "timestamp": 1}, "'Metric name' exceeds the maximum"),
        ("runs/log-metric", {"run_id": UNKNOWN, "key": "m", "value": 1, "timestamp": 2**63}, "for parameter 'timestamp' supplied"),
        ("runs/log-batch", {"run_id": UNKNOWN, "metrics": [{"key": "m", "value": 1}]}, "required parameter 'metrics[0].timestamp'."),
        ("runs/log-batch", {"run_id": UNKNOWN, "metrics": [{"value": 1, "timestamp": 1}]}, "required parameter 'metrics[0].key'."),
        ("runs/log-batch", {"run_id": UNKNOWN, "params": [{"value": "1"}]}, "Missing value for required parameter 'params[0].key'."),
        ("runs/log-batch", {"run_id": "../..", "params": []}, "Invalid value \"../..\" for parameter 'run_id' supplied."),
        ("runs/log-batch", {"run_id": UNKNOWN, "metrics": {}}, "Invalid value {} for parameter 'metrics' supplied"),
        (
            "runs/log-batch",
            {"run_id": UNKNOWN, "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            "Duplicate parameter keys have been submitted: ['a']. Please ensure",
        ),
        (
            "runs/log-batch",
            {"run_id": UNKNOWN, "tags": [{"key": str(n), "value": ""} for n in range(101)]},
            "A batch logging request can contain at most 100 tags. Got 101 tags. Please split up tags",
        ),
        (
            "runs/log-batch",
            {"run_id": UNKNOWN, "metrics": [{"key": "m", "value": 1, "timestamp": n} for n in range(1000)], "tags": [{"key": "t"}]},
            "at most 1000 metrics, params, and tags. Got 1001 metrics, params, and tags",
        ),
        ("runs/log-batch", {"run_id": UNKNOWN, "tags": [{"key": "t", "value": "x" * 1_000_000}]}, "must be at most 1000000 bytes"),
        ("runs/update", {"run_id": UNKNOWN, "status": "DONE"}, "Invalid value \"DONE\" for parameter 'status' supplied"),
        ("runs/create", {"experiment_id": "x"}, "Invalid experiment ID 'x'. Experiment ID must be a valid integer."),
        ("runs/create", {"experiment_id": 5}, "Invalid value 5 for parameter 'experiment_id' supplied"),
        (
            "runs/create",
            {"run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]},
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values",
        ),
        ("runs/search", {"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results' supplied"),
        ("runs/search", {"max_results": 0}, "It must be a positive integer"),
        ("runs/search", {"experiment_ids": ["0"], "page_token": "garbage"}, "page"),
        ("runs/search", {"run_view_type": "SOME"}, "Invalid view type 'SOME'"),
        ("runs/log-model", {"run_id": UNKNOWN, "model_json": "{"}, "is not a valid JSON"),
        ("runs/log-model", {"run_id": UNKNOWN, "model_json": "{}"}, "Model json is missing mandatory fields"),
        ("runs/log-inputs", {"run_id": UNKNOWN, "datasets": [{"dataset": {"name": "d"}}]}, "Dataset digest cannot be None"),
        ("experiments/create", {}, "Missing value for required parameter 'name'." + DOCS),
        ("experiments/create", {"name": 5}, "Invalid value 5 for parameter 'name' supplied"),
        ("experiments/create", {"name": "x" * 501}, "'name' exceeds the maximum length of 500 characters"),
        ("experiments/create", {"name": "n", "artifact_location": "file:///etc"}, "Tilth chooses where artifacts lie"),
        ("experiments/create", {"name": "n", "artifact_location": "mlflow-artifacts:/../../x"}, "Tilth chooses where artifacts lie"),
        ("experiments/create", {"name": "n", "tags": [{"key": "k", "value": "x" * 20_001}]}, "'value' exceeds the maximum length of 20000"),
        ("experiments/update", {"experiment_id": "0"}, "Missing value for required parameter 'new_name'."),
        ("experiments/search", {"page_token": "!"}, "Invalid page token, could not base64-decode"),
    ],
)  # fmt: skip
def test_a_callers_mistake_is_400_in_mlflows_words(wire, call, body, message):
    status, code, said = told(wire.post(call, body))
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE"), said
    assert message in said


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b'"{"', b"\xff\xfe", b"[" * 100_000, b'{"run_id": NaNo}'])
def test_a_body_that_is_no_json_object_is_400(shared_installation, body):
    answer = shared_installation.client.post(
        "/api/2.0/mlflow/runs/log-batch", content=body, headers={"content-type": "application/json"}
    )
    assert told(answer)[:2] == (400, "BAD_REQUEST")


def test_a_body_of_another_type_is_named(shared_installation):
    answer = shared_installation.client.post("/api/2.0/mlflow/experiments/create", content=b"name=x")
    assert told(answer) == (400, "INVALID_PARAMETER_VALUE", "Bad Request. Content-Type header is missing.")


def test_things_that_are_not_there_are_404(wire):
    assert told(wire.get("runs/get", run_id=UNKNOWN)) == (404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={UNKNOWN} not found")
    assert told(wire.get("experiments/get", experiment_id="77"))[2] == "No Experiment with id=77 exists"
    assert told(wire.get("experiments/get-by-name", experiment_name="no"))[2] == "Could not find experiment with name 'no'"
    assert told(wire.get("metrics/get-history", run_id=UNKNOWN, metric_key="m"))[1] == "RESOURCE_DOES_NOT_EXIST"
    assert told(wire.get("artifacts/list", run_id=UNKNOWN))[1] == "RESOURCE_DOES_NOT_EXIST"
    assert told(wire.get("experiments/get", experiment_id=str(10**30)))[0] == 404


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api", "/p/default/api", "/p/default/ajax-api"])
def test_each_call_stands_at_four_addresses(shared_installation, prefix):
    answer = shared_installation.client.get(f"{prefix}/2.0/mlflow/experiments/get", params={"experiment_id": "0"})
    assert answer.json()["experiment"]["name"] == "Default"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/3.0/mlflow/traces/search"),
        ("GET", "/p/default/api/3.0/mlflow/scorers/list"),
        ("GET", "/ajax-api/3.0/mlflow/gateway/endpoints/list"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/workspaces"),
        ("POST", "/v1/traces"),
        ("POST", "/graphql"),
    ],
)
def test_what_is_not_spoken_says_so_at_once(shared_installation, method, path):
    status, code, said = told(shared_installation.client.request(method, path, json={}))
    assert (status, code) == (501, "NOT_IMPLEMENTED")
    assert "docs/mlflow.md" in said


def test_an_unknown_call_is_named(shared_installation):
    answer = shared_installation.client.get("/api/2.0/mlflow/nosuch/call")
    assert told(answer) == (404, "ENDPOINT_NOT_FOUND", "nothing answers at /api/2.0/mlflow/nosuch/call")
    assert told(shared_installation.client.delete("/api/2.0/mlflow/runs/get"))[0] == 405


def test_refusals_come_in_mlflows_form(shared_installation):
    nobody = shared_installation.as_(None)
    assert told(nobody.get("/api/2.0/mlflow/experiments/get?experiment_id=0"))[:2] == (401, "UNAUTHENTICATED")
    viewer = shared_installation.as_(shared_installation.member("wire-viewer", "viewer"))
    assert told(viewer.post("/api/2.0/mlflow/runs/create", json={}))[:2] == (403, "PERMISSION_DENIED")
    elsewhere = viewer.get("/p/foreign/api/2.0/mlflow/experiments/get?experiment_id=0")
    assert told(elsewhere)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    named = viewer.get("/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"X-MLFLOW-WORKSPACE": "foreign"})
    assert told(named)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_the_server_tells_what_it_can_do_before_anybody_signs_in(shared_installation):
    nobody = shared_installation.as_(None)
    assert nobody.get("/health").text == "OK"
    assert nobody.get("/version").text == "3.17.2"
    assert nobody.get("/api/3.0/mlflow/server-info").json()["workspaces_enabled"] is True
    assert nobody.get("/api/3.0/mlflow/workspaces").status_code == 401


def test_workspaces_are_the_callers_projects(shared_installation):
    found = shared_installation.client.get("/api/3.0/mlflow/workspaces").json()["workspaces"]
    assert "default" in [workspace["name"] for workspace in found]
    assert shared_installation.client.get("/api/3.0/mlflow/workspaces/default").json()["workspace"]["name"] == "default"
    assert told(shared_installation.client.get("/api/3.0/mlflow/workspaces/no-such"))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_history_goes_on_from_page_to_page(wire):
    run_id = wire.run()
    metrics = [{"key": "m", "value": n, "timestamp": n, "step": n} for n in range(7)]
    assert wire.post("runs/log-batch", {"run_id": run_id, "metrics": metrics}).status_code == 200
    seen, token = [], ""
    for _ in range(4):
        page = wire.get("metrics/get-history", run_id=run_id, metric_key="m", max_results=2, page_token=token).json()
        seen += [point["value"] for point in page["metrics"]]
        token = page.get("next_page_token", "")
    assert (seen, token) == ([0, 1, 2, 3, 4, 5, 6], "")
    assert told(wire.get("metrics/get-history", run_id=run_id, metric_key="m", max_results=0))[0] == 400


def test_curves_of_several_runs_are_sampled_between_their_ends(wire):
    runs = [wire.run() for _ in range(2)]
    for run_id in runs:
        metrics = [{"key": "m", "value": n, "timestamp": n, "step": n} for n in range(100)]
        wire.post("runs/log-batch", {"run_id": run_id, "metrics": metrics})
    found = wire.get("metrics/get-history-bulk-interval", run_ids=runs, metric_key="m", max_results=10).json()["metrics"]
    for run_id in runs:
        steps = [point["step"] for point in found if point["run_id"] == run_id]
        assert (len(steps), steps[0], steps[-1]) == (10, 0, 99)
    part = wire.get("metrics/get-history-bulk-interval", run_ids=runs[:1], metric_key="m", start_step=40, end_step=42).json()
    assert [point["step"] for point in part["metrics"]] == [40, 41, 42]
    half = wire.get("metrics/get-history-bulk-interval", run_ids=runs, metric_key="m", start_step=1)
    assert "both must be specified" in told(half)[2]


def test_artifacts_of_a_run_are_listed_folder_by_folder(wire, shared_installation):
    run_id = wire.run()
    for path in ("a.txt", "folder/b.txt"):
        shared_installation.client.put(f"/api/v1/p/default/runs/{run_id}/artifacts/{path}", content=b"bytes")
    root = f"mlflow-artifacts:/0/{run_id}/artifacts"
    listed = wire.get("artifacts/list", run_id=run_id).json()
    assert listed == {
        "root_uri": root,
        "files": [{"path": "a.txt", "is_dir": False, "file_size": 5}, {"path": "folder", "is_dir": True}],
    }
    within = wire.get("artifacts/list", run_id=run_id, path="folder").json()["files"]
    assert within == [{"path": "folder/b.txt", "is_dir": False, "file_size": 5}]
    for path in ("../..", "/etc", "a\\..\\b", "folder/../.."):
        assert told(wire.get("artifacts/list", run_id=run_id, path=path))[0] == 400


def test_models_of_clients_before_three_are_kept_as_a_list(wire):
    run_id = wire.run()
    for name in ("one", "two"):
        model = f'{{"artifact_path": "{name}", "flavors": {{}}, "utc_time_created": "now", "run_id": "{run_id}"}}'
        assert wire.post("runs/log-model", {"run_id": run_id, "model_json": model}).status_code == 200
    tags = {tag["key"]: tag["value"] for tag in wire.get("runs/get", run_id=run_id).json()["run"]["data"]["tags"]}
    assert tags["mlflow.log-model.history"].count("artifact_path") == 2


@pytest.mark.parametrize(
    ("fragment", "page"),
    [
        ("/experiments/0/runs/abc", "/p/default/runs/abc"),
        ("/experiments/0/runs/abc/artifacts", "/p/default/runs/abc"),
        ("/experiments/99", "/p/default/runs"),
        ("/models/rain%20gauge/versions/3", "/p/default/models/rain%20gauge/versions/3"),
        ("/models/iris", "/p/default/models/iris"),
        ("/models", "/p/default/models"),
        ("//evil.example/", "/p/default/runs"),
        ("", "/p/default/runs"),
    ],
)
def test_addresses_of_mlflows_pages_lead_to_ours(shared_installation, fragment, page):
    answer = shared_installation.client.get("/p/default/from-mlflow", params={"at": fragment}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, page)


def test_an_experiment_that_is_there_leads_to_its_runs(shared_installation):
    answer = shared_installation.client.get("/p/default/from-mlflow", params={"at": "/experiments/0"}, follow_redirects=False)
    own = shared_installation.client.get("/api/v1/p/default/experiments").json()["experiments"]
    (default,) = [found["id"] for found in own if found["number"] == 0]
    assert answer.headers["location"] == f"/p/default/runs?experiment={default}"
