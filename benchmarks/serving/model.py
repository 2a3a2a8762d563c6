"""Trains the model of this benchmark and deploys it twice, by scikit-learn and compiled; its folders stand in --out, too.

python -m benchmarks.serving.model --home DIR --out DIR
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tilth

FRAMEWORK, COMPILED = "by-framework", "compiled"
MODEL_FILE = "model.joblib"


def rows() -> list[list[float]]:
    """569 rows of 30 columns (Breast Cancer Wisconsin, part of scikit-learn)."""
    listed: list[list[float]] = load_breast_cancer().data.tolist()
    return listed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    data = load_breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data.data, data.target)
    joblib.dump(model, given.out / MODEL_FILE)
    tilth.init(home=str(given.home))
    for name, compiled in ((FRAMEWORK, False), (COMPILED, True)):
        tilth.log_model(model, name=name, example=data.data[:5], compile=compiled)
        tilth.deploy(f"{name}/1", name=name)
        shutil.copytree(tilth.load_model(f"{name}/1").folder, given.out / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
