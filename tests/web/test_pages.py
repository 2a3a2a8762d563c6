"""The pages over HTTP, in process, against a real database."""

from __future__ import annotations

import csv
import io
import re

import httpx
import pytest

API = "/api/v1/p/default"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def client(installation) -> httpx.Client:
    installation.client.follow_redirects = False
    return installation.client


def start_run(
    client: httpx.Client, name: str, *, auc: float | None = None, params: dict[str, str] | None = None, status: str = "finished"
) -> str:
    answer = client.post(f"{API}/runs", json={"name": name, "params": params or {}})
    assert answer.status_code < 300, answer.text
    run_id = answer.json().get("id") or answer.json()["run"]["id"]
    if auc is not None:
        points = [
            {"key": "auc", "value": auc},
            *({"key": "val_loss", "value": 1 / (step + 1), "step": step} for step in range(5)),
        ]
        assert client.post(f"{API}/runs/{run_id}/log", json={"metrics": points}).status_code < 300
    if status != "running":
        assert client.patch(f"{API}/runs/{run_id}", json={"status": status}).status_code < 300
    return str(run_id)


def names_in_order(page: str) -> list[str]:
    return re.findall(r'<td><a href="/p/default/runs/[0-9a-f]{32}">([^<]*)</a>', page)


@pytest.mark.parametrize(
    "address",
    [
        "/p/default",
        "/p/default/runs",
        "/p/default/models",
        "/p/default/deployments",
        "/p/default/audit",
        "/p/default/settings",
        "/p/default/search?q=x",
        "/settings/projects",
        "/settings/tokens",
    ],
)
def test_every_page_of_an_empty_project_is_whole_and_names_the_next_step(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.text.lstrip().startswith("<!doctype html>")
    assert answer.text.rstrip().endswith("</html>")
    assert answer.headers["cache-control"] == "no-store"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_a_fragment_asked_for_by_htmx_is_the_whole_page_too(client):
    assert "<html" in client.get("/p/default/runs", headers={"hx-request": "true"}).text


def test_the_first_address_leads_to_the_readers_own_project(client):
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/p/default")


def test_a_stranger_is_told_how_to_sign_in(installation):
    answer = installation.as_(None).get("/p/default/runs")
    assert answer.status_code == 401
    assert "tilth open" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_an_unknown_page_is_a_page(client):
    answer = client.get("/p/default/runs/" + "0" * 32)
    assert answer.status_code == 404
    assert "<h1>Nothing here</h1>" in answer.text


def test_runs_are_filtered_by_the_little_language(client):
    start_run(client, "good", auc=0.81, params={"depth": "7"})
    start_run(client, "poor", auc=0.61, params={"depth": "3"})
    assert names_in_order(client.get("/p/default/runs", params={"q": "auc>0.7"}).text) == ["good"]
    assert names_in_order(client.get("/p/default/runs", params={"q": "params.depth=3"}).text) == ["poor"]
    assert names_in_order(client.get("/p/default/runs", params={"q": "nothing"}).text) == []


def test_a_filter_that_cannot_be_read_is_explained_beside_the_box(client):
    start_run(client, "one", auc=0.7)
    answer = client.get("/p/default/runs", params={"q": "auc>"})
    assert answer.status_code == 200
    assert "a value is missing after" in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_any_column_orders_the_runs_and_a_second_click_turns_them_round(client):
    for name, auc in (("middle", 0.7), ("best", 0.8), ("worst", 0.6)):
        start_run(client, name, auc=auc)
    page = client.get("/p/default/runs", params={"order": "metrics.auc desc"}).text
    assert names_in_order(page) == ["best", "middle", "worst"]
    turned = re.search(r'aria-sort="descending"><a href="([^"]+)"', page)
    assert turned is not None
    assert names_in_order(client.get(turned[1].replace("&amp;", "&")).text) == ["worst", "middle", "best"]


def test_picked_columns_are_remembered(client):
    start_run(client, "one", auc=0.7, params={"depth": "7", "rate": "0.1"})
    answer = client.get("/p/default/run-columns", params={"columns": "set", "column": ["params.rate"], "q": "one"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/p/default/runs?q=one")
    head = client.get("/p/default/runs").text.partition("<tbody>")[0].partition("<thead>")[2]
    assert ">rate<" in head
    assert ">auc<" not in head
    client.get("/p/default/run-columns", params={"columns": "auto"})
    assert ">auc<" in client.get("/p/default/runs").text


def test_only_differences_leaves_out_what_all_runs_share(client):
    for depth in ("3", "7"):
        start_run(client, f"depth-{depth}", auc=0.7, params={"depth": depth, "rate": "0.1"})
    client.get("/p/default/run-columns", params={"columns": "set", "column": ["params.rate", "params.depth", "metrics.auc"]})
    head = client.get("/p/default/runs", params={"differences": "1"}).text.partition("<tbody>")[0].partition("<thead>")[2]
    assert ">depth<" in head
    assert ">rate<" not in head
    assert ">auc<" not in head


def test_a_list_never_stops_silently(client):
    for number in range(103):
        start_run(client, f"run-{number}")
    first = client.get("/p/default/runs").text
    assert "100 of 103" in first
    following = re.search(r'class="button slim" href="([^"]+)" hx-get', first)
    assert following is not None
    assert len(names_in_order(client.get(following[1].replace("&amp;", "&")).text)) == 3


def test_csv_holds_every_run_and_no_formula(client):
    start_run(client, "=HYPERLINK(1)", auc=0.7, params={"shift": "-0.5", "cmd": "@SUM(1)"})
    answer = client.get("/p/default/runs.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="default-runs.csv"'
    row = next(csv.DictReader(io.StringIO(answer.text)))
    assert row["name"] == "'=HYPERLINK(1)"
    assert row["params.cmd"] == "'@SUM(1)"
    assert (row["params.shift"], row["metrics.auc"]) == ("-0.5", "0.7")


def test_what_people_and_programs_write_is_shown_as_text(client):
    nasty = "<script>alert(1)</script>"
    run_id = start_run(client, nasty, auc=0.7, params={"p": nasty})
    client.patch(f"{API}/runs/{run_id}", json={"notes": f"{nasty} [x](javascript:alert(1))", "error": nasty})
    for address in ("/p/default", "/p/default/runs", f"/p/default/runs/{run_id}", "/p/default/search?q=script"):
        text = client.get(address).text
        assert "<script>alert" not in text
        assert 'href="javascript' not in text
        assert "&lt;script&gt;" in text


def test_a_run_shows_metrics_params_code_and_why_it_failed(client):
    run_id = start_run(client, "broken", auc=0.7, params={"depth": "7"}, status="running")
    environment = {"git": {"commit": "9f5ce0e2d1c0", "branch": "main", "dirty": True}, "python": "3.11.9"}
    client.put(f"{API}/runs/{run_id}/artifacts/code/diff.patch", content=b"--- a/t.py\n+++ b/t.py\n-x = 1\n+x = 2\n")
    client.patch(f"{API}/runs/{run_id}", json={"status": "failed", "error": "ValueError: no rows", "environment": environment})
    own = f"/p/default/runs/{run_id}"
    page = "".join(client.get(own + tab).text for tab in ("", "?tab=code", "?tab=environment"))
    for shown in (
        "ValueError: no rows",
        "9f5ce0e2d1c0",
        "uncommitted changes",
        '<span class="add">+x = 2</span>',
        "0.7000",
        "3.11.9",
    ):
        assert shown in page
    assert 'hx-trigger="every 2s"' not in page


def test_a_running_run_refreshes_itself(client):
    run_id = start_run(client, "going", auc=0.7, status="running")
    assert 'hx-trigger="every 2s"' in client.get(f"/p/default/runs/{run_id}").text


def test_curves_come_as_columns_and_as_a_picture(client):
    run_id = start_run(client, "curved", auc=0.7)
    found = client.get(f"/p/default/runs/{run_id}/curves", params={"key": "val_loss"}).json()
    assert found["series"][0]["x"] == [0, 1, 2, 3, 4]
    assert found["series"][0]["y"][0] == 1
    drawn = client.get(f"/p/default/runs/{run_id}/curves.svg", params={"key": "val_loss"})
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert drawn.text.startswith("<svg xmlns=")
    together = client.get(f"{API}/runs/curves", params={"key": "val_loss", "runs": f"{run_id},{'0' * 32}"}).json()
    assert (together["curves"][0]["name"], together["lacking"]) == ("curved", 1)
    part = client.get(f"{API}/runs/curves", params={"key": "val_loss", "runs": run_id, "from_step": 1, "to_step": 2}).json()
    assert part["curves"][0]["steps"] == [1, 2]
    many = ",".join(f"{number:032x}" for number in range(501))
    assert client.get(f"{API}/runs/curves", params={"key": "val_loss", "runs": many}).status_code == 400


def test_notes_and_tags_are_changed_by_forms_that_go_back_to_the_page(client):
    run_id = start_run(client, "noted")
    own = f"/p/default/runs/{run_id}"
    answer = client.post(f"{own}/notes", data={"notes": "first line\r\n\r\n**second**"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{own}?done=saved")
    client.post(f"{own}/tags", data={"key": "team", "value": "ops"})
    page = client.get(f"{own}?done=saved").text
    assert "<strong>second</strong>" in page
    assert '<span class="dim">team</span> ops' in page
    assert "Saved." in page
    client.post(f"{own}/tags", data={"key": "team", "remove": "1"})
    assert '<span class="dim">team</span>' not in client.get(own).text
    assert client.post(f"{own}/tags", data={"value": "x"}).status_code == 400


def test_a_deleted_run_can_be_restored(client):
    run_id = start_run(client, "gone")
    own = f"/p/default/runs/{run_id}"
    assert client.post(f"{own}/delete").status_code == 303
    assert names_in_order(client.get("/p/default/runs").text) == []
    assert "Restore run" in client.get(own).text
    client.post(f"{own}/restore")
    assert names_in_order(client.get("/p/default/runs").text) == ["gone"]


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", '{"predicted": 1}', '{"predicted": [1e999], "observed": [1], "count": [1e999]}']
)
def test_a_calibration_that_cannot_be_drawn_is_left_out(client, content):
    run_id = start_run(client, "odd")
    client.put(f"{API}/runs/{run_id}/artifacts/calibration.json", content=content.encode())
    assert client.get(f"/p/default/runs/{run_id}").status_code == 200


def test_an_image_with_script_in_it_cannot_run_it(client):
    run_id = start_run(client, "drawn")
    client.put(
        f"{API}/runs/{run_id}/artifacts/plot.svg", content=b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
    )
    answer = client.get(f"/p/default/runs/{run_id}/images/plot.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_only_images_are_served_for_showing_and_only_plain_paths(client):
    run_id = start_run(client, "files")
    client.put(f"{API}/runs/{run_id}/artifacts/page.html", content=b"<script>1</script>")
    own = f"/p/default/runs/{run_id}"
    assert client.get(f"{own}/images/page.html").status_code == 404
    assert client.get(f"{own}/images/..%2F..%2Ftoken").status_code in (400, 404)
    shown = client.get(f"{own}/artifacts/page.html").text
    assert '<iframe class="frame-page" sandbox="allow-scripts"' in shown
    assert "<script>1" not in shown
    policy = client.get(f"{own}/frames/page.html").headers["content-security-policy"]
    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert client.get(f"{own}/frames/..%2Ftoken").status_code in (400, 404)


def test_a_token_is_shown_once(client):
    answer = client.post("/settings/tokens", data={"name": "ci", "scope": ["read", "predict"], "days": "30"})
    secret = re.search(r"tilth_[a-z0-9]{8}_[\w-]{43}", answer.text)
    assert secret is not None
    assert answer.headers["cache-control"] == "no-store"
    listed = client.get("/settings/tokens").text
    assert secret[0] not in listed
    assert "predict, read" in listed
    assert client.post("/settings/tokens", data={"name": "x", "scope": "read", "days": "9999"}).status_code == 400
    assert client.post("/settings/tokens", data={"name": "x", "days": "3"}).status_code == 400


def test_a_revoked_token_is_marked(client):
    made = client.post("/api/v1/tokens", json={"name": "old"}).json()["token"]
    assert client.post(f"/settings/tokens/{made['id']}/revoke").headers["location"] == "/settings/tokens?done=revoked"
    assert "revoked" in client.get("/settings/tokens").text


def test_projects_are_made_by_a_form_and_a_wrong_name_is_explained(client):
    answer = client.post("/settings/projects", data={"name": "churn", "description": "who leaves"})
    assert answer.headers["location"] == "/p/churn?done=created"
    assert "who leaves" in client.get("/p/churn").text
    refused = client.post("/settings/projects", data={"name": "../up"})
    assert refused.status_code == 400
    assert "is not allowed" in refused.text
    assert "Back button" in refused.text


def test_members_are_added_changed_and_removed(installation, client):
    installation.member("ann", "viewer")
    client.post("/p/default/settings/members", data={"principal": "ann", "role": "developer"})
    assert "<option selected>developer" in client.get("/p/default/settings").text
    client.post("/p/default/settings/members", data={"principal": "ann", "remove": "1"})
    assert ">ann<" not in client.get("/p/default/settings").text.replace("</span>ann<", ">ann<")


def test_a_viewer_reads_and_meets_no_form_but_the_one_for_comments(installation, client):
    run_id = start_run(client, "seen", auc=0.7)
    viewer = installation.as_(installation.member("vic", "viewer"))
    page = viewer.get(f"/p/default/runs/{run_id}")
    assert page.status_code == 200
    assert re.findall(r'method="post" action="([^"]*)"', page.text) == [f"/p/default/runs/{run_id}/comments"]
    assert viewer.post(f"/p/default/runs/{run_id}/comments", data={"text": "x"}, follow_redirects=False).status_code == 303
    assert viewer.post(f"/p/default/runs/{run_id}/notes", data={"notes": "x"}).status_code == 403
    assert viewer.get("/p/default/audit").status_code == 403
    assert not re.search(r'href="/p/default/(audit|webhooks)"', page.text)
    assert re.search(r'href="/p/default/audit"', client.get(f"/p/default/runs/{run_id}").text)
    assert 'method="post"' not in viewer.get("/p/default/settings").text


def test_a_reader_of_another_project_sees_nothing_of_this_one(installation, client):
    run_id = start_run(client, "secret-run")
    stranger = installation.as_(installation.member("sam", ""))
    for address in ("/p/default", "/p/default/runs", f"/p/default/runs/{run_id}", "/p/default/search?q=secret"):
        answer = stranger.get(address)
        assert answer.status_code == 404
        assert "secret-run" not in answer.text


def test_search_finds_an_experiment_and_leads_to_its_runs(client):
    client.post("/api/v1/p/default/runs", json={"name": "one", "experiment": "Fares of June"})
    client.post("/api/v1/p/default/runs", json={"name": "two", "experiment": "other"})
    found = re.search(
        r'href="(/p/default/runs\?experiment=[0-9a-f]{32})">Fares of June<', client.get("/p/default/search?q=fares").text
    )
    assert found is not None
    runs = client.get(found[1]).text
    assert ">one<" in runs
    assert ">two<" not in runs


def test_the_audit_log_is_filtered_by_words(client):
    client.post("/settings/projects", data={"name": "churn"})
    client.post("/p/default/settings/description", data={"description": "flights"})
    page = client.get("/p/default/audit", params={"q": "project.updated"}).text
    assert "project.updated" in page
    assert "experiment.created" not in page
    assert client.get("/p/default/audit", params={"before": "nonsense"}).status_code == 400


def test_a_form_must_come_as_a_form(client):
    run_id = start_run(client, "odd")
    answer = client.post(f"/p/default/runs/{run_id}/notes", json={"notes": "x"})
    assert answer.status_code == 400
    assert "as browsers send it" in answer.text
    big = client.post(f"/p/default/runs/{run_id}/notes", content=b"notes=" + b"x" * 1_100_000, headers=FORM)
    assert big.status_code == 413


def test_static_files_are_kept_for_ever_and_unknown_ones_are_refused(client):
    page = client.get("/login").text
    sheet = re.search(r'href="(/static/[^"]+tilth\.css)"', page)
    assert sheet is not None
    answer = client.get(sheet[1])
    assert answer.headers["cache-control"].endswith("immutable")
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert client.get(sheet[1].replace("tilth.css", "../web/render.py")).status_code == 404
    assert client.get("/static/old/tilth.css").headers["cache-control"] == "no-cache"


def test_the_chain_is_verified_from_the_page(client):
    client.post("/p/default/settings/description", data={"description": "flights"})
    answer = client.post("/p/default/audit/verify")
    assert answer.status_code == 200
    assert re.search(r"\d+ rows and \d+ signed checkpoints hold", answer.text)
    assert '<span class="pill ok">intact</span>' in answer.text


def test_every_address_to_copy_is_answered(client):
    run_id = start_run(client, "copied", auc=0.7)
    pages = ["/p/default", "/p/default/runs?q=auc>0.5&order=metrics.auc+desc", f"/p/default/runs/{run_id}", "/p/default/models"]
    for page in [*pages, "/p/default/deployments", "/p/default/audit"]:
        found = re.findall(r"\$TILTH_URL([^&\"]*(?:&amp;[^&\"]*)*)&#34;", client.get(page).text)
        assert found, page
        for address in found:
            answer = client.get(address.replace("&amp;", "&"))
            assert answer.status_code == 200, (address, answer.text)


def test_the_list_of_models_says_where_the_newest_version_stands(client):
    models = "/api/v1/p/default/models"
    assert client.post("/api/2.0/mlflow/registered-models/create", json={"name": "churn"}).status_code == 200
    for _ in range(2):
        body = {"name": "churn", "source": "s3://elsewhere/m"}
        assert client.post("/api/2.0/mlflow/model-versions/create", json=body).status_code == 200
    assert "Its approval" not in client.get("/p/default/models").text
    assert client.post(f"{models}/churn/versions/2/approval", json={"comment": "please"}).status_code < 300
    page = client.get("/p/default/models").text
    assert "Its approval" in page
    assert re.search(r">v2</a></td><td><span class=\"pill[^>]*>[^/]*requested", page)
