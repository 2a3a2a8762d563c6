"""Every setting of a server, read and checked once at start. Defaults suit one laptop.

A value comes from a flag, else from the environment (`TILTH_` and the key in capitals), else from table [server] of `tilth.toml`
in the home (or beside it, where the home is a project's `.tilth`), else from its default. Table [project] travels in Git.
Passwords come by environment or file only: `tilth.toml` may be committed by accident.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tilth.core.errors import Invalid
from tilth.core.home import DATABASE_FILE, HOME_FOLDER, SETTINGS_FILE
from tilth.core.names import check_slug

LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_PROCESSES = 64
MAX_SIGNED_S = 900
"""A signed address cannot be taken back, not even by revoking the token that asked for it."""
OTHER_VARIABLES = frozenset(
    {"TILTH_HOME", "TILTH_URL", "TILTH_SERVE_URL", "TILTH_TOKEN", "TILTH_PROJECT", "TILTH_RUN_ID", "TILTH_DEBUG"}
)
"""Variables of the SDK, the CLI and the tests: no settings of a server."""


class InvalidSettings(Invalid):
    """A setting is unknown, of the wrong type, out of bounds, or does not fit another one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """home: the folder all of this is about.

    host, port: where API and pages answer; port 0 takes a free one. serve_port: predictions. serve_workers: model-server processes,
    0 is one per core. memory_budget_mb: what lazy versions may take together in each of them, 0 is unbounded.
    control_processes: more than 1 needs PostgreSQL. database_url: `postgresql://...`, empty is SQLite in the home.
    blobs_location: `s3://bucket/prefix`, empty is `blobs/` in the home. max_artifact_bytes: largest file of a run or model.
    signed_download_s: seconds for which addresses that the object store signs are good, 0 gives none out.
    grace_period_h: hours an unused blob is kept before it is collected, at least 1. heartbeat_timeout_s: silence after which a run is lost.
    trash_days: days that deleted runs and models can be restored; then they are gone for good.
    tls_cert, tls_key: PEM files. trusted_proxies: addresses or networks whose X-Forwarded-* headers are believed.
    allowed_hosts: Host headers accepted besides the loopback names.
    webhook_networks: private addresses or networks that webhooks may reach. project_name: the project made at first start.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8700
    serve_port: int = 8701
    serve_workers: int = 0
    memory_budget_mb: int = 0
    control_processes: int = 1
    database_url: str = field(default="", repr=False)
    database_url_file: str = ""
    blobs_location: str = ""
    max_artifact_bytes: int = 10_000_000_000
    signed_download_s: int = 0
    grace_period_h: float = 24.0
    heartbeat_timeout_s: float = 60.0
    trash_days: int = 30
    log_level: str = "info"
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    requests_per_second: float = 10_000.0
    webhook_networks: tuple[str, ...] = ()
    project_name: str = "default"

    @property
    def on_sqlite(self) -> bool:
        return not self.database_url or self.database_url.startswith("sqlite:")

    @property
    def database(self) -> str:
        """The address that `open_database` takes."""
        return self.database_url or f"sqlite:///{self.home / DATABASE_FILE}"

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def serve_host(self) -> str:
        """Model servers speak plain HTTP: beyond loopback only behind a trusted proxy, which brings the TLS."""
        return self.host if self.loopback or self.trusted_proxies else "127.0.0.1"


SERVER_KEYS = tuple(f.name for f in fields(Settings) if f.name not in ("home", "project_name"))
PROJECT_KEYS = ("name",)
_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Settings) if f.name != "home"}


def load_settings(home: Path, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings of the server of `home`. flags: values of command-line options; None means not given. Raises InvalidSettings."""
    given = os.environ if environ is None else environ
    values = _from_files(home)
    values.update(_from_environment(given))
    values.update({key: value for key, value in (flags or {}).items() if value is not None})
    settings = Settings(home=home, **values)
    if settings.database_url_file:
        settings = replace(settings, database_url=_read_secret(Path(settings.database_url_file)))
    return check(settings)


def check(settings: Settings) -> Settings:
    """Returns the settings if they fit together. Raises InvalidSettings."""
    for key in ("port", "serve_port"):
        _bounded(key, getattr(settings, key), 0, 65_535)
    if settings.port == settings.serve_port != 0:
        raise InvalidSettings(f"port and serve_port are both {settings.port}; pages and predictions need one each")
    _bounded("serve_workers", settings.serve_workers, 0, MAX_PROCESSES)
    _bounded("memory_budget_mb", settings.memory_budget_mb, 0, 100_000_000)
    _bounded("control_processes", settings.control_processes, 1, MAX_PROCESSES)
    _bounded("max_artifact_bytes", settings.max_artifact_bytes, 1, 1 << 50)
    _check_signed(settings)
    if settings.grace_period_h < 1:
        raise InvalidSettings(
            f"grace_period_h is {settings.grace_period_h}; it must be at least 1: uploads that are not in the database yet "
            "look unused, and would be deleted under way"
        )
    _bounded("grace_period_h", settings.grace_period_h, 1, 24 * 365)
    _bounded("heartbeat_timeout_s", settings.heartbeat_timeout_s, 5, 86_400)
    _bounded("trash_days", settings.trash_days, 0, 36_500)
    _bounded("requests_per_second", settings.requests_per_second, 0, 1_000_000)
    if settings.log_level not in LOG_LEVELS:
        raise InvalidSettings(f"log_level is {settings.log_level!r}; it must be one of {', '.join(LOG_LEVELS)}")
    _check_database(settings)
    _check_reach(settings)
    check_slug(settings.project_name, "project")
    return settings


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_database(settings: Settings) -> None:
    if settings.database_url and not settings.database_url.startswith(("sqlite:///", "postgresql://")):
        raise InvalidSettings("database_url must begin with postgresql:// or sqlite:///, or be empty for SQLite in the home")
    if settings.control_processes > 1 and settings.on_sqlite:
        raise InvalidSettings(
            f"control_processes is {settings.control_processes}, but only one process may write to SQLite; "
            "set database_url to a PostgreSQL database, or control_processes to 1"
        )


def _check_signed(settings: Settings) -> None:
    _bounded("signed_download_s", settings.signed_download_s, 0, MAX_SIGNED_S)
    if settings.signed_download_s and "://" not in settings.blobs_location.removeprefix("file://"):
        raise InvalidSettings(
            f"signed_download_s is {settings.signed_download_s}, but blobs_location is a folder, which signs no addresses; "
            "set blobs_location to an object store, or leave signed_download_s out: downloads then go through Tilth"
        )
    endpoint = urlsplit(dict(parse_qsl(urlsplit(settings.blobs_location).query)).get("endpoint", ""))
    if (
        settings.signed_download_s
        and endpoint.scheme == "http"
        and not (settings.loopback and is_loopback(endpoint.hostname or ""))
    ):
        raise InvalidSettings(
            f"signed_download_s is {settings.signed_download_s}, but the endpoint of blobs_location speaks plain http: other machines "
            "would not reach it, or read with addresses that cross the network in the clear. Give it https, or leave signed_download_s out"
        )


def _check_reach(settings: Settings) -> None:
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise InvalidSettings("tls_cert and tls_key belong together: set both, or neither")
    for key in ("tls_cert", "tls_key"):
        path = getattr(settings, key)
        if path and not os.access(path, os.R_OK):
            raise InvalidSettings(f"{key} is {path!r}, which cannot be read; name a PEM file this user may read")
    for key in ("trusted_proxies", "webhook_networks"):
        _check_networks(key, getattr(settings, key))
    if not settings.loopback and not settings.tls_cert and not settings.trusted_proxies:
        raise InvalidSettings(
            f"host {settings.host!r} is reachable by other machines, and tokens would cross the network in the clear; set tls_cert and "
            'tls_key, or trusted_proxies if a proxy in front brings the TLS, or keep host = "127.0.0.1"'
        )


def _check_networks(key: str, networks: Iterable[str]) -> None:
    for text in networks:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise InvalidSettings(
                f"{key} has {text!r}; give addresses such as 10.0.0.7 or networks such as 10.0.0.0/8"
            ) from error


def _from_files(home: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    beside = [home.parent / SETTINGS_FILE] if home.name == HOME_FOLDER else []
    for path in (*beside, home / SETTINGS_FILE):
        values.update(_from_file(path))
    return values


def _from_file(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise InvalidSettings(f"{path} cannot be read: {error.strerror}") from error
    _refuse_unknown(tables, ("server", "project"), f"{path}: table")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InvalidSettings(f"{path}: {name} must be a table: write [{name}] and its keys below it")
    server, project = tables.get("server", {}), tables.get("project", {})
    _refuse_unknown(server, SERVER_KEYS, f"{path}: key in [server]")
    _refuse_unknown(project, PROJECT_KEYS, f"{path}: key in [project]")
    if urlsplit(str(server.get("database_url", ""))).password:
        raise InvalidSettings(
            f"{path}: database_url holds a password; set TILTH_DATABASE_URL, or database_url_file to a file with the address"
        )
    values = {key: _typed(key, value, f"{path}: {key}") for key, value in server.items()}
    if "name" in project:
        values["project_name"] = _typed("project_name", project["name"], f"{path}: name in [project]")
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {f"TILTH_{key.upper()}": key for key in SERVER_KEYS}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if variable in known:
            values[known[variable]] = _parsed(known[variable], text, variable)
            continue
        # Other programs may use the prefix, but what looks like a slip of the pen would otherwise be silently ignored.
        near = difflib.get_close_matches(variable, known, 1, 0.85) if variable.startswith("TILTH_") else []
        if near and variable not in OTHER_VARIABLES:
            raise InvalidSettings(f"environment variable {variable} is not a setting; did you mean {near[0]}?")
    return values


def _refuse_unknown(given: Iterable[str], known: tuple[str, ...], what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            raise InvalidSettings(f"{what} {name!r} is not known; {hint}")


def _typed(key: str, value: Any, where: str) -> Any:
    """A TOML value as the type of the key's default."""
    wanted = _DEFAULTS[key]
    match wanted:
        case tuple():
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return tuple(value)
            raise InvalidSettings(f'{where} must be a list of texts, such as ["10.0.0.0/8"]')
        case float():
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        case int():
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        case _:
            if isinstance(value, str):
                return value
    name = {float: "a number", int: "a whole number", str: "a text in quotes"}[type(wanted)]
    raise InvalidSettings(f"{where} is {value!r}; it must be {name}")


def _parsed(key: str, text: str, where: str) -> Any:
    """The text of an environment variable as the type of the key's default."""
    wanted = _DEFAULTS[key]
    if isinstance(wanted, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(wanted, str):
        return text
    try:
        return type(wanted)(text)
    except ValueError as error:
        name = "a whole number" if isinstance(wanted, int) else "a number"
        raise InvalidSettings(f"{where} is {text!r}; it must be {name}") from error


def _bounded(key: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InvalidSettings(f"{key} is {value}; it must lie between {least} and {most}")


def _read_secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise InvalidSettings(f"database_url_file {str(path)!r} cannot be read: {error.strerror}") from error
