"""Flavours of somebody's own: registered in a program, or found by the entry point of an installed package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilth import flavours
from tilth.flavours.pyfunc import _load_pyfunc
from tilth.wire.models import ModelDocument, PredictMethod
from tilth.wire.signature import Column, Signature


class Threshold:
    def __init__(self, limit: float) -> None:
        self.limit = limit


class ThresholdRun:
    engine = "threshold"

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def predict(self, rows: Any) -> Any:
        return (rows[:, 0] > self.limit).astype(float)


class ThresholdFlavour:
    name = "threshold-of-a-test"

    def knows(self, model: object) -> bool:
        return isinstance(model, Threshold)

    def default_method(self, model: Any) -> PredictMethod:
        return "predict"

    def signature(
        self, model: Any, example: Any, method: PredictMethod, *, categories: Any = None, unseen: Any = None
    ) -> Signature:
        return Signature(inputs=(Column(name="x", type="double"),), outputs=(Column(name="above", type="boolean"),))

    def encode(self, example: Any, signature: Signature) -> Any:
        return np.asarray(example, dtype=np.float64)

    def save(self, model: Any, folder: Path, *, signature: Signature, example: Any, method: PredictMethod) -> ModelDocument:
        (folder / "limit.txt").write_text(str(model.limit))
        return ModelDocument(flavour=self.name, signature=signature, method=method, model_path="limit.txt")

    def load(self, folder: Path, document: ModelDocument) -> ThresholdRun:
        return ThresholdRun(float((folder / document.model_path).read_text()))


@pytest.fixture
def registered() -> Iterator[None]:
    flavours.register(ThresholdFlavour())
    yield
    flavours.unregister(ThresholdFlavour.name)


@pytest.mark.usefixtures("registered")
def test_a_registered_flavour_saves_and_loads_its_models(tmp_path: Path) -> None:
    document = flavours.save_model(Threshold(2.0), tmp_path, example=np.array([[1.0], [3.0]]))
    assert document.flavour == "threshold-of-a-test"
    predictor = flavours.load_predictor(tmp_path, document)
    assert predictor.predict(np.array([[1.0], [3.0]])).tolist() == [0.0, 1.0]
    assert _load_pyfunc(str(tmp_path / "limit.txt")).predict([[1.0], [3.0]]).tolist() == [0.0, 1.0]
    assert "loader_module: tilth.flavours.pyfunc" in (tmp_path / "MLmodel").read_text()


def test_what_was_registered_can_be_taken_back() -> None:
    flavours.register(ThresholdFlavour())
    flavours.unregister(ThresholdFlavour.name)
    with pytest.raises(flavours.UnknownFlavour, match=r"no flavour knows .*Threshold"):
        flavours.flavour_for(Threshold(2.0))
    with pytest.raises(flavours.UnknownFlavour, match="nothing to take back"):
        flavours.unregister(ThresholdFlavour.name)
    with pytest.raises(flavours.UnknownFlavour, match="nothing to take back"):
        flavours.unregister("sklearn")


def test_the_names_of_ours_are_taken() -> None:
    class Sklearn(ThresholdFlavour):
        name = "sklearn"

    with pytest.raises(flavours.NameTaken, match="'sklearn' comes with Tilth"):
        flavours.register(Sklearn())


def test_an_installed_package_brings_its_flavour_and_a_broken_one_is_passed_over(tmp_path: Path) -> None:
    for name, entry in (("good", "good_flavour:Flavour"), ("broken", "no_such_module:Flavour")):
        info = tmp_path / f"{name}_flavour-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-flavour\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[tilth.flavours]\n{name} = {entry}\n")
    (tmp_path / "good_flavour.py").write_text("class Flavour:\n    name = 'good'\n")
    code = "from tilth.flavours import flavour_named; print(flavour_named('good').name)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "good\n"
    assert "the flavour 'broken' of no_such_module:Flavour cannot be used" in told.stderr
