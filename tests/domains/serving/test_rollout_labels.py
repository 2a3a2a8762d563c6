"""What labels add up to while a rollout is judged by them: the same as if everything were counted anew."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.domains.serving.labelling import Place, scored

from tilth.backends.sql import Database
from tilth.core.clock import now
from tilth.domains.serving import actions, queries
from tilth.domains.serving.actions import rollouts as moves
from tilth.domains.serving.queries import rollouts
from tilth.domains.serving.rules.outcomes import LabelTally, tally_of
from tilth.wire.labels import key_of
from tilth.wire.prediction_tables import PredictionPolicy
from tilth.wire.rollouts import Guardrails, LabelGuardrail, StartRollout, StepPlan


@pytest.fixture
def place(either_db: Database, tmp_path: Path) -> Place:
    """Version 2 is rolled out against version 1, and judged by labels, which may name the customer."""
    made = Place(either_db, tmp_path)
    made.version("m", "b")
    made.do(actions.deploy, "d", model="m", version=1, settings={"label_key": ["customer"], "label_window_s": 3600})
    rails = Guardrails(labels=(LabelGuardrail("brier", min_labels=10),))
    made.do(moves.start, "d", StartRollout(version=2, steps=(StepPlan(50), StepPlan(100)), guardrails=rails), [])
    return made


def tallies(place: Place) -> dict[int, LabelTally]:
    going = place.ask(rollouts.rollout_under_way, place.deployment.id)
    return place.ask(rollouts.label_tallies, going.id)


def anew(place: Place, version: int, since: int = 0) -> LabelTally:
    return tally_of(*place.ask(queries.labelled_scores, place.deployment.id, version, since, 1 << 62))


def rounded(tally: LabelTally) -> dict[str, Any]:
    return {name: round(value, 9) if isinstance(value, float) else value for name, value in msgspec.structs.asdict(tally).items()}


@pytest.mark.parametrize("seed", range(3))
def test_tallies_follow_labels_by_prediction_and_key_corrections_and_late_predictions(place: Place, seed: int) -> None:
    draw, at = random.Random(seed), int(now())
    waiting = [
        scored(2, at=at + number, version=version, score=draw.random(), key=key_of([f"c{number % 3}"]))
        for number in range(12)
        for version in (1, 2)
    ]
    known: list[str] = [id_ for block in waiting for id_ in block.prediction_ids]
    for _ in range(30):
        step = draw.random()
        if step < 0.5 and waiting:
            place.keep(waiting.pop(draw.randrange(len(waiting))))
        elif step < 0.85:
            place.log({"prediction_id": draw.choice(known), "label": draw.choice([0, 1])})
        else:
            place.log({"customer": f"c{draw.randrange(3)}", "label": draw.choice([0, 1]), "at": at + draw.randrange(20)})
    for version in (1, 2):
        assert rounded(tallies(place).get(version, LabelTally())) == rounded(anew(place, version))


def test_what_was_answered_before_the_rollout_does_not_count(place: Place) -> None:
    before, after = scored(at=int(now()) - 60_000), scored(at=int(now()) + 1)
    for block in (before, after):
        place.keep(block)
        place.log({"prediction_id": block.prediction_ids[0], "label": 1})
    assert tallies(place)[1].rows == 1


def test_a_change_of_what_is_kept_leaves_a_rollout_going(place: Place) -> None:
    generation = place.deployment.generation
    made = place.do(actions.keep_predictions, "d", PredictionPolicy(sample=100, redact={"x": "hash"}))
    going = place.ask(rollouts.rollout_under_way, made.id)
    assert (made.generation, going.state) == (generation + 1, "running")
    assert [(route.version, route.weight) for route in made.routes] == [(2, 5000), (1, 5000)]
    place.do(moves.roll_back, "d", "latest", [])
    assert (place.deployment.settings.log_sample, [route.version for route in place.deployment.routes]) == (100, [1])
