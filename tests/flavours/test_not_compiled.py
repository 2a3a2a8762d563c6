"""A model that its owner wants served by the framework alone."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from tilth import flavours


def test_without_compilers_only_the_framework_serves_the_model(tmp_path):
    rows = np.random.default_rng(7).normal(size=(40, 3))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    document = flavours.save_model(model, tmp_path / "m", example=rows[:5], compilers=())
    assert document.compiled == ()
    assert document.not_compiled == "nobody asked for it"
    assert flavours.load_predictor(tmp_path / "m", document).engine == "sklearn"
