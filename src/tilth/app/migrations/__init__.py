"""Migrations of the schema. `python -m tilth.app.migrations "what changes"` writes the next one from the declared tables."""

from pathlib import Path

SCRIPTS = Path(__file__).parent
"""The folder that `tilth.backends.sql.migrate` takes as scripts_folder."""
