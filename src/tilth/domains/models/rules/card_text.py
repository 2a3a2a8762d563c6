"""The card as Markdown, with the front matter that the Hugging Face hub reads. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from tilth.wire.registry import Card, CardResult

HUB_TASKS = {"classification": "tabular-classification", "regression": "tabular-regression"}


def markdown(card: Card) -> str:
    """GitHub-flavoured Markdown behind YAML front matter; facts are escaped, texts of people stand as they wrote them."""
    lines = ["---", yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True).rstrip(), "---", ""]
    lines += [f"# {_escape(card.title)}", ""]
    lines += [f"> **Note:** {_escape(warning)}" for warning in card.warnings]
    if card.missing:
        titles = ", ".join(each.title.lower() for each in card.fields if each.missing)
        lines += [f"> **Missing:** {titles} ({card.completeness:.0%} of the card is filled in by people)"]
    for each in card.fields:
        lines += ["", f"## {each.title}", "", each.text if not each.missing else f"*Missing. {each.asks}*"]
    for section in card.sections:
        lines += ["", f"## {section.title}", ""]
        if section.facts:
            lines += ["| | |", "|---|---|"]
            lines += [f"| {_escape(fact.name)} | {_escape(fact.value)} |" for fact in section.facts]
        if section.note:
            lines += ["", f"*{_escape(section.note)}*"] if section.facts else [f"*{_escape(section.note)}*"]
    return "\n".join(lines) + "\n"


def front_matter(card: Card) -> dict[str, Any]:
    """license, library_name, tags and model-index as the hub names them; what is not known is left out."""
    found: dict[str, Any] = {}
    if card.license:
        found["license"] = card.license
    if card.library:
        found["library_name"] = card.library
    found["tags"] = ["tilth", *card.tags]
    groups: dict[tuple[str, str, str], list[CardResult]] = {}
    for result in card.results:
        groups.setdefault((result.task, result.dataset, result.dataset_digest), []).append(result)
    if groups:
        results = [
            {
                "task": {"type": HUB_TASKS.get(task, task)},
                "dataset": {"name": dataset, "type": "tilth", "revision": digest},
                "metrics": [{"type": each.metric, "value": each.value} for each in measured],
            }
            for (task, dataset, digest), measured in groups.items()
        ]
        found["model-index"] = [{"name": card.title, "results": results}]
    return found


def _escape(text: str) -> str:
    for character in "\\`*_[]<>|#":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
