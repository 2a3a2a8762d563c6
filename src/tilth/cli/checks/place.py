"""The home: its rights, space, file system, locks, database and clock."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tilth.app.home import LEAST_FREE_BYTES, lock_holder
from tilth.cli.checks.findings import Finding, broken, note, ok
from tilth.core.clock import MINUTE, Millis, iso
from tilth.core.errors import TilthError
from tilth.core.home import LOCK_FILE, UP_LOCK_FILE, read_server_file
from tilth.core.mounts import NETWORK_FILE_SYSTEMS, file_system_of

RELEASED = Millis(1_767_225_600_000)
"""2026-01-01: a clock before it is wrong."""
LITTLE_SPACE_BYTES = 1 << 30


def check_home(home: Path) -> Iterator[Finding]:
    if not home.is_dir():
        if home.exists():
            yield broken("home", f"{home} is not a folder", "name another place with --home")
        else:
            yield note("home", f"{home} does not exist yet", "`tilth up` makes it")
        return
    status = home.stat()
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield broken(
            "home", f"{home} may not be written by this user", f"run `chown -R $USER {home}`, or name another place with --home"
        )
    elif status.st_mode & 0o077:
        found = f"{home} may be entered by other users (mode {status.st_mode & 0o777:o}); its secrets are in files of mode 0600"
        yield note("home", found, f"run `chmod 700 {home}`")
    else:
        yield ok("home", f"{home}, this user's alone")
    yield _space(home)
    kind = file_system_of(home)
    if kind in NETWORK_FILE_SYSTEMS:
        found = f"{kind} is a network file system, on which SQLite loses data"
        yield broken("file system", found, "move the home to a local disk, or set database_url to a PostgreSQL database")
    else:
        yield ok("file system", kind or "unknown")


def check_locks(home: Path) -> Iterator[Finding]:
    up, control = lock_holder(home, UP_LOCK_FILE), lock_holder(home, LOCK_FILE)
    try:
        server = read_server_file(home)
    except TilthError as error:
        yield broken(
            "server.json", str(error), f"delete {home / 'server.json'}; a running server writes it again when it is restarted"
        )
        server = None
    if up is not None:
        yield ok("server", f"`tilth up` runs as process {up}")
    elif control is not None:
        yield note("server", f"a control process ({control}) holds the home without `tilth up`", "fine if you started it by hand")
    elif server is not None and server.pid and not Path(f"/proc/{server.pid}").exists():
        yield note(
            "server", f"not running; server.json still names process {server.pid}, which is gone", "start it with `tilth up`"
        )
    else:
        yield note("server", "not running", "start it with `tilth up`")


def check_sqlite(path: Path, known: frozenset[str], newest: frozenset[str]) -> Iterator[Finding]:
    """known: schema versions that this program can migrate; newest: the one that it works with."""
    if not path.exists():
        yield note("database", f"{path} does not exist yet", "`tilth up` makes it")
        return
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            revisions = {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}
        finally:
            connection.close()
    except sqlite3.Error as error:
        yield broken(
            "database",
            f"{path} cannot be read: {error}",
            f"restore it from {path.parent / 'backups'}, or look whether the disk fails",
        )
        return
    if verdict != "ok":
        yield broken(
            "database",
            f"{path} is damaged: {verdict}",
            f"stop Tilth and restore the newest backup from {path.parent / 'backups'}",
        )
    elif revisions - known:
        found = f"{path} was written by a newer Tilth (schema {', '.join(sorted(revisions))})"
        yield broken(
            "database",
            found,
            "install that newer Tilth again, from its clone, or restore the backup that was made before the upgrade",
        )
    elif revisions != newest:
        found = f"{path} was written by an older Tilth (schema {', '.join(sorted(revisions)) or 'none'})"
        yield note("database", found, f"the next `tilth up` migrates it, after a backup in {path.parent / 'backups'}")
    else:
        yield ok(
            "database", f"{path}, {path.stat().st_size / 1e6:.1f} MB, no damage, schema {', '.join(sorted(revisions)) or 'none'}"
        )


def check_clock(home: Path, now: Millis) -> Finding:
    """A clock that jumped back gives tokens a longer life and sorts new events before old ones."""
    if now < RELEASED:
        return broken("clock", f"it is {iso(now)} here, which cannot be", "set the clock, best by NTP")
    newest = max((path.stat().st_mtime_ns // 1_000_000 for path in home.glob("tilth.db*")), default=0)
    if newest > now + MINUTE:
        found = f"the database was written at {iso(Millis(newest))}, after now ({iso(now)}): the clock was set back"
        return broken("clock", found, "set the clock, best by NTP")
    return ok("clock", iso(now))


def _space(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    shown = f"{free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return broken("space", f"{shown}; Tilth does not start with less than {LEAST_FREE_BYTES / 1e6:.0f} MB", "free some space")
    if free < LITTLE_SPACE_BYTES:
        return note(
            "space", f"{shown}, which models and artifacts fill soon", "free some space, or set blobs_location to a bucket"
        )
    return ok("space", shown)
