"""DataFrames and encoded rows: there and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from tilth.flavours import UnusableExample, flavour_for, frames
from tilth.wire.signature import Signature

FRAME = pd.DataFrame(
    {
        "share": [0.5, np.nan, 2.0],
        "whole": [1, 2, 3],
        "truth": [True, False, True],
        "shop": pd.Categorical(["b", None, "a"], categories=["b", "a"]),
        "size": pd.Categorical([30, 10, 20], categories=[10, 20, 30]),
    }
)


def signature_of(frame: pd.DataFrame, **options: dict[str, list[str]]) -> Signature:
    columns = frames.columns_of(frame, frames.kinds_of(frame), categories=options.get("categories", {}), unseen={})
    return Signature(inputs=tuple(columns), outputs=())


def test_a_frame_survives_the_way_through_rows() -> None:
    signature = signature_of(FRAME)
    rows = frames.encode(FRAME, signature)
    assert rows[1].tolist() == pytest.approx([np.nan, 2.0, 0.0, np.nan, 0.0], nan_ok=True)
    pd.testing.assert_frame_equal(frames.FrameBuilder(signature, frames.kinds_of(FRAME)).build(rows), FRAME)


def test_text_comes_back_as_text_and_missing_as_missing() -> None:
    frame = pd.DataFrame({"city": ["Rome", None, "Oslo"]})
    signature = signature_of(frame, categories={"city": ["Oslo", "Rome"]})
    rows = frames.encode(frame, signature)
    assert rows.ravel().tolist() == pytest.approx([1.0, np.nan, 0.0], nan_ok=True)
    back = frames.FrameBuilder(signature, frames.kinds_of(frame)).build(rows)
    assert back.city[0] == "Rome"
    assert pd.isna(back.city[1])


def test_a_category_called_nan_is_not_a_missing_value() -> None:
    frame = pd.DataFrame({"shop": pd.Categorical(["nan", None, "None"], categories=["None", "nan"])})
    assert frames.encode(frame, signature_of(frame)).ravel().tolist() == pytest.approx([1.0, np.nan, 0.0], nan_ok=True)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"day": pd.to_datetime(["2013-01-01"])}), "column 'day' has the type datetime64"),
        (pd.DataFrame({"city": ["Rome"]}), r"column 'city' holds text.*categories=\{'city'"),
        (pd.DataFrame({0: [1.0]}), "column 0 has no text name"),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "two columns of the example have the same name"),
        (pd.DataFrame({"a": pd.Series([], dtype=float)}), "no rows"),
        (pd.DataFrame({"a": pd.Categorical([0.5])}), "neither text nor whole numbers"),
    ],
)
def test_a_column_that_a_request_cannot_carry_is_named(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(UnusableExample, match=message):
        signature_of(frame)


def test_columns_in_another_order_than_in_training_are_refused() -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0] * 20, "b": [1.0, 0.0] * 20})
    model = HistGradientBoostingClassifier(max_iter=2).fit(frame, [0, 1] * 20)
    with pytest.raises(UnusableExample, match="columns are b, a; the model was fitted on a, b"):
        flavour_for(model).signature(model, frame[["b", "a"]], "predict_proba")
    with pytest.raises(UnusableExample, match="fitted on a DataFrame with the columns a, b"):
        flavour_for(model).signature(model, frame.to_numpy(), "predict_proba")


def test_text_where_numbers_were_trained_on_is_named() -> None:
    numbers = FRAME[["whole"]]
    with pytest.raises(UnusableExample, match=r"column 'whole' takes numbers.*'many'"):
        frames.encode(numbers.assign(whole="many"), signature_of(numbers))
