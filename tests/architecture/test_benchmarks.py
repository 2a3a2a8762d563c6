"""Every benchmark can be asked what it does, and the documentation lists it. What they measure is never asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.figures import Figure, plain, script_names

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", script_names())
def test_each_benchmark_says_what_it_does_and_has_a_quick_form(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        # argparse would break the words we look for.
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "--quick" in ended.stdout
    assert "--json" in ended.stdout


@pytest.mark.parametrize("name", script_names())
def test_each_benchmark_is_in_the_documentation(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "benchmarks.md").read_text()


def test_a_figure_knows_whether_its_promise_is_met_and_by_how_much_it_beats_its_peer() -> None:
    slow = Figure("wait", "ms", 2.0, 5.0, "peer", 10.0)
    assert (slow.met, slow.ratio, slow.promise) == (True, 5.0, "<= 5 ms")
    rate = Figure("rate", "/s", 3000.0, 4000.0, "peer", 1000.0, higher_is_better=True)
    assert (rate.met, rate.ratio, rate.promise) == (False, 3.0, ">= 4,000 /s")
    alone = Figure("rate", "/s", 1.0)
    assert (alone.met, alone.ratio, alone.promise) == (None, None, "")


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (4.0, "4"), (99.96, "100"), (1234.5, "1,234"), (0.0, "0")])
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    assert plain(value) == text
