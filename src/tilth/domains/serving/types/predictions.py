"""Values and errors of shipped predictions and of shadows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.core.clock import Millis
from tilth.core.errors import Conflict, Damaged, Invalid, NotFound, Unavailable


@dataclass(frozen=True, slots=True)
class PredictionFile:
    """One Parquet file of one deployment and UTC day. first, last: moments of its rows; min_id, max_id: of their predictions."""

    id: str
    project_id: str
    deployment_id: str
    day: str
    digest: str
    size: int
    rows: int
    first: Millis
    last: Millis
    min_id: str
    max_id: str
    columns: str
    versions: tuple[str, ...]
    shadow: bool
    created: Millis


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that answers what the deployment is asked, without anybody getting its answers."""

    deployment_id: str
    project_id: str
    model_id: str
    version: int
    logged_model_id: str
    manifest_digest: str
    started: Millis
    by: str


class UnknownPrediction(NotFound):
    def __init__(self, prediction_id: str, deployment: str) -> None:
        super().__init__(
            f"no prediction {prediction_id[:40]!r} of deployment {deployment!r} is kept; fresh ones are there within seconds "
            "(`tilth predictions flush` hurries them), old ones go with keep_predictions_days, and sampling leaves some out"
        )


class UnknownPredictionFile(NotFound):
    def __init__(self, file_id: str) -> None:
        super().__init__(
            f"no file {file_id[:40]!r} of predictions in this deployment; small files are joined into others, list the files anew"
        )


class UnknownShippedVersion(NotFound):
    def __init__(self, deployment_id: str, version: str) -> None:
        super().__init__(f"nothing is known of version {version[:80]!r} in deployment {deployment_id[:40]!r}; it was deleted")


class FileNotUploaded(Conflict):
    def __init__(self, digest: str) -> None:
        super().__init__(f"the bytes {digest[:12]}... of a file of predictions are not stored here; upload them first")


class FilesReplaced(Conflict):
    def __init__(self) -> None:
        super().__init__("some of the files to be joined are gone already; ask what to join anew")


class BadPredictionQuestion(Invalid):
    """Bounds, versions or columns that no predictions can meet."""


class PredictionsUnreadable(Damaged):
    def __init__(self, file_id: str, why: str) -> None:
        super().__init__(
            f"file {file_id} of predictions cannot be read: {why[:200]}; see `tilth doctor` and restore it from a copy"
        )


class FlushTooSlow(Unavailable):
    def __init__(self, waiting: int, why: str) -> None:
        super().__init__(
            f"{waiting} segments of predictions still wait to be shipped{why}; see `tilth logs shipping`, or ask again"
        )


class UnknownShadow(NotFound):
    def __init__(self, deployment: str, version: int) -> None:
        super().__init__(f"version {version} does not run in the shadow of deployment {deployment!r}")


class ShadowServes(Conflict):
    def __init__(self, deployment: str, version: int) -> None:
        super().__init__(
            f"version {version} answers for deployment {deployment!r} already; a shadow is a version that nobody is given answers of"
        )


class TooManyShadows(Conflict):
    def __init__(self, deployment: str, most: int) -> None:
        super().__init__(
            f"deployment {deployment!r} has {most} shadows, which is the most; stop one with `tilth deployment shadow --stop`"
        )
