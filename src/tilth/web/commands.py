"""Commands that a page offers for copying into a shell."""

from __future__ import annotations

import shlex


def shown_command(*words: str) -> str:
    """One command. Whatever a person named so stays one word: a model called `$(reboot)` must not run when its command is pasted."""
    return shlex.join(words)
