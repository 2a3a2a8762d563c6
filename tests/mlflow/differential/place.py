"""Where a case runs, and how what it meets is written down so that two servers can be compared.

Ids, moments, invented names and addresses differ from server to server: they are replaced by names in the order in which they appear.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from mlflow.exceptions import MlflowException

from mlflow import MlflowClient

_ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}\b")
_INVENTED = re.compile(r"\b[a-z]{2,}-[a-z]{2,}-\d{1,3}\b")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_EXPERIMENT = re.compile(
    r"(mlflow-artifacts:/|[Ee]xperiment with id=|experiment with id |The experiment |experiments/)(\d{1,6})\b"
)
_REPEATED = re.compile(r"(.)\1{30,}")
_SET = re.compile(r"\{'[^{}]*'\}")
_DATABASE = re.compile(r"(?s)( Error: )?\((?:raised as a result of Query-invoked|sqlite3\.).*")
_CLAUSES = re.compile(r"(?s)(Invalid clause\(s\) in filter string: ).*")
_GAVE_UP = re.compile(r"(?s)API request to .* failed with exception .*too many 500 error responses.*")
_POSITION = re.compile(r" \(at character \d+\)")
_MOMENT = re.compile(r"(?<!\d)1[7-9]\d{11}(?!\d)")
_MOMENT_NAMES = {"creation_time", "creation_timestamp", "creation_timestamp_ms", "last_updated_timestamp_ms", "last_update_time"}
_CLIENT_TAGS = {
    "mlflow.user",
    *(f"mlflow.source.{part}" for part in ("name", "type", "git.commit", "git.branch", "git.repoURL", "git.dirty", "git.diff")),
}


FAULT = "<a fault of the server>"
"""What stands for statements of SQL that MLflow's server tells its callers, and for its 500s."""

_LEFT_OUT = {*_CLIENT_TAGS, "user_id", "workspace"}
"""Who made something Tilth knows from the token, and the workspace is the project."""


class Place:
    """One case at one server. experiment(): a new experiment of the case's own. note(): does something and keeps what came of it."""

    def __init__(self, client: MlflowClient, http: httpx.Client, name: str, folder: Path) -> None:
        self.client = client
        self.http = http
        self.name = name
        self.folder = folder
        self.outcomes: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._count = 0

    def experiment(self) -> str:
        self._count += 1
        return str(self.client.create_experiment(f"{self.name}-{self._count}"))

    def run(self, experiment: str | None = None, **fields: Any) -> str:
        made = self.client.create_run(experiment or self.experiment(), **{"start_time": 1, **fields})
        return str(made.info.run_id)

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def note(self, label: str, act: Any, *arguments: Any, **named: Any) -> Any:
        """Keeps the outcome of a call, its refusal included, or a value as it is. Returns the value, None after a refusal."""
        assert label not in self.outcomes, label
        self._names.clear()
        if not callable(act):
            self.outcomes[label] = self.seen(act)
            return act
        try:
            value = act(*arguments, **named)
        except MlflowException as error:
            self.outcomes[label] = self.seen(
                {"raised": type(error).__name__, "error_code": error.error_code, "message": str(error.message)[:600]}
            )
            return None
        except Exception as error:  # noqa: BLE001 - the client itself refuses with bare exceptions, too
            self.outcomes[label] = self.seen({"raised": type(error).__name__})
            return None
        self.outcomes[label] = self.seen(value)
        return value

    def ask(self, label: str, method: str, call: str, body: Any = None, **options: Any) -> Any:
        """Keeps status and JSON of a plain HTTP call below /api/2.0/mlflow."""
        if body is not None:
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            options.setdefault("headers", {"content-type": "application/json"})
        self._names.clear()
        answer = self.http.request(method, f"/api/2.0/mlflow/{call}" if not call.startswith("/") else call, **options)
        shown: Any = None
        with contextlib.suppress(ValueError):
            shown = answer.json()
        if isinstance(shown, dict):
            shown = {key: value for key, value in shown.items() if key not in ("sqlstate", "error_class")}
        self.outcomes[label] = self.seen({"status": answer.status_code, "json": shown})
        return shown

    def seen(self, value: Any, key: str = "") -> Any:
        match value:
            case None | bool():
                return value
            case float():
                return value if math.isfinite(value) else repr(value)
            case int():
                return "<moment>" if key in _MOMENT_NAMES or (value > 10**12 and value < 10**13) else value
            case str():
                return "<experiment>" if key == "experiment_id" and value.isdigit() and value != "0" else self._text(value)
            case Mapping():
                kept = {str(name): part for name, part in value.items() if str(name) not in _LEFT_OUT}
                return {self._text(name): self.seen(part, name) for name, part in sorted(kept.items())}
            case list() | tuple():
                seen = [self.seen(part) for part in value if getattr(part, "key", None) not in _CLIENT_TAGS]
                keyed = all(isinstance(part, dict) and "key" in part for part in seen)
                return sorted(seen, key=lambda part: str(part["key"])) if keyed else seen
        if hasattr(value, "to_dictionary") and not hasattr(value, "info"):
            return self.seen(value.to_dictionary())
        if type(value).__name__.startswith("Repeated"):
            return self.seen(list(value))
        return self._entity(value)

    def _entity(self, value: Any) -> Any:
        properties = [name for name, part in _members(type(value)) if isinstance(part, property)]
        fields = {name: getattr(value, name) for name in properties if not name.startswith("_")}
        return self.seen(fields) if fields else type(value).__name__

    def _text(self, text: str) -> str:
        if text[:1] == "[" and '"key"' in text:
            return "<history>"
        text = _DATABASE.sub(lambda found: "" if found[1] else FAULT, _GAVE_UP.sub(FAULT, text))
        text = _CLAUSES.sub(r"\1<pieces of it>", text)
        text = _SET.sub(lambda found: "{" + ", ".join(sorted(found[0][1:-1].split(", "))) + "}", text)
        text = _REPEATED.sub(lambda found: f"<{len(found[0])} times {found[1]}>", text)
        text = _POSITION.sub("", _ADDRESS.sub("<server>", text))
        text = _EXPERIMENT.sub(lambda found: found[1] + ("0" if found[2] == "0" else "<experiment>"), text)
        text = _MOMENT.sub("<moment>", text)
        text = _INVENTED.sub("<invented>", text)
        return _ID.sub(lambda found: self._names.setdefault(found[0], f"<id {len(self._names) + 1}>"), text)


def _members(kind: type) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        found.update(vars(base))
    return sorted(found.items())


Case = Callable[[MlflowClient, Place], None]
