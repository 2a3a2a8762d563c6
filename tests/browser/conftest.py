"""A furnished Tilth and a real browser. Skipped, with the reason, where Debian's chromium is not installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sklearn.ensemble import HistGradientBoostingClassifier
from tests.browser.many_runs import fill, whole_run
from tests.conftest import start_server

import tilth
from tilth.sdk.connection import forget

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
API = "/api/v1/p/default"

expect.set_options(timeout=20_000)  # ms: a busy machine is not a broken page


@dataclass(frozen=True)
class Furnished:
    """A server with 104 runs (one of them running), a model, and a deployment that has answered."""

    url: str
    token: str
    run_id: str
    failed_id: str
    running_id: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=30)


@dataclass(frozen=True)
class Busy:
    """A server with 10,000 runs, `run-1` to `run-10000`, the newest 300 with curves; and a run of many parts, with two children."""

    url: str
    token: str
    whole_id: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=30)


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    home = tmp_path_factory.mktemp("busy") / "home"
    fill(home, 10_000)
    server = start_server(home)
    with server.client(timeout=30) as client:
        whole = whole_run(client)
    yield Busy(server.url, server.token, whole)
    server.stop()


@pytest.fixture(scope="session")
def furnished(furnished_server) -> Furnished:
    with furnished_server.client(timeout=30) as client:
        for number in range(100):
            _run(client, f"filler-{number}", auc=0.6 + number / 1000, steps=3)
        failed = _run(client, "stumbled", auc=0.61, steps=60, error='Traceback (most recent call last):\nValueError: "no rows"')
        going = _run(client, "still-going", auc=None, steps=80, ended=False)
        _run(client, "finished-well", auc=0.79, steps=200)
    run_id = _model(furnished_server)
    with furnished_server.client(timeout=30) as client:
        body = {"dataframe_records": [{"hour": 7.0, "origin": "JFK"}]}
        url = f"{furnished_server.serve_url}/p/default/deployments/late/invocations"
        for _ in range(30):
            assert client.post(url, json=body).status_code == 200
    return Furnished(furnished_server.url, furnished_server.token, run_id, failed, going)


def _run(client: httpx.Client, name: str, *, auc: float | None, steps: int, error: str = "", ended: bool = True) -> str:
    params = {"depth": str(len(name) % 5), "rate": "0.1"}
    answer = client.post(f"{API}/runs", json={"name": name, "params": params, "experiment": "search"})
    assert answer.status_code < 300, answer.text
    run_id = str(answer.json().get("id") or answer.json()["run"]["id"])
    metrics: list[dict[str, object]] = (
        [] if auc is None else [{"key": "auc", "value": auc}, {"key": "brier", "value": 0.2 - auc / 10}]
    )
    for step in range(steps):
        metrics.append({"key": "train_loss", "value": 0.4 + 0.3 * math.exp(-step / 30), "step": step})
        metrics.append({"key": "validation_loss", "value": 0.45 + 0.25 * math.exp(-step / 30), "step": step})
    assert client.post(f"{API}/runs/{run_id}/log", json={"metrics": metrics}).status_code < 300
    if ended:
        change = {"status": "failed" if error else "finished", "error": error}
        assert client.patch(f"{API}/runs/{run_id}", json=change).status_code < 300
    return run_id


def _model(server: object) -> str:
    """Trains a small model in a run, registers and deploys it. Returns the run's id."""
    tilth.init(url=server.url, token=server.token)  # type: ignore[attr-defined]
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"hour": draw.uniform(0, 24, 400), "origin": pd.Categorical(draw.choice(["EWR", "JFK", "LGA"], 400))})
    late = (frame["hour"] + draw.normal(0, 4, 400) > 16).astype(int)
    with tilth.run("late") as run:
        model = HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype").fit(frame, late)
        run.params(max_iter=10)
        for step in range(40):
            run.log(train_loss=1 / (step + 1), validation_loss=1.2 / (step + 1), step=step)
        run.log(auc=0.77)
        logged = tilth.log_model(model, name="late", example=frame.head(3), register=True)
        run_id = run.id
    tilth.set_alias("late", "champion", logged.version)
    tilth.deploy("late@champion", wait=True)
    forget()
    return str(run_id)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module and no longer: while Playwright is open this thread counts as one with a running event loop."""
    if not CHROMIUM.exists():
        pytest.skip("no browser: install Debian's package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """One page with what went over the wire for it (bytes as sent, compressed) and what its console complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def open(self, address: str) -> Page:
        self.page.goto(self.origin + address)
        self.page.wait_for_load_state("networkidle")
        return self.page

    @property
    def transferred(self) -> float:
        return sum(self.sizes.values())

    @property
    def script_bytes(self) -> float:
        return sum(size for request, size in self.sizes.items() if self.kinds.get(request) == "Script")

    @property
    def nodes(self) -> int:
        return int(self.page.evaluate("document.querySelectorAll('*').length"))


OpenTab = Callable[..., Tab]


@pytest.fixture
def tab(chromium: Browser, furnished: Furnished) -> Iterator[OpenTab]:
    """Opens tabs of fresh browsers that are signed in by a one-time link; nothing is cached from an earlier tab."""
    yield from tabs(chromium, furnished)


@pytest.fixture
def busy_tab(chromium: Browser, busy: Busy) -> Iterator[OpenTab]:
    """The same, of the server with ten thousand runs."""
    yield from tabs(chromium, busy)


def tabs(chromium: Browser, server: Furnished | Busy) -> Iterator[OpenTab]:
    contexts: list[BrowserContext] = []

    def make(*, scheme: str = "light", javascript: bool = True, signed_in: bool = True) -> Tab:
        context = chromium.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme=scheme, java_script_enabled=javascript
        )
        contexts.append(context)
        if signed_in:
            with server.client() as client:
                link = client.post("/api/v1/login-links").json()["url"]
            context.request.get(link, max_redirects=0)
        found = Tab(context.new_page(), server.url)
        found.page.on(
            "console", lambda message: found.complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        wire = context.new_cdp_session(found.page)
        wire.send("Network.enable")
        wire.on("Network.responseReceived", lambda event: found.kinds.__setitem__(event["requestId"], event["type"]))
        wire.on("Network.loadingFinished", lambda event: found.sizes.__setitem__(event["requestId"], event["encodedDataLength"]))
        return found

    yield make
    for context in contexts:
        context.close()
