"""What came, beside what is there now: the proof of an import."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from tilth.cli.caller import Caller, show_json

KINDS = ("experiments", "runs", "metric points", "params", "tags", "data sets", "artifacts", "artifact bytes", "logged models",
         "models", "versions")  # fmt: skip
SHOWN = 20


@dataclass(slots=True)
class Tally:
    """source, here: counts by kind. left: sentences on what is shortened or left out. missing: on what could not be read."""

    source: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    here: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    left: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def came(self, kind: str, count: int = 1) -> None:
        self.source[kind] += count

    def found(self, kind: str, count: int = 1) -> None:
        self.here[kind] += count

    @property
    def complete(self) -> bool:
        return not self.missing and self.source == self.here

    def show(self, caller: Caller, *, dry_run: bool) -> None:
        if caller.as_json:
            record = {"source": self.source, "left": self.left, "missing": self.missing, "dry_run": dry_run}
            show_json(record if dry_run else {**record, "here": self.here, "complete": self.complete})
            return
        rows = [
            {"what": kind, "in_the_source": self.source[kind]}
            | ({} if dry_run else {"here": self.here[kind], "same": self.source[kind] == self.here[kind]})
            for kind in KINDS
            if self.source[kind] or self.here[kind]
        ]
        caller.show_rows(
            rows, ("what", "in_the_source") if dry_run else ("what", "in_the_source", "here", "same"), "nothing came"
        )
        self._tell(f"{len(self.left)} things are shortened or left out", self.left)
        self._tell(f"{len(self.missing)} things could not be read", self.missing)

    def _tell(self, title: str, sentences: list[str]) -> None:
        if sentences:
            more = [f"... and {len(sentences) - SHOWN:,} more (--json shows all)"] if len(sentences) > SHOWN else []
            click.echo("\n".join([f"{title}:", *(f"  {line}" for line in [*sentences[:SHOWN], *more])]), err=True)
