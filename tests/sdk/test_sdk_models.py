"""Models from a program: logged, named, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import tilth
from tilth.core.errors import NotFound
from tilth.sdk.models import NothingToLoad
from tilth.sdk.references import ModelReference, UnknownReference, parse_reference


@pytest.fixture(scope="module")
def trained() -> tuple[LogisticRegression, pd.DataFrame]:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["a", "b", "c"])
    return LogisticRegression().fit(frame, (frame.a + frame.b > 0).astype(int)), frame


def test_a_model_is_logged_registered_named_and_loaded(live: Any, trained: Any, tmp_path: Path) -> None:
    model, frame = trained
    tilth.init(home=None, url=live.url, token=live.token)
    with tilth.run() as run:
        logged = tilth.log_model(model, "toy", example=frame.head(), description="a toy")
    assert (logged.model, logged.version) == ("toy", 1)
    assert logged.url == f"{live.url}/p/default/models/toy/versions/1"
    tilth.set_alias("toy", "champion", 1)
    expected = model.predict_proba(frame)[:, 1]
    for reference in ("models:/toy@champion", "toy/1", "toy", logged.id):
        np.testing.assert_allclose(tilth.load_model(reference).predict(frame), expected, atol=1e-6)
    assert run.id


def test_a_damaged_copy_in_the_cache_is_fetched_again(live: Any, trained: Any) -> None:
    model, frame = trained
    logged = tilth.log_model(model, "cached", example=frame.head(), register=False)
    assert (logged.model, logged.version) == (None, None)
    loaded = tilth.load_model(logged.id)
    (loaded.folder / "model.pkl").write_bytes(b"something else")
    again = tilth.load_model(logged.id)
    np.testing.assert_allclose(again.predict(frame), loaded.predict(frame))
    assert (again.folder / "model.pkl").read_bytes() != b"something else"


def test_a_model_without_an_example_or_of_an_unknown_name_is_refused(live: Any, trained: Any) -> None:
    with pytest.raises(NothingToLoad, match="needs example="):
        tilth.log_model(trained[0], "toy")
    with pytest.raises(NotFound):
        tilth.load_model("nowhere@champion")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("flight-delay@champion", ModelReference("flight-delay", alias="champion")),
        ("models:/flight-delay/3", ModelReference("flight-delay", version=3)),
        ("models:/flight-delay/latest", ModelReference("flight-delay")),
        ("flight-delay", ModelReference("flight-delay")),
        ("a/b", ModelReference("a/b")),
        ("m-" + "0" * 32, ModelReference(logged_model_id="m-" + "0" * 32)),
    ],
)
def test_references_are_read(text: str, reference: ModelReference) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize("text", ["", "@champion", "name@", "models:/"])
def test_what_names_no_model_is_refused(text: str) -> None:
    with pytest.raises(UnknownReference):
        parse_reference(text)
