"""`python -m tests.mlflow.differential.record`: starts MLflow's own server anew, runs every case at it and keeps what they met."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import mlflow_server
from tests.mlflow.differential.cases import all_cases, outcomes

RECORD = Path(__file__).parent / "stock-3.17.2.json"


def at_stock_server(folder: Path) -> dict[str, dict[str, Any]]:
    """Every case at a fresh server of MLflow, on SQLite, with one worker."""
    home = folder / "stock"
    home.mkdir()
    with mlflow_server(home, "--workers", "1") as server:
        met = outcomes(all_cases(), server.url, "none", folder / "files")
    return json.loads(json.dumps(met))  # type: ignore[no-any-return]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        met = at_stock_server(Path(folder))
    RECORD.write_text(_lines(met))


def _lines(met: dict[str, dict[str, Any]]) -> str:
    """A line for each outcome, so that a change of one is a change of one line."""
    cases = [
        f"{json.dumps(case)}: {{\n"
        + ",\n".join(f" {_plain(label)}: {_plain(outcome)}" for label, outcome in sorted(outcomes_of.items()))
        + "\n}"
        for case, outcomes_of in sorted(met.items())
    ]
    return "{\n" + ",\n".join(cases) + "\n}\n"


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


if __name__ == "__main__":
    main()
