"""The unmodified client meets Tilth as it meets MLflow's own server: every case beside what stock MLflow 3.17.2 answered."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "differential"
STOCK: dict[str, dict[str, Any]] = json.loads((FOLDER / "stock-3.17.2.json").read_text())

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def differential() -> Any:
    """Imported here, since MLflow takes seconds and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tests.mlflow.differential import cases
    return cases


def differences(case: str, stock: dict[str, Any], met: dict[str, Any]) -> dict[str, Any]:
    """Label -> both outcomes, where they differ and no reason is known."""
    from tests.mlflow.differential.known import reason

    return {
        label: {"stock": stock.get(label), "tilth": met.get(label)}
        for label in {**stock, **met}
        if stock.get(label) != met.get(label)
        and not (is_fault(stock.get(label)) and not is_fault(met.get(label)))
        and reason(case, label) is None
    }


def is_fault(outcome: Any) -> bool:
    """Whether the server met a fault of its own, or told a statement of SQL."""
    return isinstance(outcome, dict) and (
        str(outcome.get("status"))[:1] == "5" or "<a fault of the server>" in str(outcome.get("message"))
    )


@pytest.mark.parametrize("case", STOCK)
def test_the_client_meets_what_it_meets_at_mlflow_itself(differential, shared_installation, tmp_path, case):
    met = differential.outcomes([case], shared_installation.url, shared_installation.owner_token, tmp_path)
    found = differences(case, STOCK[case], json.loads(json.dumps(met[case])))
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


def test_the_record_holds_every_case(differential):
    assert set(STOCK) == set(differential.all_cases())


@pytest.mark.slow
def test_the_record_is_what_mlflow_answers(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tests.mlflow.differential.record import at_stock_server
    met = at_stock_server(tmp_path)
    assert {case for case in STOCK if met.get(case) != STOCK[case]} == set()
