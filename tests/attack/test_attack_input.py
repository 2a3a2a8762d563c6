"""Input made to break the control process: numbers that are none, documents without end, little languages, and files it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from attack_steps import MLMODEL, done, make_things
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

API = "/api/v1/p/default"
BEYOND = 2**70
DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def client(tilth_server) -> Iterator[httpx.Client]:
    with tilth_server.client(timeout=60) as client:
        done(client.post("/api/v1/projects", json={"name": "input"}))
        make_things(client, "input")
        yield client


@pytest.fixture
def run(client) -> str:
    return str(done(client.post(f"{API}/runs", json={}))["id"])


@pytest.mark.parametrize(
    "text", ["1e400", DIGITS, "1" + "0" * 400, "true", "null", "[]", '"nan"', '"1"', "NaN", "-Infinity", '"\\ud800"']
)
def test_what_is_no_number_is_refused_as_a_metric(client, run, text):
    for field in ('"value":%s', '"value":1,"step":%s', '"value":1,"ts":%s'):
        if text == "null" and "ts" in field:
            continue
        body = '{"metrics":[{"key":"m",' + field % text + "}]}"
        assert client.post(f"{API}/runs/{run}/log", content=body).status_code == 400, body[:80]
    for legal in (1, -1.5e300, "NaN", "Infinity", "-Infinity"):
        assert client.post(f"{API}/runs/{run}/log", json={"metrics": [{"key": "m", "value": legal}]}).status_code == 204


def test_no_whole_number_fails_the_server(client):
    """Wherever the API takes a whole number: beyond 64 bits, below zero, and longer than Python turns into one."""
    here = "/api/v1/p/input"
    run = done(client.post(f"{here}/runs", json={}))["id"]
    wrong = [
        ("GET", f"{here}/models/m/versions/{{}}", None),
        ("GET", "/p/input/models/m/versions/{}", None),
        ("PUT", f"{here}/models/m/aliases/x", '{{"version":{}}}'),
        ("PUT", f"{here}/deployments/live", '{{"model":"m","version":{}}}'),
        ("POST", f"{here}/deployments/live/rollback", '{{"to_generation":{}}}'),
        ("GET", f"{here}/deployments/live/wait?timeout_s=0&generation={{}}", None),
        ("GET", f"{here}/audit?before={{}}-x&limit=1", None),
        ("GET", "/p/input/audit?before={}-x", None),
        ("GET", f"{here}/runs?limit={{}}", None),
        ("GET", f"{here}/runs?page_token={{}}", None),
        ("POST", f"{here}/runs", '{{"started":{}}}'),
        ("PATCH", f"{here}/runs/{run}", '{{"status":"finished","ended":{}}}'),
        ("POST", f"{here}/runs/{run}/log", '{{"writer":"w","number":{}}}'),
        ("GET", f"{here}/runs/{run}/metrics?key=m&after_step={{}}", None),
        ("POST", "/api/v1/tokens", '{{"name":"x","expires_in_days":{}}}'),
    ]
    for method, path, body in wrong:
        for number in (BEYOND, -BEYOND, DIGITS):
            answer = client.request(method, path.format(number), content=body.format(number) if body else None)
            assert answer.status_code < 500, (method, path[:60], str(number)[:10], answer.text[:200])
    for path in ("/models?limit={}", "/models?offset={}", "/logged-models?limit={}", "/deployments?offset={}", "/audit?limit={}"):
        for number in (BEYOND, -BEYOND, DIGITS):
            assert client.get(here + path.format(number)).status_code in (200, 400), path
    assert client.get(f"{here}/models/m/versions/1").status_code == 200


@pytest.mark.parametrize("moment", [-(2**62), -1, 2**62, 253_402_300_800_000])
def test_a_moment_that_no_calendar_knows_breaks_no_page(client, moment):
    here = "/api/v1/p/input"
    assert client.post(f"{here}/runs", json={"started": moment}).status_code == 400
    run = done(client.post(f"{here}/runs", json={"started": 0}))["id"]
    assert client.patch(f"{here}/runs/{run}", json={"ended": moment, "status": "finished"}).status_code == 400
    assert client.post(f"{here}/runs/{run}/log", json={"metrics": [{"key": "m", "value": 1, "ts": moment}]}).status_code == 400
    last = {"ended": 253_402_300_799_999, "status": "finished"}
    assert client.patch(f"{here}/runs/{run}", json=last).status_code == 200
    for page in ("/p/input", "/p/input/runs", f"/p/input/runs/{run}", "/p/input/runs.csv"):
        assert client.get(page).status_code == 200, page


def test_values_at_the_edges_of_a_float_are_drawn(client):
    here = "/api/v1/p/input"
    run = done(client.post(f"{here}/runs", json={"name": "edges"}))["id"]
    values = [1.7e308, -1.7e308, 5e-324, "NaN", "Infinity", "-Infinity", 0.0, -0.0]
    steps = [-(2**63) + 1, -1, 0, 1, 2**31, 2**53, 2**62, 2**63 - 1]
    points = [{"key": "edge", "value": value, "step": step} for value, step in zip(values, steps, strict=True)]
    assert client.post(f"{here}/runs/{run}/log", json={"metrics": points}).status_code == 204
    for page in (
        "/p/input/runs",
        f"/p/input/runs/{run}",
        f"/p/input/runs/{run}/curves?key=edge",
        f"/p/input/runs/{run}/curves.svg?key=edge",
    ):
        assert client.get(page).status_code == 200, page
    assert client.get("/p/input/runs?order=metrics.edge+desc").status_code == 200
    assert len(done(client.get(f"{here}/runs/{run}/metrics/edge"))["points"]) == len(values)


@pytest.mark.parametrize(
    "body",
    [
        b'{"metrics":' + b"[" * 200_000,
        b'{"x":' * 50_000,
        b'{"tags":{"a":"\xff"}}',
        b'{"tags":{"a":"\\ud800"}}',
        b'{"tags":{"a":"\\u0000"}}',
        b'{"params":{"\\u0000":"a"}}',
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"",
        b"\x1f\x8b\x08\x00" + b"\x00" * 100,
    ],
    ids=range(10),
)
def test_a_document_that_is_none_is_refused(client, run, body):
    for path in (f"{API}/runs/{run}/log", f"{API}/runs", f"{API}/experiments", "/api/v1/tokens", "/api/v1/projects"):
        if path == f"{API}/runs" and b"tags" in body and b"\\u0000" in body:
            continue
        assert client.post(path, content=body).status_code == 400, path
    assert client.post(f"{API}/runs/{run}/log", content=b'{"tags":{"a":"b"}}').status_code == 204


def test_a_batch_without_end_is_refused_and_a_full_one_taken(client, run):
    log = f"{API}/runs/{run}/log"
    keys = ",".join(f'"k{number}":""' for number in range(500_000))
    assert client.post(log, content=f'{{"params":{{{keys}}}}}').status_code == 413
    points = ",".join(['{"key":"m","value":1}'] * 100_000)
    assert client.post(log, content=f'{{"metrics":[{points}]}}').status_code == 413
    assert client.post(log, content=b'{"tags":{"a":"' + b"x" * 10_000_001 + b'"}}').status_code == 413
    assert client.post(log, json={"tags": {"a": "x" * 8001}}).status_code in (400, 413)
    assert (
        client.post(log, json={"metrics": [{"key": f"m{number}", "value": number} for number in range(1000)]}).status_code == 204
    )


def test_a_form_without_end_is_refused(client, run):
    head = {"content-type": "application/x-www-form-urlencoded"}
    for body, expected in ((b"notes=" + b"x" * 1_000_001, 413), (b"a=1&" * 1000, 400), (b"notes=\xff", 400)):
        assert client.post(f"/p/default/runs/{run}/notes", content=body, headers=head).status_code == expected
    assert client.post(f"/p/default/runs/{run}/notes", content=b"notes=fine", headers=head).status_code == 303


YAML_ATTACKS = {
    "merge keys that double": b"a0: &a0 {k0: 1, k1: 1}\n"
    + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 40))
    + b"flavors: {sklearn: {}}\n",
    "aliases that double": b"a0: &a0 [x, x]\n"
    + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40))
    + b"flavors: {sklearn: {}}\n",
    "a number without end": b"flavors: {sklearn: {a: " + b"9" * 5000 + b"}}",
    "a date that is none": b"flavors: {sklearn: {a: 2001-13-45}}",
    "an object": b"flavors: {sklearn: {a: !!python/object/apply:os.system ['touch pwned']}}",
    "nesting without end": b"flavors: " + b"[" * 100_000,
    "too large": b"flavors: {}\n#" + b"x" * 600_000,
    "no text": b"\x00\xff\xfe",
    "a list": b"- flavors",
}


@pytest.mark.parametrize("attack", YAML_ATTACKS)
def test_a_file_that_describes_a_model_cannot_break_who_reads_it(client, attack):
    def sealed(mlmodel: bytes, document: bytes | None = None) -> int:
        logged = done(client.post(f"{API}/logged-models", json={"name": "m"}))["id"]
        done(client.put(f"{API}/logged-models/{logged}/files/MLmodel", content=mlmodel))
        if document is not None:
            done(client.put(f"{API}/logged-models/{logged}/files/tilth.json", content=document))
        return int(client.post(f"{API}/logged-models/{logged}/finalize", json={}, timeout=10).status_code)

    assert sealed(YAML_ATTACKS[attack]) in (200, 400)
    assert sealed(MLMODEL, b"[" * 100_000) == 400
    assert sealed(MLMODEL, json.dumps({"model_path": "../../token"}).encode()) == 400
    assert sealed(MLMODEL) == 200


def test_control_never_unpickles_what_it_stores(client, tilth_server, tmp_path):
    mark = tmp_path / "ran"
    bomb = b"cposix\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    logged = done(client.post(f"{API}/logged-models", json={"name": "bomb"}))["id"]
    for path, data in {"MLmodel": b"flavors: {sklearn: {pickled_model: model.pkl}}", "model.pkl": bomb}.items():
        done(client.put(f"{API}/logged-models/{logged}/files/{path}", content=data))
    done(client.post(f"{API}/logged-models/{logged}/finalize", json={}))
    done(client.post(f"{API}/models/bomb/versions", json={"logged_model_id": logged}))
    for page in (f"{API}/models/bomb/versions/1", f"{API}/models/bomb/versions/1/card", "/p/default/models/bomb/versions/1"):
        assert client.get(page).status_code == 200
    assert client.get(f"{API}/logged-models/{logged}/files/model.pkl").content == bomb
    assert not mark.exists()


FILTER_ATTACKS = [
    "a=1 " * 400,
    "x " * 900,
    "(" * 1999,
    "a" * 1999 + "=",
    "!" * 1999,
    '"' * 1999,
    "'" + "\\" * 1997 + "'",
    'name~"' + "%" * 1990 + '"',
    'name~"' + "_%" * 990 + '"',
    "a" + "." * 1900 + "=1",
    "metrics." + "a." * 900 + "b>1",
    "=1",
    "a=1;drop table run",
    "a='1' or '1'='1'",
    "name='\x00'",
    "started>9999999999999999999999",
    "ended<0001-01-01",
    "started>9999-12-31T23:59:59-23:59",
    "status=\u00b2",
    "m>\u0661",
    "id~%",
]


@pytest.mark.parametrize("text", FILTER_ATTACKS)
def test_no_filter_fails_the_server_or_holds_it_up(client, text):
    for path, name in (
        (f"{API}/runs", "filter"),
        ("/p/default/runs", "q"),
        ("/p/default/runs.csv", "q"),
        ("/p/default/runs", "order"),
    ):
        answer = client.get(path, params={name: text}, timeout=10)
        assert answer.status_code in (200, 400), (path, answer.text[:200])
    assert client.get(f"{API}/runs", params={"filter": 'auc>0.7 params.depth=7 tags.team~"churn"'}).status_code == 200


KEYS = st.one_of(
    st.sampled_from(
        ["auc", "metrics.auc", "params.p", "tags.t", "attributes.status", "started", "duration", "name", "id", "run.user"]
    ),
    st.text(min_size=1, max_size=8).map(lambda text: f'"{text}"'),
    st.text(alphabet="abc._-`\"'é", min_size=1, max_size=8),
)
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["running", "2013-01-01", "inf", "-nan", "1e999", "'", '"\\', "0x1", "1_0", "true"]),
    st.text(max_size=12).map(lambda text: f'"{text}"'),
    st.text(max_size=12),
)
TERMS = st.builds(
    "".join,
    st.tuples(KEYS, st.sampled_from([" ", ""]), st.sampled_from(["<", "<=", ">", ">=", "=", "!=", "~", "!~", "=="]), VALUES),
)
FILTERS = st.lists(st.one_of(TERMS, st.text(max_size=10), st.sampled_from(["and", "or", "(", ")", "AND"])), max_size=8).map(
    " ".join
)
ORDERS = st.builds(lambda key, way: f"{key} {way}".strip(), KEYS, st.sampled_from(["asc", "desc", "DESC", "", "x"]))


@given(text=FILTERS, order=ORDERS)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_filter_of_the_grammar_is_answered(client, text, order):
    encoded = {"filter": text.encode("utf-8", "replace").decode(), "order_by": order.encode("utf-8", "replace").decode()}
    answer = client.get("/api/v1/p/input/runs", params=encoded)
    assert answer.status_code in (200, 400), (encoded, answer.text)
    page = client.get("/p/input/runs", params={"q": encoded["filter"], "order": encoded["order_by"]})
    assert page.status_code in (200, 400), (encoded, page.text[:300])


def test_a_note_that_no_database_keeps_is_refused_wherever_one_is_taken(client):
    here = "/api/v1/p/input/deployments/live"
    asked = [
        ("PUT", here, {"model": "m"}),
        ("PUT", f"{here}/predictions/policy", {}),
    ]
    for method, path, body in asked:
        refused = client.request(method, path, json={**body, "note": "a\0b"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unstorable_note"), path
    assert client.put(f"{here}/predictions/policy", json={"note": "a b"}).status_code == 200


@pytest.mark.parametrize(
    "fields", [{"label": 10**400}, {"label": 1, "at": 10**400}, {"label": 1, "at": "0001-01-01T00:00:00Z"}, {"label": "\0"}]
)
def test_a_label_that_is_no_number_or_of_no_moment_is_refused(client, fields):
    here = "/api/v1/p/input/deployments/live/labels"
    done(client.put(f"{here}/key", json={"key": ["request_id"]}))
    assert client.post(here, json={"labels": [{"request_id": "order-1", **fields}]}).status_code == 400
    assert client.post(here, json={"labels": [{"request_id": "order-1", "label": 1, "at": 1_372_636_800_000}]}).status_code == 200
