"""The group `tilth model`, to which several modules add commands."""

from __future__ import annotations

import click


@click.group(
    epilog="\b\nExamples:\n  tilth model list\n  tilth model show flight-delay\n  tilth model alias flight-delay/3 champion\n"
)
def model() -> None:
    """Registered models: versions, evaluations, approvals, aliases, cards."""
