"""From a template and its values to an answer. Templates escape everything; a name that is missing is an error, not an empty text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response

from tilth.core.clock import now
from tilth.web import formatting
from tilth.web.markdown import to_html
from tilth.web.statics import static_url

Tone = Literal["run", "ok", "bad", "warn", ""]

TONES: dict[str, Tone] = {
    "running": "run", "loading": "run", "starting": "run", "deploying": "run", "pending": "run", "waiting": "run",
    "finished": "ok", "succeeded": "ok", "live": "ok", "ready": "ok", "passed": "ok", "active": "ok", "intact": "ok", "delivered": "ok",
    "failed": "bad", "refused": "bad", "broken": "bad", "damaged": "bad", "down": "bad",
    "lost": "warn", "stale": "warn", "degraded": "warn", "expired": "warn", "missing": "warn", "killed": "warn",
    "unserved": "warn", "held back": "warn", "cut off": "warn", "stopped": "warn", "stopped early": "warn", "slow": "warn",
}  # fmt: skip
"""State word -> colour. A word that is not here is shown in grey."""


def tone(word: str) -> Tone:
    return TONES.get(word.lower(), "")


@dataclass(frozen=True, slots=True)
class Crumb:
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a form just did, shown once on the page that follows."""

    text: str
    tone: Literal["good", "bad", "warn", ""] = "good"


@dataclass(frozen=True, slots=True)
class Shell:
    """What stands around every page. active: key of the navigation entry; projects: names of those that the reader belongs to.

    sees_users, sees_audit, sees_webhooks: whether these pages are for this reader. mentions: how many the reader has not looked at.
    """

    who: str
    crumbs: Sequence[Crumb]
    active: str = ""
    project: str | None = None
    projects: Sequence[str] = ()
    search: str = ""
    notice: Notice | None = None
    by_session: bool = False
    sees_users: bool = False
    sees_audit: bool = False
    sees_webhooks: bool = False
    mentions: int = 0


def environment() -> Environment:
    built = Environment(
        loader=PackageLoader("tilth.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in (
        "number",
        "count",
        "duration",
        "latency",
        "age",
        "moment",
        "machine_moment",
        "date",
        "size",
        "percent",
        "rate",
        "in_words",
        "milliseconds",
        "metric",
        "part",
        "short",
        "digest",
        "counted",
        "correlation",
        "machine_metric",
        "sentence",
        "setting",
        "browser",
    ):
        built.filters[name] = getattr(formatting, name)
    built.filters["markdown"] = to_html
    built.globals.update(static=static_url, tone=tone, version=version("tilth"))
    return built


TEMPLATES = environment()


def draw(template: str, **values: Any) -> str:
    """The text of a template. `now` is there for ages."""
    return TEMPLATES.get_template(template).render(now=now(), **values)


def page(template: str, shell: Shell, *, status_code: int = 200, **values: Any) -> Response[str]:
    """A whole page, never kept by shared caches."""
    return html(draw(template, shell=shell, **values), status_code)


def html(text: str, status_code: int = 200) -> Response[str]:
    return Response(
        text, media_type=MediaType.HTML, status_code=status_code, headers={"cache-control": "no-store", "vary": "hx-request"}
    )
