"""Every python and bash block of the documentation runs, page by page, against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.conftest import Server, start_server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def has_code(page: Path) -> bool:
    return re.search(r"^```(python|bash)$", page.read_text(), re.MULTILINE) is not None


@pytest.fixture(scope="module")
def readers_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all pages; each page has a project of its own on it."""
    server = start_server(tmp_path_factory.mktemp("readers") / "home")
    yield server
    server.stop()


@pytest.mark.parametrize("page", [page for page in PAGES if has_code(page)], ids=lambda page: page.stem)
def test_the_code_of_the_page_runs(page, readers_server, tmp_path):
    with readers_server.client() as client:
        made: httpx.Response = client.post("/api/v1/projects", json={"name": page.stem.lower()})
    assert made.status_code == 201, made.text
    environment = readers_server.environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TILTH_PROJECT": page.stem.lower(),
        "MPLBACKEND": "agg",
    }
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_page.py")), str(page)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, f"{page.name}:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_every_link_of_the_page_leads_somewhere(page):
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []
