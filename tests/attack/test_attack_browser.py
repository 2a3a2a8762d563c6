"""What a reader's browser, spreadsheet or shell could be made to do by what others wrote."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
from attack_steps import done, make_things, raw, statuses

EVIL = "\"'><img src=x onerror=alert(1)><script>alert(1)<\\script>{{7*7}}${7*7}"
PLAIN_EVIL = EVIL.replace("\\", "")
NOTES = """<script>alert(1)</script> <img src=x onerror=alert(1)> <svg onload=alert(1)>
[a](javascript:alert(1)) [b](JaVaScRiPt&#58;alert(1)) [c](data:text/html,<script>alert(1)</script>) [d](vbscript:x)
![i](https://evil.example/i.png) <https://example.org/"onmouseover=alert(1)> [e]: javascript:alert(1)
[e] [f](https://example.org "t\\"onclick=alert(1)") `<b onclick=x>` <a href="javascript:x">x</a> <style>*{}</style> <iframe src=x>
"""


class Seen(HTMLParser):
    """What a browser could act on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.links: list[str] = []
        self.commands: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        own = dict(attributes)
        # An HTML file is shown without the rights of the page around it: no origin, no forms, no windows.
        boxed = tag == "iframe" and own.get("sandbox") == "allow-scripts" and (own.get("src") or "").startswith("/p/")
        if (tag in ("iframe", "object", "embed", "base", "style") and not boxed) or (
            tag == "script" and not (own.get("src") or "").startswith("/static/")
        ):
            self.bad.append(f"<{tag} {own}>")
        if tag == "img" and not (own.get("src") or "").startswith(("/p/", "/static/")):
            self.bad.append(f"<img {own}>")
        for name, value in attributes:
            if name.startswith(("on", "hx-on")) or name in ("style", "srcdoc"):
                self.bad.append(f"{name}={value}")
            if name in ("href", "src", "action", "formaction") or name in ("hx-get", "hx-post"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        if data.startswith("tilth "):
            self.commands.append(data)

    @property
    def dangerous(self) -> list[str]:
        allowed = re.compile(r"(?:/(?!/)|[?#]|https?://|mailto:)")
        return self.bad + [link for link in self.links if link and not allowed.match(link)]


@pytest.fixture(scope="module")
def poisoned(tilth_server) -> Iterator[tuple[httpx.Client, str, str]]:
    """A project in which everything that takes text carries an attack: (client, address of its model, id of its run)."""
    with tilth_server.client(timeout=30) as client:
        model, run = poison(client)
        yield client, model, run


def poison(client: httpx.Client) -> tuple[str, str]:
    """(address of the model below its project, id of the run)."""
    done(client.post("/api/v1/projects", json={"name": "poisoned", "description": EVIL}))
    model = "x'\"><img src=x onerror=alert(1)>$(touch pwned);`id`"
    things = make_things(client, "poisoned", model=model, name=PLAIN_EVIL)
    api, run = things.api, f"{things.api}/runs/{things.run}"
    other = done(client.post(f"{api}/experiments", json={"name": PLAIN_EVIL}))["id"]
    document = {
        "git": {"commit": EVIL, "branch": EVIL, "remote": "javascript:alert(1)"},
        "argv": [EVIL],
        "hostname": EVIL,
        "python": EVIL,
    }
    child = {
        "name": PLAIN_EVIL,
        "experiment_id": other,
        "parent_run_id": things.run,
        "environment": document,
        "source": EVIL,
        "notes": NOTES,
    }
    child_run = done(client.post(f"{api}/runs", json=child))["id"]
    done(client.patch(run, json={"notes": NOTES, "error": EVIL, "environment": document, "status": "failed"}))
    inputs = [{"name": PLAIN_EVIL, "digest": EVIL[:100], "source": "javascript:alert(1)", "schema": EVIL, "profile": EVIL}]
    for where in (run, f"{api}/runs/{child_run}"):
        texts = {"params": {"p": EVIL, "depth": "=1+1"}, "tags": {"t": EVIL, "mlflow.note.content": NOTES}}
        done(client.post(f"{where}/log", json={**texts, "inputs": inputs}))
        points = [
            {"key": "onerror:alert/1", "value": v, "step": s} for s, v in enumerate((1.0, "NaN", "Infinity", -1e308, 1e308))
        ]
        done(client.post(f"{where}/log", json={"metrics": points}))
    for name, data in ARTIFACTS.items():
        done(client.put(f"{run}/artifacts/{name}", content=data))
    version = f"{api}/models/{quote(model, safe='')}"
    done(client.patch(version, json={"description": NOTES, "tags": {"t": EVIL}}))
    done(client.patch(f"{version}/versions/1", json={"description": NOTES}))
    done(client.put(f"{version}/versions/1/card", json={"fields": {"limits": NOTES, "contact": EVIL}}))
    done(client.put(f"{version}/aliases/champion", json={"version": 1}))
    done(client.put(f"{api}/deployments/live", json={"model": model, "version": 1, "note": EVIL}))
    return version.removeprefix(api), things.run


ARTIFACTS = {
    "page.html": b"<script>alert(1)</script>",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "notes.md": NOTES.encode(),
    "calibration.json": b'{"predicted": ["<script>"], "observed": [1e999], "count": [NaN]}',
    "x.diff": b'+<script>alert(1)</script>\n@@ "><img src=x onerror=alert(1)>\n',
    "%3Cimg%20src=x%20onerror=alert(1)%3E.txt": b"\x00\xff<script>",
    "fake.png": b"<html><script>alert(1)</script>",
}


def addresses(model: str, run: str) -> list[str]:
    base = "/p/poisoned"
    own = f"{base}/runs/{run}"
    return [
        base,
        f"{base}/runs",
        f"{base}/runs?differences=1",
        f"{base}/runs?q=%22%3E%3Cscript%3E&order=%22%3E%3Cscript%3E",
        f"{base}/runs?columns=auto",
        f"{base}/models",
        f"{base}{model}",
        f"{base}{model}/versions/1",
        f"{base}/deployments",
        f"{base}/deployments/live",
        f"{base}/search?q=%3Cimg",
        f"{base}/audit?q=%3Cscript%3E",
        f"{base}/settings",
        "/settings/projects",
        own,
        *(f"{own}/artifacts/{name}" for name in ARTIFACTS),
        "/nothing/%3Cscript%3Ealert(1)%3C/script%3E",
        "/p/%3Cscript%3E/runs",
        f"{base}/runs/%3Cimg%20src=x%20onerror=alert(1)%3E",
    ]


def test_no_page_shows_what_others_wrote_as_anything_but_text(poisoned):
    client, model, run = poisoned
    met = 0
    for address in addresses(model, run):
        answer = client.get(address, follow_redirects=True)
        assert answer.status_code in (200, 400, 404), (address, answer.text[:300])
        assert Seen(answer.text).dangerous == [], address
        assert "script-src 'self'" in answer.headers["content-security-policy"], address
        assert "unsafe" not in answer.headers["content-security-policy"], address
        assert answer.headers["x-content-type-options"] == "nosniff"
        met += "&lt;img src=x onerror" in answer.text or "&lt;script&gt;" in answer.text
    assert met >= 12, "the attacks stand on hardly any page: this test tests nothing"


def test_notes_keep_what_markdown_is_for(poisoned, tilth_server):
    client, _, run = poisoned
    text = "**bold** [home](https://example.org) `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    fresh = done(client.post("/api/v1/p/poisoned/runs", json={"notes": text}))["id"]
    page = client.get(f"/p/poisoned/runs/{fresh}").text
    for wanted in ("<strong>bold</strong>", 'href="https://example.org"', "<code>code</code>", "<td>1</td>"):
        assert wanted in page
    assert "evil.example" not in "".join(Seen(client.get(f"/p/poisoned/runs/{run}").text).links)


@pytest.mark.parametrize("name", sorted(ARTIFACTS))
def test_artifacts_are_handed_out_so_that_nothing_in_them_runs(poisoned, name):
    client, _, run = poisoned
    answer = client.get(f"/api/v1/p/poisoned/runs/{run}/artifacts/{name}")
    assert answer.content == ARTIFACTS[name]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    shown = client.get(f"/p/poisoned/runs/{run}/images/{name}")
    if name.endswith((".svg", ".png")):
        assert shown.status_code == 200
        assert shown.headers["content-type"].startswith("image/")
        assert "sandbox" in shown.headers["content-security-policy"]
        assert "default-src 'none'" in shown.headers["content-security-policy"]
    else:
        assert shown.status_code == 404


def test_a_curve_drawn_as_a_picture_carries_no_script(poisoned):
    client, _, run = poisoned
    answer = client.get(f"/p/poisoned/runs/{run}/curves.svg", params={"key": ["onerror:alert/1", "<script>", '"onload="x']})
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "<script" not in answer.text
    assert not re.search(r'<[^>]*"\s*onload=', answer.text)
    assert "<path" in client.get(f"/p/poisoned/runs/{run}/curves.svg?key=auc").text


def test_commands_offered_for_copying_keep_every_name_one_word(poisoned):
    client, model, run = poisoned
    evil_filter = "x'; touch pwned; '$(id)`id`"
    pages = [f"/p/poisoned{model}", f"/p/poisoned{model}/versions/1", "/p/poisoned/deployments/live", f"/p/poisoned/runs/{run}"]
    texts = [client.get(address).text for address in pages] + [client.get("/p/poisoned/runs", params={"q": evil_filter}).text]
    offered = [Seen(text).commands for text in texts]
    assert all(offered), "a page offers none"
    commands = [command for commands in offered for command in commands]
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "tilth"
        assert shlex.join(words) == command
    assert evil_filter in shlex.split(commands[-1])
    assert "$(touch pwned)" in shlex.split(commands[0])[3]


def test_a_spreadsheet_runs_no_formula_of_the_export(tilth_server):
    attacks = ["=cmd|'/c calc'!A1", "+1+cmd", "-2+3", "@SUM(1)", "\t=1+1", '=HYPERLINK("http://evil")']
    with tilth_server.client(timeout=30) as client:
        done(client.post("/api/v1/projects", json={"name": "sheets"}))
        for text in attacks:
            name = text.replace("\t", " ").strip()
            wanted = {"name": name, "experiment": name, "params": {"p": text, "n": "-1.5"}}
            run = done(client.post("/api/v1/p/sheets/runs", json=wanted))["id"]
            done(client.post(f"/api/v1/p/sheets/runs/{run}/log", json={"metrics": [{"key": "-m", "value": -2.5}]}))
        answer = client.get("/p/sheets/runs.csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.text)))
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if cell[:1] in "=+@\t\r" and cell] == []
    assert {cell for cell in cells if cell.startswith("-")} == {"-1.5", "-2.5"}
    assert len(rows) == 1 + len(attacks)


def test_a_page_of_another_site_gets_nothing_to_embed_or_to_read(poisoned):
    client, _, run = poisoned
    for path in ("/p/poisoned", f"/p/poisoned/runs/{run}/images/drawing.svg", "/api/v1/whoami", "/static/x/tilth.css"):
        answer = client.get(path, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
    preflight = client.options(
        "/api/v1/projects", headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert not [name for name in preflight.headers if name.startswith("access-control-")]
    assert client.get("/p/poisoned").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "127.0.0.1:80:80", "0", "[::1].evil"]
)
def test_a_rebound_name_reaches_neither_pages_nor_links(tilth_server, host):
    with tilth_server.client() as client:
        assert client.get("/api/v1/whoami", headers={"host": host}).status_code == 400
        assert client.post("/api/v1/login-links", headers={"host": host}).status_code == 400
        assert client.post("/api/v1/login-links").status_code == 201


@pytest.mark.parametrize("hosts", [("evil.example", "127.0.0.1"), ("127.0.0.1", "evil.example"), ("127.0.0.1", "127.0.0.1"), ()])
def test_two_host_names_or_none_make_no_link(tilth_server, hosts):
    def status(*names: str) -> int:
        head = "".join(f"Host: {name}\r\n" for name in names) + f"Authorization: Bearer {tilth_server.token}\r\n"
        request = f"POST /api/v1/login-links HTTP/1.1\r\n{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
        return statuses(raw(tilth_server.url, request.encode()))[0]

    assert status(*hosts) == 400
    assert status("127.0.0.1") == 201
