"""The commands that an empty project shows, and those under "Copy as", do what they say when they are pasted."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from tilth.web.first_steps import all_steps


def pasted(server: object, command: str, folder: Path) -> str:
    """Runs a command of a shell, or Python, as somebody would who connected this terminal. Returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TILTH_", "MLFLOW_"))}
    known |= {"PATH": path, "TILTH_URL": server.url, "TILTH_TOKEN": server.token, "TILTH_SERVE_URL": server.serve_url}  # type: ignore[attr-defined]
    words = [sys.executable, "-c", command] if command.startswith("import ") else ["bash", "-ec", command]
    ended = subprocess.run(words, cwd=folder, env=known, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def copied(page: str) -> dict[str, str]:
    """Label -> text of what stands under "Copy as"."""
    panel = page.partition('class="panel">')[2].partition("</details>")[0]
    return {
        label: html.unescape(text)
        for label, text in re.findall(r"<h3>([^<]*)</h3><div class=\"code\"><pre[^>]*>(.*?)</pre>", panel, re.DOTALL)
    }


@pytest.mark.slow
def test_a_newcomer_comes_from_nothing_to_a_prediction_and_copies_what_he_sees(tilth_server, tmp_path):
    with tilth_server.client(timeout=60) as client:
        client.post("/api/v1/projects", json={"name": "first-steps"}).raise_for_status()
        assert "four steps to the first prediction" in client.get("/p/first-steps").text
        for step in all_steps("first-steps"):
            said = pasted(tilth_server, step.command, tmp_path)
        assert re.search(r"0\.\d+|1\.0", said), said
        page = client.get("/p/first-steps/runs").text
        run = re.search(r'href="(/p/first-steps/runs/[0-9a-f]{32})"', page)
        assert run is not None
        # What only the reader has: rows to score.
        load_iris(as_frame=True).data.to_parquet(tmp_path / "rows.parquet")
        places = [
            "/p/first-steps/runs?q=accuracy>0.5",
            run[1],
            "/p/first-steps/models/iris/versions/1",
            "/p/first-steps/deployments/iris",
        ]
        for place in places:
            offered = copied(client.get(place).text)
            assert {"CLI", "Python", "curl"} <= set(offered), place
            for label, text in offered.items():
                # MLflow wants its own variables, evaluating what came true.
                if label not in ("MLflow", "Evaluate"):
                    pasted(tilth_server, text, tmp_path)
