"""Prints the changelog section that the fragments of this folder make."""

from __future__ import annotations

import sys
from pathlib import Path

KINDS = ("added", "changed", "fixed", "removed")


def section(folder: Path) -> str:
    """Markdown: one heading per kind, one line per fragment, sorted by name."""
    parts = []
    for kind in KINDS:
        lines = [f"- {path.read_text().strip()}" for path in sorted(folder.glob(f"*.{kind}.md"))]
        if lines:
            parts.append("\n".join([f"### {kind.capitalize()}", *lines]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(section(Path(__file__).parent) + "\n")
