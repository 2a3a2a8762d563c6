"""What is different between runs: params, metrics, tags, data, code, environment."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tilth.core.errors import Invalid
from tilth.wire.tracking import RunDetail

MAX_RUNS = 50
MAX_CELL_CHARS = 40
SECTIONS = ("run", "params", "metrics", "tags", "data", "code", "environment", "packages")
_SYSTEM = "system/"


class NothingToCompare(Invalid):
    def __init__(self, given: int) -> None:
        super().__init__(f"{given} run{'' if given == 1 else 's'} given; compare 2 to {MAX_RUNS} of them")


@dataclass(frozen=True)
class Comparison:
    """Runs side by side. sections: section -> key -> one value for each run (None: it has none). `print` shows the differences."""

    run_ids: list[str]
    names: list[str]
    sections: dict[str, dict[str, list[Any]]]

    def differences(self) -> dict[str, dict[str, list[Any]]]:
        """Only the keys whose values are not all the same; sections without any are left out."""
        changed = {
            section: {key: values for key, values in keys.items() if any(value != values[0] for value in values[1:])}
            for section, keys in self.sections.items()
        }
        return {section: keys for section, keys in changed.items() if keys}

    def to_dict(self, *, everything: bool = False) -> dict[str, Any]:
        """For JSON: run ids, names, and the differences (or all values)."""
        return {"runs": self.run_ids, "names": self.names, **(self.sections if everything else self.differences())}

    def rows(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """section, key, and one column for each run id."""
        shown = self.sections if everything else self.differences()
        return [
            {"section": section, "key": key, **dict(zip(self.run_ids, values, strict=True))}
            for section, keys in shown.items()
            for key, values in keys.items()
        ]

    def __str__(self) -> str:
        lines: list[list[str]] = [["", *self.names]]
        for section, keys in self.differences().items():
            lines.append([section])
            lines += [[f"  {key}", *map(_cell, values)] for key, values in keys.items()]
        if len(lines) == 1:
            return f"no differences between {', '.join(self.names)}"
        widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(self.names) + 1)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.names)
        body = "".join(
            f"<tr><th colspan={len(self.names) + 1}>{section}</th></tr>"
            + "".join(
                f"<tr><td>{html.escape(key)}</td>{''.join(f'<td>{html.escape(_cell(value))}</td>' for value in values)}</tr>"
                for key, values in keys.items()
            )
            for section, keys in self.differences().items()
        )
        return f"<table><tr><th></th>{head}</tr>{body}</table>"


def compared(found: Sequence[RunDetail], packages: Sequence[Mapping[str, str]]) -> Comparison:
    """The same from what the server told of each run. packages: name -> version."""
    facts = {
        "run": [_run(one) for one in found],
        "params": [one.params for one in found],
        "metrics": [{m.key: m.value for m in one.metrics if not m.key.startswith(_SYSTEM)} for one in found],
        "tags": [one.tags for one in found],
        "data": [{_data_key(data.name, data.context): data.digest for data in one.inputs} for one in found],
        "code": [_code(one) for one in found],
        "environment": [_environment(one) for one in found],
        "packages": packages,
    }
    sections = {name: _side_by_side(facts[name]) for name in SECTIONS}
    return Comparison([one.run.id for one in found], [one.run.name for one in found], sections)


def _side_by_side(facts: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: [one.get(key) for one in facts] for key in _in_order(facts)}


def _in_order(facts: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({key for one in facts for key in one})


def _run(one: RunDetail) -> dict[str, Any]:
    info = one.run
    lasted_s = round((info.ended - info.started) / 1000, 3) if info.ended is not None else None
    used = one.resources
    told = {"experiment": info.experiment, "status": info.status, "user": info.user_name, "lasted_s": lasted_s}
    return told | ({"cpu_s": used.cpu_s, "peak_rss_mb": used.peak_rss_mb} if used is not None else {})


def _data_key(name: str, context: str) -> str:
    return f"{name} ({context})" if context else name


def _code(one: RunDetail) -> dict[str, Any]:
    environment = one.environment
    if environment is None:
        return {}
    git = environment.git
    told = {"entry_point": environment.entry_point, "arguments": " ".join(environment.argv)}
    if git is not None:
        told |= {"commit": git.commit, "branch": git.branch, "remote": git.remote, "uncommitted": "yes" if git.dirty else "no"}
    return told


def _environment(one: RunDetail) -> dict[str, Any]:
    made = one.environment
    if made is None:
        return {}
    return {
        "python": made.python,
        "platform": made.platform,
        "host": made.hostname,
        "cpu": f"{made.cpu_count} x {made.cpu}" if made.cpu else str(made.cpu_count),
        "memory_mb": made.memory_mb,
        "gpus": ", ".join(made.gpus),
        "cuda": made.cuda,
        "tilth": made.tilth,
        "ranks": made.ranks,
    }


def package_versions(text: str) -> dict[str, str]:
    """name -> version, from the text of `environment/packages.txt`."""
    lines = (line.removeprefix("# ").split(" was installed")[0] for line in text.splitlines())
    return {name: version for name, version in (_package(line) for line in lines if line.strip()) if name}


def _package(line: str) -> tuple[str, str]:
    name, mark, version = line.partition("==")
    if not mark:
        name, _, version = line.partition(" @ ")
    return name.strip().lower(), version.strip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 3]}..."
