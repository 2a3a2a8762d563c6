"""What a model may look at: only what is known when the aircraft is still at the gate.

Not among it: dep_delay, dep_time, arr_time and air_time, which are known only afterwards and would give the answer away.
The weather is what was measured in the hour of the planned departure; a service in use would take the forecast for that hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

CATEGORIES = ("carrier", "origin", "dest")
WHOLE_NUMBERS = ("hour", "day_of_week")
NUMBERS = ("distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
FEATURES = (*CATEGORIES, *WHOLE_NUMBERS, *NUMBERS)

Vocabularies = Mapping[str, Sequence[str]]


def vocabularies(flights: pd.DataFrame) -> dict[str, list[str]]:
    """Sorted values of each categorical feature."""
    return {name: sorted(flights[name].unique()) for name in CATEGORIES}


def features(flights: pd.DataFrame, known: Vocabularies) -> pd.DataFrame:
    """One row of FEATURES for each flight. Values outside `known` become missing."""
    frame = flights.assign(day_of_week=flights["date"].dt.day_of_week.astype("int64"))[list(FEATURES)]
    for name in CATEGORIES:
        in_vocabulary = frame[name].where(frame[name].isin(known[name]))
        frame[name] = pd.Categorical(in_vocabulary, categories=list(known[name]))
    return frame
