"""Reasons for answers, on request: what each input of a row added to what the model says. Runs beside the event loop."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from tilth.core.errors import Invalid, TilthError
from tilth.flavours.explaining import Reasons, explained_rows
from tilth.plane.answers import Answer, ModelFailed, ok
from tilth.plane.forms import read_form
from tilth.plane.inputs import Inputs
from tilth.plane.lane import PredictionTooSlow, VersionStuck
from tilth.plane.serving import LoadedVersion, Place
from tilth.plane.telling import version_of
from tilth.wire.explanations import Explanations

logger = logging.getLogger(__name__)

MAX_ROWS = 100
"""Of one request: a model that is a sum is asked once for each input of each row."""


class TooManyRows(Invalid):
    """More rows than one request may have explained."""


def explain(place: Place, number: int | None, body: bytes) -> Answer:
    """body: rows in one of MLflow's JSON forms. number: of the version; None takes the one that answers most.

    Raises CannotExplain, TooManyRows, ModelFailed, NotServedYet, PredictionTooSlow, VersionStuck and what the encoder refuses.
    """
    version = version_of(place, number)
    rows = version.encoder.encode(read_form(body))
    if isinstance(rows, np.ndarray) and len(rows) > MAX_ROWS:
        raise TooManyRows(f"{len(rows)} rows are too many to be explained at once; send at most {MAX_ROWS}")
    lane = version.lane
    if lane.stuck:
        raise VersionStuck(version.key)
    try:
        # Where its other predictions run, so that one that hangs holds up nobody else's.
        reasons, predictions = lane.threads.submit(_explained, version, rows).result(lane.timeout_s)
    except TilthError:
        raise
    except TimeoutError:
        raise PredictionTooSlow(version.key, lane.timeout_s) from None
    except Exception as error:  # the model is the user's code
        logger.warning("version %s failed to explain", version.key, exc_info=error)
        raise ModelFailed(f"version {version.key} failed on this request: {type(error).__name__}: {str(error)[:300]}") from error
    rows_told = explained_rows(version.signature, reasons, predictions)
    return ok(Explanations(rows_told, reasons.link, version.model, version.version))


def _explained(version: LoadedVersion, rows: Inputs) -> tuple[Reasons, Any]:
    return version.explain(rows), version.listed(version.predict(rows))
