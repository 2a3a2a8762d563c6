"""A backtest: another version answers what a deployment was asked, on this machine, and the answers are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from tilth.core.errors import Conflict, Invalid
from tilth.domains.serving.rules.agreement import Pair, agreement
from tilth.flavours.port import ArrayPredictor
from tilth.plane.arrays import encoder_of
from tilth.plane.forms import Form
from tilth.plane.outputs import outputs_of
from tilth.sdk.models import LoadedModel, load_model
from tilth.sdk.predictions import predictions
from tilth.wire.prediction_tables import INPUT, OUTPUT
from tilth.wire.shadows import Agreement

AT_ONCE = 1000


class InputsNotKept(Conflict):
    """The files lack inputs that the version takes."""


class NothingToReplay(Conflict):
    def __init__(self, deployment: str) -> None:
        super().__init__(
            f"no predictions of {deployment!r} are kept in that time; choose another --since, or wait for traffic "
            f"(`tilth predictions list {deployment}` shows what is there)"
        )


def replay(
    deployment: str, model: str, *, since: int, until: int, redacted: Mapping[str, str], progress: Callable[[int, int], object]
) -> Agreement:
    """model: such as `frost/2`. redacted: what the deployment does to fields. progress: called with rows done and rows in all.

    Its latencies are unknown: they would be those of this machine. Raises InputsNotKept, NothingToReplay, and what loading raises.
    """
    loaded = load_model(model)
    names = _inputs(loaded)
    for name in names:
        if name in redacted:
            done = {"hash": "hashed", "drop": "dropped"}[redacted[name]]
            raise InputsNotKept(
                f"input {name!r} is {done} before predictions of {deployment!r} are kept; no version can answer them again"
            )
    frame = predictions(deployment, since=since, until=until, flush=True)
    if frame.is_empty():
        raise NothingToReplay(deployment)
    lacking = [name for name in names if INPUT + name not in frame.columns]
    if lacking:
        raise InputsNotKept(f"no kept prediction of {deployment!r} has the input {lacking[0]!r} that {model} takes")
    pairs: list[Pair] = []
    for start in range(0, len(frame), AT_ONCE):
        pairs += _pairs(loaded, names, frame.slice(start, AT_ONCE))
        progress(min(start + AT_ONCE, len(frame)), len(frame))
    return agreement(pairs, len(frame), len(frame))


def _inputs(loaded: LoadedModel) -> list[str]:
    signature = loaded.document.signature
    return [one.name for one in (signature.tensors or signature.inputs)]


def _pairs(loaded: LoadedModel, names: Sequence[str], part: pl.DataFrame) -> Iterator[Pair]:
    answers = _answers(loaded, names, part)
    given = part.select([name for name in part.columns if name.startswith(OUTPUT)])
    for row, theirs, ours in zip(
        part.select("prediction_id", "row").iter_rows(), given.iter_rows(named=True), answers, strict=True
    ):
        if ours is None:
            continue
        kept = {name.removeprefix(OUTPUT): value for name, value in theirs.items() if value is not None}
        yield Pair(f"{row[0]}.{row[1]}", {name: ours.get(name) for name in kept}, kept)


def _answers(loaded: LoadedModel, names: Sequence[str], part: pl.DataFrame) -> list[dict[str, Any] | None]:
    """By row; None for one that the version does not take."""
    try:
        return list(_predicted(loaded, {name: part[INPUT + name].to_list() for name in names}))
    except Invalid:
        if len(part) == 1:
            return [None]
        half = len(part) // 2
        return [*_answers(loaded, names, part[:half]), *_answers(loaded, names, part[half:])]


def _predicted(loaded: LoadedModel, columns: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Raises Invalid where the version does not take a row."""
    signature, predictor = loaded.document.signature, loaded.predictor
    inputs: Any = encoder_of(signature).encode(Form("inputs", dict(columns)))
    results = predictor.predict_arrays(inputs) if isinstance(predictor, ArrayPredictor) else predictor.predict(inputs)
    outputs = outputs_of(signature)
    count = len(next(iter(columns.values())))
    named: Mapping[str, np.ndarray[Any, Any]] = outputs.by_name(outputs.checked(results, count))  # type: ignore[arg-type]
    lists = {name: array.tolist() for name, array in named.items()}
    for values in zip(*lists.values(), strict=True):
        yield dict(zip(lists, values, strict=True))
