"""What the gate lets through, and what happens behind it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from tilth.flavours import (
    Compiled,
    FallbackPredictor,
    Outputs,
    Predictor,
    Rows,
    UnknownFlavour,
    UnusableExample,
    flavour_for,
    flavour_named,
    load_predictor,
    save_model,
)
from tilth.flavours.parity import compare, make_rows
from tilth.flavours.treelite import TreeliteCompiler
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Column, Signature

RNG = np.random.default_rng(11)
DATA = RNG.normal(size=(400, 3))
LABEL = (DATA[:, 0] > 0).astype(int)

PROBABILITY = Signature(
    inputs=(
        Column("x", "double", nullable=True),
        Column("c", "string", categories=("a", "b", "d"), nullable=True),
        Column("n", "long"),
    ),
    outputs=(Column("probability", "double"),),
)
SEEDS = np.array([[0.5, 1.0, 7.0]])


def boosting() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=15, random_state=0).fit(DATA, LABEL)


class LyingCompiler(TreeliteCompiler):
    """Answers as it should, but for one side of one border."""

    def load(self, path: Path, detail: Mapping[str, Any], outputs: int) -> Predictor:
        honest = super().load(path, detail, outputs)

        class Liar:
            engine = "treelite"

            def predict(self, rows: Rows) -> Outputs:
                return np.where(rows[:, 1] > 5.0, 0.5 + honest.predict(rows) / 2, honest.predict(rows))

        return Liar()


def test_a_compiled_engine_that_lies_in_a_corner_is_refused(tmp_path: Path) -> None:
    model = boosting()
    document = save_model(model, tmp_path, example=DATA[:5], compilers=[LyingCompiler()])
    assert document.compiled == ()
    assert "refused by the parity gate: an output differs by" in document.not_compiled
    assert not list(tmp_path.glob("compiled/*"))
    assert load_predictor(tmp_path, document).engine == "sklearn"


def test_a_damaged_compiled_file_falls_back_to_the_framework_and_says_why(tmp_path: Path) -> None:
    model = boosting()
    document = save_model(model, tmp_path, example=DATA[:5])
    (tmp_path / document.compiled[0].path).unlink()
    predictor = load_predictor(tmp_path, document)
    assert isinstance(predictor, FallbackPredictor)
    assert predictor.engine == "sklearn"
    assert "treelite cannot read treelite.bin" in predictor.reason
    assert predictor.predict(DATA) == pytest.approx(model.predict_proba(DATA)[:, 1])


def test_loading_a_compiled_model_imports_neither_scikit_learn_nor_pandas(tmp_path: Path) -> None:
    model = boosting()
    save_model(model, tmp_path / "trees", example=DATA[:5])
    save_model(LogisticRegression().fit(DATA, LABEL), tmp_path / "line", example=DATA[:5])
    script = """
import sys, pathlib, msgspec, numpy as np
import tilth.flavours
heavy = {"sklearn", "pandas", "treelite", "scipy", "cloudpickle"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from tilth.wire.models import ModelDocument
def predictor(name):
    folder = pathlib.Path(sys.argv[1]) / name
    return tilth.flavours.load_predictor(folder, msgspec.json.decode((folder / "tilth.json").read_bytes(), type=ModelDocument))
rows = np.array([[0.5, -1.0, 2.0]])
print(predictor("line").engine, *predictor("line").predict(rows))
assert not heavy & set(sys.modules), heavy & set(sys.modules)
print(predictor("trees").engine, *predictor("trees").predict(rows))
assert not {"sklearn", "pandas", "cloudpickle"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line, _), (trees, probability) = (answer.split() for answer in done.stdout.splitlines())
    assert (line, trees) == ("linear", "treelite")
    assert float(probability) == pytest.approx(model.predict_proba([[0.5, -1.0, 2.0]])[0, 1])


def test_made_rows_hold_every_category_and_missing_values_and_borders() -> None:
    border = 3.25
    rows = make_rows(PROBABILITY, SEEDS, landmarks={0: np.array([border])})
    assert len(rows) >= 1000
    assert (rows[0] == SEEDS[0]).all()
    assert {0.0, 1.0, 2.0} <= set(rows[:, 1])
    assert np.isnan(rows[:, 0]).any()
    assert np.isnan(rows[:, 1]).any()
    assert np.isnan(rows[:, :2]).all(axis=1).any()
    assert not np.isnan(rows[:, 2]).any()
    assert (rows[:, 2] == np.round(rows[:, 2])).all()
    assert {border, np.nextafter(border, np.inf), np.nextafter(border, -np.inf)} <= set(rows[:, 0])
    assert np.array_equal(rows, make_rows(PROBABILITY, SEEDS, landmarks={0: np.array([border])}), equal_nan=True)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (lambda p: p + 2e-6, "differs by 2e-06"),
        (lambda p: np.where(p > 0.9, np.nan, p), "differs by inf"),
        (lambda p: p[:, None], "outputs of shape"),
        (lambda p: np.where(np.abs(p - 0.5) < 1e-6, 0.5 - (p - 0.5), p), "class differs in"),
    ],
)
def test_an_engine_that_differs_is_refused_with_the_reason(engine: Any, reason: str) -> None:
    rows = make_rows(PROBABILITY, SEEDS)
    reference = np.linspace(0.0, 1.0, len(rows))
    reference[:10] = 0.5 + 4e-7
    parity = compare(PROBABILITY, rows, reference, engine(reference))
    assert not parity.passed
    assert reason in parity.reason


def test_too_few_rows_prove_nothing() -> None:
    parity = compare(PROBABILITY, SEEDS, np.array([0.3]), np.array([0.3]))
    assert (parity.passed, parity.missing_checked, parity.categories_checked) == (False, False, False)
    assert "do not cover" in parity.reason


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1e-3))
def test_a_difference_passes_exactly_when_it_is_within_the_tolerance(seed: int, size: float) -> None:
    rows = make_rows(PROBABILITY, SEEDS)
    reference = np.random.default_rng(seed).uniform(0.6, 0.9, len(rows))
    compiled = reference.copy()
    compiled[seed % len(rows)] += size
    parity = compare(PROBABILITY, rows, reference, compiled)
    assert parity.passed == (np.abs(compiled - reference).max() <= 1e-6)


def test_the_last_bit_of_an_exact_tie_is_no_flip() -> None:
    rows = make_rows(PROBABILITY, SEEDS)
    reference = np.full(len(rows), 0.5)
    assert compare(PROBABILITY, rows, reference, np.nextafter(reference, 0)).passed


def test_unknown_models_and_flavours_are_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownFlavour, match=r"no flavour knows builtins\.dict; these can be saved: xgboost, lightgbm"):
        flavour_for({})
    with pytest.raises(UnknownFlavour, match="no flavour is named 'onyx'"):
        flavour_named("onyx")


def bad_examples() -> list[tuple[Any, dict[str, Any], str]]:
    return [
        (DATA[:5, :2], {}, "fitted on 3 columns, the example has 2"),
        (DATA[0], {}, r"shape \(3,\)"),
        (DATA[:0], {}, r"shape \(0, 3\)"),
        ([["a", "b", "c"]], {}, "neither a DataFrame nor a table of numbers"),
        (DATA[:2], {"unseen": {"x9": "missing"}}, "unseen= names 'x9', which is no input"),
        (DATA[:2], {"categories": {"x0": ["a"]}}, "'x0', which holds numbers"),
    ]


@pytest.mark.parametrize(("example", "options", "message"), bad_examples())
def test_an_example_that_does_not_fit_is_refused(example: Any, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableExample, match=message):
        save_model(LogisticRegression().fit(DATA, LABEL), tmp_path, example=example, **options)


def test_the_method_must_be_one_the_model_has(tmp_path: Path) -> None:
    from sklearn.svm import SVC

    method: PredictMethod = "predict_proba"
    with pytest.raises(UnusableExample, match="SVC has no predict_proba"):
        save_model(SVC().fit(DATA, LABEL), tmp_path, example=DATA[:2], method=method)


def test_compiled_names_what_it_wrote(tmp_path: Path) -> None:
    signature = flavour_for(boosting()).signature(boosting(), DATA[:2], "predict_proba")
    compiled = TreeliteCompiler().compile(boosting(), signature, "predict_proba", tmp_path)
    assert isinstance(compiled, Compiled)
    assert (tmp_path / compiled.path).is_file()
    assert set(compiled.landmarks) == {0, 1, 2}
