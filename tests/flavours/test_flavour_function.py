"""Python functions as models: of rows, frames and arrays, with free text, with files, before a fitted model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars
import pytest
from sklearn.linear_model import LogisticRegression

from tilth.flavours import UnknownFlavour, UnusableExample, WithFiles, flavour_named, load_predictor, save_model

from .conftest import Trips


def price(rooms: int, area: float, town: str, kind: Literal["flat", "house"] = "flat", garden: float | None = None) -> float:
    return rooms * 10 + area + len(town) + (50 if kind == "house" else 0) + (garden or 0)


def speed(frame: pd.DataFrame) -> Any:
    return frame["distance"] / frame["hours"]


def both(columns: dict[str, np.ndarray]) -> dict[str, Any]:
    return {"sum": columns["distance"] + columns["hours"], "long": columns["hours"] > 3}


def shout(text: str) -> str:
    return text.upper()


def of_polars(frame: polars.DataFrame) -> Any:
    return frame["distance"] * 2


class Spelling:
    """Reads its words once."""

    def load(self, artifacts: dict[str, Path]) -> None:
        self.words = set(artifacts["words"].read_text().split())

    def predict(self, frame: pd.DataFrame) -> list[int]:
        return [sum(word not in self.words for word in text.split()) for text in frame["text"]]


TRIPS = pd.DataFrame({"distance": [100.0, 300.0, 90.0], "hours": [2, 4, 1]})


def asked(model: Any, folder: Path, example: Any, given: Any = None) -> Any:
    document = save_model(model, folder, example=example)
    encoded = flavour_named("function").encode(example if given is None else given, document.signature)
    predictor: Any = load_predictor(folder, document)
    return document, predictor.predict_arrays(encoded) if document.signature.named else predictor.predict(encoded)


def test_type_hints_declare_the_inputs_of_a_function_of_one_row(tmp_path: Path) -> None:
    rows = [
        {"rooms": 3, "area": 70, "town": "Bern", "kind": "flat", "garden": None},
        {"rooms": 4, "area": 90, "town": "Zug", "kind": "house", "garden": 5.0},
    ]
    document, answer = asked(price, tmp_path, rows)
    rooms, area, town, kind, garden = document.signature.inputs
    assert (rooms.type, area.type, town.type, town.categories) == ("long", "double", "string", None)
    assert (kind.categories, garden.type, garden.nullable) == (("flat", "house"), "double", True)
    assert document.signature.outputs[0].type == "double"
    assert answer["prediction"].tolist() == [price(**row) for row in rows]


def test_a_function_of_a_frame_takes_numbers_and_gives_numbers(tmp_path: Path) -> None:
    document, answer = asked(speed, tmp_path, TRIPS)
    assert not document.signature.named
    assert answer.tolist() == [50.0, 75.0, 90.0]
    assert document.detail["style"] == "frame"


def test_arrays_by_name_and_several_outputs(tmp_path: Path) -> None:
    document, answer = asked(both, tmp_path, TRIPS)
    assert [(output.name, output.type) for output in document.signature.outputs] == [("sum", "double"), ("long", "boolean")]
    assert answer.tolist() == [[102.0, 0.0], [304.0, 1.0], [91.0, 0.0]]


def test_free_text_in_and_out(tmp_path: Path) -> None:
    document, answer = asked(shout, tmp_path, {"text": "hello"}, pd.DataFrame({"text": ["one", "two words"]}))
    assert document.signature.named
    assert answer["prediction"].tolist() == ["ONE", "TWO WORDS"]


def test_polars_frames_are_examples_and_arguments(tmp_path: Path) -> None:
    frame = polars.DataFrame(
        {"distance": [1.0, 2.0], "origin": polars.Series(["JFK", "EWR"], dtype=polars.Enum(["JFK", "LGA", "EWR"]))}
    )
    document, answer = asked(of_polars, tmp_path, frame)
    assert document.signature.inputs[1].categories == ("JFK", "LGA", "EWR")
    assert answer.tolist() == [2.0, 4.0]


def test_files_travel_with_the_function(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("the cat sat")
    model = WithFiles(spelling_with(words), {"words": words})
    document, answer = asked(model, tmp_path / "model", pd.DataFrame({"text": ["the cat", "a dog"]}))
    assert document.detail["artifacts"] == {"words": "artifacts/words/words.txt"}
    words.unlink()
    assert answer["prediction"].tolist() == [0, 2]
    with pytest.raises(UnusableExample, match="no such file or folder"):
        asked(WithFiles(shout, {"words": words}), tmp_path / "lost", {"text": "a"})


def spelling_with(words: Path) -> Spelling:
    made = Spelling()
    made.load({"words": words})
    return made


def test_functions_before_a_fitted_model_are_one_model(trips: Trips, tmp_path: Path) -> None:
    def prepared(frame: pd.DataFrame) -> np.ndarray:
        return np.column_stack([frame["wind"].fillna(0), np.sin(frame["hour"] / 24)])

    fitted = LogisticRegression().fit(prepared(trips.frame), trips.late)
    document, answer = asked([prepared, fitted], tmp_path, trips.frame[["wind", "hour"]])
    assert (document.method, document.classes) == ("predict_proba", ("0", "1"))
    assert document.signature.outputs[0].name == "probability"
    assert document.signature.inputs[0].nullable
    assert answer == pytest.approx(fitted.predict_proba(prepared(trips.frame))[:, 1])


def test_another_process_loads_a_function_of_a_module_that_it_lacks(tmp_path: Path) -> None:
    module = tmp_path / "place" / "pricing_of_mine.py"
    module.parent.mkdir()
    module.write_text("BASE = 5\ndef tripled(x: float) -> float:\n    return 3 * x + BASE\n")
    log = "import sys; sys.path.insert(0, sys.argv[1]); import pricing_of_mine as mine; from pathlib import Path\n"
    log += "from tilth.flavours import save_model; save_model(mine.tripled, Path(sys.argv[2]), example={'x': 1.0})"
    subprocess.run([sys.executable, "-c", log, str(module.parent), str(tmp_path / "model")], check=True)
    read = "import sys; from tilth.flavours.pyfunc import PyfuncModel; from pathlib import Path; import pandas\n"
    read += "print(PyfuncModel(Path(sys.argv[1])).predict(pandas.DataFrame({'x': [2.0]})))"
    told = subprocess.run([sys.executable, "-c", read, str(tmp_path / "model")], check=True, capture_output=True, text=True)
    assert told.stdout == "[11.]\n"


def test_mlflow_reads_the_folder(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow.pyfunc")
    save_model(speed, tmp_path / "frame", example=TRIPS)
    assert mlflow.load_model(str(tmp_path / "frame")).predict(TRIPS).tolist() == [50.0, 75.0, 90.0]
    save_model(shout, tmp_path / "text", example={"text": "a"})
    assert mlflow.load_model(str(tmp_path / "text")).predict(pd.DataFrame({"text": ["abc"]})).tolist() == ["ABC"]


def test_what_does_not_fit_together_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnusableExample, match="the function takes 'area', and the example has no such column"):
        asked(price, tmp_path, {"rooms": 3, "town": "Bern"})
    with pytest.raises(UnusableExample, match="column 'floor', and the function takes rooms, area"):
        asked(price, tmp_path, {"rooms": 3, "area": 1.0, "town": "Bern", "floor": 2})
    with pytest.raises(UnusableExample, match="takes 'town' as str, and the example holds long there"):
        asked(price, tmp_path, {"rooms": 3, "area": 1.0, "town": 7})
    with pytest.raises(ValueError, match="must give one value per row"):
        asked(lambda frame: [1.0], tmp_path, TRIPS)
    with pytest.raises(UnknownFlavour, match="Log a function of a DataFrame around it"):
        asked(object(), tmp_path, TRIPS)
