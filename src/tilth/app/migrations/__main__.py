"""Writes the next migration: what separates the declared tables from those that the migrations make."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tilth.app.migrations import SCRIPTS
from tilth.backends.sql.migration import write_migration


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit('usage: python -m tilth.app.migrations "what changes"')
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with TemporaryDirectory() as folder:
        written = write_migration(Path(folder) / "scratch.db", SCRIPTS, sys.argv[1])
    logging.getLogger("tilth.migrations").info("wrote %s: read it, then format it with ruff", written)


main()
