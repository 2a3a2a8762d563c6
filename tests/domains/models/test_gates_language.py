"""The language of gates, and what they say over evaluations."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.domains.models.rules.gates import Beats, Incumbent, Measure, Threshold, guards, judge, parse_gate
from tilth.domains.models.types import InvalidGate
from tilth.wire.evaluations import EvaluationView, MetricValue, SliceResult

words = st.text(string.printable + "äß中", min_size=1, max_size=12).filter(lambda text: text.strip() == text)
measures = st.one_of(st.builds(Measure, words), st.builds(Measure, words, words, words))
numbers = st.floats(-1e9, 1e9).map(lambda number: float(f"{number:.6g}"))
gates = st.one_of(
    st.builds(Threshold, measures, st.sampled_from((">=", ">", "<=", "<")), numbers),
    st.builds(Beats, measures, words, numbers.map(abs)),
)


@given(gates)
def test_a_gate_that_is_written_down_reads_back_as_itself(gate):
    assert parse_gate(str(gate)) == gate


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_is_refused_in_words(text):
    try:
        found = parse_gate(text)
    except InvalidGate:
        return
    assert parse_gate(str(found)) == found


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("auc", 3),
        ("auc >= ", 7),
        ("auc >= x", 7),
        ("auc = 3", 4),
        ("auc beats champion", 10),
        ("auc >= 0.7 0.8", 11),
        ("auc[a] > 1", 5),
    ],
)
def test_a_mistake_is_pointed_at(text, at):
    with pytest.raises(InvalidGate, match=f"character {at + 1}:") as caught:
        parse_gate(text)
    assert caught.value.at == at


def evaluation(rows_digest="r1", name="validation", **metrics):
    values = {key: MetricValue(value) for key, value in metrics.items()}
    part = SliceResult("origin", "JFK", 40, {"auc": MetricValue(0.61)})
    return EvaluationView(
        id=rows_digest + name, name=name, logged_model_id=None, model="m", version=2, dataset="week 2", dataset_digest="d",
        rows_digest=rows_digest, rows=100, task="classification", metrics=values, slices=[part], latency_p50_ms=1.0, latency_p99_ms=21.0,
        differences=[], left_out=[], run_id=None, scores_digest=None, scores_size=None, created=0, by="anna",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("auc >= 0.70", "passed", "auc is 0.71"),
        ("auc >= 0.75", "failed", "auc is 0.71, below 0.75"),
        ("auc > 0.71", "failed", "not above 0.71"),
        ("latency_p99_ms < 20", "failed", "latency_p99_ms is 21, not below 20"),
        ("auc[origin=JFK] >= 0.6", "passed", "auc[origin=JFK] is 0.61"),
        ("auc[origin=LGA] >= 0.6", "unknown", "its slices of 'origin': JFK"),
        ("auc[carrier=UA] >= 0.6", "unknown", "it was not sliced by 'carrier'"),
        ("rmse <= 3", "unknown", "it has: auc, log_loss"),
    ],
)
def test_a_version_is_held_against_a_number(text, outcome, said):
    verdict = judge(1, text, "", 2, [evaluation(auc=0.71, log_loss=0.5)], None)
    assert verdict.outcome == outcome
    assert said in verdict.reason


def test_a_version_without_the_evaluation_that_a_gate_is_bound_to_does_not_pass():
    verdict = judge(1, "auc >= 0.1", "april", 2, [evaluation(auc=0.71)], None)
    assert (verdict.outcome, verdict.reason) == ("unknown", "version 2 has no evaluation 'april' yet")


@pytest.mark.parametrize(
    ("text", "ours", "theirs", "outcome"),
    [
        ("auc beats @champion by 0.005", 0.71, 0.705, "passed"),
        ("auc beats @champion by 0.005", 0.71, 0.706, "failed"),
        ("auc beats @champion", 0.71, 0.71, "failed"),
        ("log_loss beats @champion by 0.1", 0.4, 0.5, "passed"),
        ("log_loss beats @champion", 0.5, 0.4, "failed"),
    ],
)
def test_a_version_must_beat_the_one_that_the_alias_names(text, ours, theirs, outcome):
    metric = text.split()[0]
    incumbent = Incumbent(1, [evaluation(**{metric: theirs})])
    assert judge(1, text, "", 2, [evaluation(**{metric: ours})], incumbent).outcome == outcome


def test_other_rows_are_no_contest_and_nobody_to_beat_is_a_pass():
    gate, ours = "auc beats @champion", [evaluation(auc=0.71)]
    assert judge(1, gate, "", 2, ours, Incumbent(1, [evaluation("r2", auc=0.5)])).outcome == "unknown"
    assert judge(1, gate, "", 2, ours, Incumbent(None)).outcome == "passed"
    assert judge(1, gate, "", 2, ours, Incumbent(2, ours)).outcome == "passed"


def test_a_gate_guards_what_it_names_or_all_but_the_free_aliases():
    assert guards(["champion"], "champion", ["champion"])
    assert not guards(["champion"], "candidate", [])
    assert guards([], "candidate", [])
    assert not guards([], "candidate", ["candidate"])
