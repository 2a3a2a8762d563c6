"""Boosting libraries behind scikit-learn's preparation of columns, and what serves when a compiled form is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tilth.flavours import FallbackPredictor, flavour_named, load_predictor, save_model

from .conftest import Trips

FEW: dict[str, Any] = {"n_estimators": 8, "n_jobs": 1, "random_state": 0}
BOOSTERS = [
    xgboost.XGBClassifier(**FEW),
    lightgbm.LGBMClassifier(verbose=-1, **FEW),
    catboost.CatBoostClassifier(iterations=8, verbose=0, thread_count=1, allow_writing_files=False),
]


@pytest.mark.parametrize("booster", BOOSTERS, ids=lambda booster: type(booster).__name__)
def test_a_pipeline_around_a_booster_answers_as_in_the_program(booster: Any, trips: Trips, tmp_path: Path) -> None:
    frame, late = trips.complete
    texts = frame.astype({"carrier": str})
    prepare = make_column_transformer((OneHotEncoder(), ["carrier"]), (StandardScaler(), ["wind", "hour"]))
    model = make_pipeline(prepare, booster).fit(texts, late)
    document = save_model(model, tmp_path, example=texts.head(40), categories={"carrier": ["UA", "AA", "WN", "B6"]})
    assert document.flavour == "sklearn"
    assert document.frameworks.keys() >= {"scikit-learn"}
    predictor: Any = load_predictor(tmp_path, document)
    rows = flavour_named("sklearn").encode(texts, document.signature)
    assert predictor.predict(rows) == pytest.approx(model.predict_proba(texts)[:, 1], abs=1e-6)


@pytest.mark.parametrize("package", ["xgboost", "lightgbm", "catboost", "statsmodels"])
def test_a_framework_that_is_not_installed_is_named_with_what_installs_it(package: str) -> None:
    code = (
        "import sys; sys.modules[sys.argv[1]] = None\n"
        "from pathlib import Path; from tilth.flavours import EngineUnusable, flavour_named\n"
        "from tilth.wire.models import ModelDocument; from tilth.wire.signature import Signature\n"
        "document = ModelDocument(flavour=sys.argv[1], signature=Signature(), method='predict', model_path='model')\n"
        "try: flavour_named(sys.argv[1]).load(Path('.'), document)\n"
        "except EngineUnusable as missing: print(missing)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, package], capture_output=True, text=True, check=True).stdout
    assert f"the model needs {package}, which cannot be imported here" in told
    assert f"pip install {package}" in told


@pytest.mark.parametrize(
    ("model", "engine", "own"),
    [
        (xgboost.XGBClassifier(**FEW), "treelite", "xgboost"),
        (lightgbm.LGBMClassifier(verbose=-1, **FEW), "treelite", "lightgbm"),
        (RandomForestClassifier(5, random_state=0), "treelite", "sklearn"),
        (LogisticRegression(), "linear", "sklearn"),
        (make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression()), "onnxruntime", "sklearn"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_without_its_compiled_form_the_framework_itself_serves(
    model: Any, engine: str, own: str, trips: Trips, tmp_path: Path
) -> None:
    frame, late = trips.complete
    rows = frame[["wind", "hour"]].to_numpy(dtype=float)
    document = save_model(model.__sklearn_clone__().fit(rows, late), tmp_path, example=rows[:40])
    compiled: Any = load_predictor(tmp_path, document)
    assert compiled.engine == engine
    expected = compiled.predict(rows)
    (tmp_path / document.compiled[0].path).write_bytes(b"not what was written")
    fallback: Any = load_predictor(tmp_path, document)
    assert isinstance(fallback, FallbackPredictor)
    assert fallback.engine == own
    assert "cannot" in fallback.reason
    assert fallback.predict(rows) == pytest.approx(expected, abs=1e-6)
