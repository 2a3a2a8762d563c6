"""Errors as MLflow's clients read them, behind MLflow's addresses; and the parts of MLflow that Tilth does not speak."""

from __future__ import annotations

import re

from litestar import MediaType, Response

from tilth.core.errors import TilthError
from tilth.wire.errors import ErrorDetail
from tilth.wire.mlflow import STATUS, ErrorAnswer, MlflowError

CODES: dict[str, str] = {
    "not_found": "RESOURCE_DOES_NOT_EXIST",
    "conflict": "RESOURCE_CONFLICT",
    "unauthenticated": "UNAUTHENTICATED",
    "denied": "PERMISSION_DENIED",
    "invalid": "INVALID_PARAMETER_VALUE",
    "too_large": "INVALID_PARAMETER_VALUE",
    "too_many": "REQUEST_LIMIT_EXCEEDED",
    "unavailable": "TEMPORARILY_UNAVAILABLE",
    "out_of_space": "RESOURCE_EXHAUSTED",
    "damaged": "DATA_LOSS",
    "error": "INTERNAL_ERROR",
}
"""Kind of one of our own errors -> MLflow's error code."""

_ADDRESS = re.compile(
    r"(?:/p/[^/]+)?/(?:(?:api|ajax-api)/[23]\.0/(?P<call>.*)|(?P<bare>v1/traces|graphql|gateway/.*))", re.DOTALL
)
_NOT_SPOKEN = re.compile(
    r"mlflow/(?:traces|unified-traces|get-online-trace-details|webhooks|datasets|gateway|issues|label-schemas|prompt-optimization|"
    r"review-queues|scorers|workspaces|assessments|jobs|genai|demo|users|roles|permissions|online-scoring|"
    r"experiments/(?:search-datasets|permissions)|"
    r"runs/(?:create-promptlab-run|link-traces)|upload-artifact|get-trace-artifact|assistant)(?:/.*|$)|mlflowexperiments/search-datasets",
    re.DOTALL,
)
"""What MLflow's own server answers and Tilth does not: traces, prompts, scorers, its gateway and its own administration."""


def speaks_mlflow(path: str) -> bool:
    """Whether the address belongs to MLflow's protocol, known call or not."""
    return _ADDRESS.fullmatch(path) is not None


def not_spoken(path: str) -> bool:
    """Whether MLflow's own server has such a call and Tilth has not."""
    found = _ADDRESS.fullmatch(path)
    return found is not None and (found["bare"] is not None or _NOT_SPOKEN.fullmatch(found["call"]) is not None)


def mlflow_answer(path: str, status: int, detail: ErrorDetail, error: Exception | None = None) -> Response[ErrorAnswer]:
    """The error in MLflow's form. path: decoded, as asked for. status, detail: what our own API would say."""
    if isinstance(error, MlflowError):
        return _answer(error.status, error.error_code, str(error))
    if status in (404, 405) and not isinstance(error, TilthError):
        if not_spoken(path):
            name = path.rpartition("/mlflow/")[2].strip("/")
            return _answer(
                501,
                "NOT_IMPLEMENTED",
                f"Tilth does not speak this part of MLflow ({name[:100]}); docs/mlflow.md tells what it does",
            )
        code = "ENDPOINT_NOT_FOUND" if status == 404 else "BAD_REQUEST"
        return _answer(status, code, detail.message)
    code = CODES[detail.kind]
    # A missing scope of storage is told with our own status; every other code has one status in MLflow's protocol.
    return _answer(507 if detail.kind == "out_of_space" else STATUS[code], code, detail.message)


def _answer(status: int, code: str, message: str) -> Response[ErrorAnswer]:
    return Response(ErrorAnswer(code, message), media_type=MediaType.JSON, status_code=status)
