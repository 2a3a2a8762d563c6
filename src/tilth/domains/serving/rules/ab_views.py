"""An A/B test as the API and the pages show it. Pure."""

from __future__ import annotations

from tilth.domains.serving.rules.ab_design import planned_units
from tilth.domains.serving.types.ab_tests import AbTest
from tilth.wire.ab import AbEvidence, AbRow, AbView, ArmWanted


def ab_view(test: AbTest, deployment: str, model: str, evidence: AbEvidence | None) -> AbView:
    """deployment, model: names."""
    design = test.design
    return AbView(
        number=test.number,
        deployment=deployment,
        model=model,
        state=test.state,
        hypothesis=test.hypothesis,
        metric=design.metric,
        goal=design.goal,
        effect=design.effect,
        alpha=design.alpha,
        power=design.power,
        created=test.created,
        started=test.started,
        ended=test.ended,
        by=test.by,
        winner=test.winner,
        note=test.note,
        planned=evidence.planned if evidence is not None else planned_units(design),
        evidence=evidence,
        arms=_arms(test),
    )


def ab_row(test: AbTest) -> AbRow:
    return AbRow(
        number=test.number,
        state=test.state,
        hypothesis=test.hypothesis,
        metric=test.design.metric,
        arms=_arms(test),
        created=test.created,
        started=test.started,
        ended=test.ended,
        by=test.by,
        winner=test.winner,
    )


def _arms(test: AbTest) -> list[ArmWanted]:
    return [ArmWanted(arm.version, arm.weight / 100) for arm in test.design.arms]
