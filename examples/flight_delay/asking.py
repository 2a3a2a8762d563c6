"""Sends flights to a deployment as a plain HTTP client would: one flight per request over one kept-alive connection, then many at once.

Nothing of pandas or Tilth runs between two requests, so that the measured time is the model server's and the socket's.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray


class NotAnswered(Exception):
    """The model server refused a request or broke the connection."""


@dataclass(frozen=True)
class Answers:
    """probabilities: one for each row. latencies_ms: one for each request, from the first byte sent to the last one read."""

    probabilities: NDArray[np.float64]
    latencies_ms: NDArray[np.float64]
    version: str
    first_prediction_id: str

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.latencies_ms, percent))


def bodies(frame: pd.DataFrame, rows_per_request: int = 1) -> list[bytes]:
    """Requests in MLflow's JSON form `dataframe_split`; missing values are null."""
    names = list(frame.columns)
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in names]
    rows = list(zip(*columns, strict=True))
    return [
        msgspec.json.encode({"dataframe_split": {"columns": names, "data": rows[at : at + rows_per_request]}})
        for at in range(0, len(rows), rows_per_request)
    ]


def ask(url: str, token: str, requests: Sequence[bytes], seen: Callable[[int], None] = lambda count: None) -> Answers:
    """Posts each body to `url`, one after the other over one connection. seen: called with 1 after each. Raises NotAnswered."""
    address = urlsplit(url)
    connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = connect(address.hostname or "127.0.0.1", address.port, timeout=30)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    latencies, answers = [], []
    try:
        for body in requests:
            start = perf_counter()
            connection.request("POST", address.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            latencies.append((perf_counter() - start) * 1e3)
            if answer.status != 200:
                raise NotAnswered(f"{url} answered {answer.status}: {content[:400].decode(errors='replace')}")
            answers.append(content)
            seen(1)
    except (OSError, http.client.HTTPException) as error:
        raise NotAnswered(f"{url} broke off after {len(answers)} answers ({error}); see `tilth logs`") from error
    finally:
        connection.close()
    return _read(answers, latencies)


def _read(answers: Iterable[bytes], latencies: list[float]) -> Answers:
    decoded: list[dict[str, Any]] = [msgspec.json.decode(answer) for answer in answers]
    return Answers(
        probabilities=np.array([value for answer in decoded for value in answer["predictions"]], dtype=np.float64),
        latencies_ms=np.array(latencies),
        version=str(decoded[0].get("version", "")),
        first_prediction_id=str(decoded[0].get("prediction_id", "")),
    )
