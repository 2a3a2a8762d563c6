"""How long a reader waits for the list of 100 runs in a real browser with an empty cache, and what it weighs.

Measured from the start of the navigation: until the first content is painted (FCP), and until the name of the newest run stands on the
page. Weight is what went over the wire. Beside it the same of mlflow's page of the same runs. Each pass is a browser context of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.clients import median
from benchmarks.figures import Figure, run_script
from benchmarks.processes import Tilth, folder, mlflow_server, tilth_up

PEER = "mlflow 3.17.2"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
RUNS = 100
NEWEST = f"measured-{RUNS - 1:03d}"
PATIENCE_MS = 90_000
SETTLE_MS = 1_500
VISIBLE = "(name) => document.body && document.body.innerText.includes(name) ? performance.now() : 0"
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)[0] ?? 0"


@dataclass
class Seen:
    """One opening of a page. Moments in ms since the navigation began; kilobytes as they were sent."""

    painted_ms: float
    visible_ms: float
    kilobytes: float
    requests: int


@dataclass
class Wire:
    sizes: list[float] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", lambda event: self.sizes.append(event["encodedDataLength"]))


def measure(quick: bool) -> list[Figure]:
    passes = 1 if quick else 7
    with folder() as place, chromium() as browser:
        with tilth_up(place / "home") as server:
            furnish(server)
            ours = [opened(browser, f"{server.url}/p/{server.project}/runs", link(server)) for _ in range(passes + 1)][1:]
        theirs = [] if quick else peer(browser, place, 3)
    return [
        figure("first content", "ms", 1000, [seen.painted_ms for seen in ours], [seen.painted_ms for seen in theirs]),
        figure("newest run legible", "ms", 1000, [seen.visible_ms for seen in ours], [seen.visible_ms for seen in theirs]),
        figure("sent", "kB", 120, [seen.kilobytes for seen in ours], [seen.kilobytes for seen in theirs]),
        figure("requests", "requests", None, [seen.requests for seen in ours], [seen.requests for seen in theirs]),
    ]


def figure(what: str, unit: str, limit: float | None, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    note = f"{len(ours)} cold openings, worst {max(ours):,.0f}"
    peer_value = median(list(theirs)) if theirs else None
    return Figure(
        f"runs page, {RUNS} rows: {what}", unit, median(list(ours)), limit, PEER if theirs else "", peer_value, note=note
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def opened(browser: Browser, address: str, sign_in: str = "") -> Seen:
    """Opens the page in a browser that has seen nothing yet. sign_in: a one-time link that is followed beside the page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    if sign_in:
        context.request.get(sign_in, max_redirects=0)
    page, wire = context.new_page(), Wire()
    wire.watch(page)
    page.goto(address, wait_until="commit", timeout=PATIENCE_MS)
    visible = page.wait_for_function(VISIBLE, arg=NEWEST, timeout=PATIENCE_MS).json_value()
    # What is still under way counts as well; "network idle" never comes where a page asks for something outside.
    page.wait_for_timeout(SETTLE_MS)
    seen = Seen(float(page.evaluate(PAINTED)), float(visible), sum(wire.sizes) / 1e3, len(wire.sizes))
    context.close()
    return seen


def furnish(server: Tilth) -> None:
    """The runs that the page shows: two params, four metrics and a curve each."""
    base = f"/api/v1/p/{server.project}/runs"
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {server.token}"}, timeout=30) as client:
        for number in range(RUNS):
            body = {"name": f"measured-{number:03d}", "params": {"depth": str(number % 9), "rate": "0.1"}}
            run_id = client.post(base, json=body).raise_for_status().json()["id"]
            scores = [{"key": key, "value": 0.6 + number / 1000} for key in ("auc", "brier", "log_loss", "accuracy")]
            curve = [{"key": "validation_loss", "value": 1 / (step + 1), "step": step} for step in range(50)]
            client.post(f"{base}/{run_id}/log", json={"metrics": scores + curve}).raise_for_status()
            client.patch(f"{base}/{run_id}", json={"status": "finished"}).raise_for_status()


def link(server: Tilth) -> str:
    headers = {"authorization": f"Bearer {server.token}"}
    return str(httpx.post(f"{server.url}/api/v1/login-links", headers=headers).raise_for_status().json()["url"])


def peer(browser: Browser, place: Path, passes: int) -> list[Seen]:
    """mlflow's page of runs like ours."""
    home = place / "mlflow"
    home.mkdir()
    with mlflow_server(home, "--workers", "1") as server:
        api = f"{server.url}/api/2.0/mlflow"
        with httpx.Client(timeout=60) as client:
            for number in range(RUNS):
                body = {"experiment_id": "0", "run_name": f"measured-{number:03d}", "start_time": 1_700_000_000_000 + number}
                run_id = client.post(f"{api}/runs/create", json=body).raise_for_status().json()["run"]["info"]["run_id"]
                metrics = [
                    {"key": key, "value": 0.6 + number / 1000, "timestamp": 1, "step": 0}
                    for key in ("auc", "brier", "log_loss", "accuracy")
                ]
                client.post(f"{api}/runs/log-batch", json={"run_id": run_id, "metrics": metrics}).raise_for_status()
                client.post(f"{api}/runs/update", json={"run_id": run_id, "status": "FINISHED"}).raise_for_status()
        address = f"{server.url}/#/experiments/0/runs"
        return [opened(browser, address) for _ in range(passes)]


if __name__ == "__main__":
    sys.exit(run_script("pages", __doc__ or "", measure))
