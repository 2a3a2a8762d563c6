"""How values are shown on a page. Pure: a value in, text out; moments and "now" are milliseconds since the epoch."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from urllib.parse import quote

from markupsafe import Markup, escape

MINUS = "−"
_MACHINE_UNITS = {"_percent": "%", "_mb_per_s": "MB/s", "_mb": "MB", "_celsius": "°C", "_watts": "W"}
_FRACTION = re.compile(r"[+-]?\d{1,15}\.\d+(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def number(value: float | int | None, digits: int = 4) -> str:
    """A metric or a param at `digits` significant digits: `0.9722`, `1,204`, `1.2e-09`, `NaN`, `∞`; `–` for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        return _signed(f"{int(value):,}") if abs(value) < 1e15 else _signed(f"{value:.{digits}g}")
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    if size < 1e-4 or size >= 1e9:
        return _signed(f"{value:.{max(digits - 2, 1)}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size >= 1 else digits
    return _signed(f"{value:,.{decimals}f}" if size >= 1e-2 else f"{value:.{digits}g}")


def metric(value: float | str | None, digits: int = 4) -> str:
    """A metric's value as it travels: a number or one of the words NaN, Infinity, -Infinity."""
    return number(float(value) if value is not None else None, digits)


def setting(text: str) -> str:
    """A param's text as a table has room for: of a decimal fraction four significant digits, `33.205156318989815` as `33.21`."""
    if len(text) <= 8 or not _FRACTION.fullmatch(text):
        return text
    before_point = len(text.lstrip("+-").partition(".")[0])
    shorter = f"{float(text):.{max(4, before_point)}g}"
    return shorter if len(shorter) < len(text) else text


def part(text: str | int) -> str:
    """One segment of an address."""
    return quote(str(text), safe="")


def _signed(text: str) -> str:
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def count(value: int, cap: int | None = None) -> str:
    """`1,204`; with a cap, a count that reached it reads `10,000+`."""
    return f"{cap:,}+" if cap is not None and value >= cap else f"{value:,}"


def of_total(shown: int, total: int, cap: int | None = None) -> str:
    """`100 of 1,204`; `7` when everything is shown."""
    return f"{shown:,}" if shown >= total else f"{shown:,} of {count(total, cap)}"


def duration(ms: float | None) -> str:
    """A span in milliseconds: `850 ms`, `4.2 s`, `13m 47s`, `2h 05m`, `3d 4h`; `–` for None."""
    if ms is None:
        return "–"
    ms = max(ms, 0)
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 60:
        return f"{minutes}m {seconds % 60:02d}s"
    if hours < 48:
        return f"{hours}h {minutes % 60:02d}m"
    return f"{days}d {hours % 24}h"


def latency(us: float | None) -> str:
    """A span in microseconds: `850 µs`, `6.4 ms`, `1.2 s`; `–` for None."""
    if us is None:
        return "–"
    if us < 1000:
        return f"{us:.0f} µs"
    if us < 1_000_000:
        return f"{us / 1000:.3g} ms"
    return f"{us / 1_000_000:.3g} s"


def milliseconds(ms: float | None) -> str:
    """A latency in milliseconds: `850 µs`, `6.4 ms`, `1.2 s`; `–` for None."""
    return latency(None if ms is None else ms * 1000)


def age(moment: int | None, now: int) -> str:
    """How long ago: `now`, `40s ago`, `3m ago`, `2h ago`, `5d ago`; older than 60 days the date; `in 3d` for the future."""
    if moment is None:
        return "–"
    seconds = (now - moment) // 1000
    if -2 < seconds < 2:
        return "now"
    if abs(seconds) > 60 * 86_400:
        return date(moment)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if abs(seconds) >= size:
            span = f"{abs(seconds) // size}{unit}"
            break
    return f"{span} ago" if seconds > 0 else f"in {span}"


def moment(at: int | None) -> str:
    """`2013-01-31 05:00:00 UTC`."""
    return "–" if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine_moment(at: int) -> str:
    """For the `datetime` attribute of a `time` element."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def size(count_of_bytes: int | None) -> str:
    """Bytes, decimal units: `0 B`, `999 B`, `1.2 MB`."""
    if count_of_bytes is None:
        return "–"
    value, unit = float(count_of_bytes), 0
    while value >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_BYTE_UNITS[unit]}" if unit == 0 or value >= 99.5 else f"{value:.1f} {_BYTE_UNITS[unit]}"


def percent(share: float | None) -> str:
    """A share of 1: `71 %`, `0.42 %`, `<0.01 %`."""
    if share is None:
        return "–"
    points = share * 100
    if 0 < points < 0.01:
        return "<0.01 %"
    return f"{points:.0f} %" if points >= 10 or points == 0 else f"{points:.2g} %"


def rate(per_second: float | None) -> str:
    """`0/s`, `2.4/s`, `5,556/s`."""
    if per_second is None:
        return "–"
    return f"{per_second:,.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.2g}/s"


def short(identifier: str | None, chars: int = 8) -> str:
    """The tail of an id, which differs where its beginning (the time) may not; `m-` is kept off."""
    return "–" if not identifier else identifier[-chars:]


def digest(text: str | None, chars: int = 12) -> str:
    return "–" if not text else text[:chars]


def in_words(detail: dict[str, object]) -> str:
    """Details of an audit event on one line: `from 1 · to 2`; what is empty is left out."""
    parts = []
    for key, value in sorted(detail.items()):
        if value in (None, "", [], {}):
            continue
        text = ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)
        parts.append(f"{key.replace('_', ' ')} {text}")
    return " · ".join(parts)


def correlation(value: float) -> str:
    """From -1 to 1, always signed: `+0.94`, `−0.01`."""
    return f"{value:+.2f}".replace("-", MINUS)


def counted(total: int | str, word: str) -> str:
    """`1 run`, `63 runs`, `10,000+ runs`. total: a number, or its text as it stands on the page."""
    text = f"{total:,}" if isinstance(total, int) else total
    return f"{text} {word if text == '1' else f'{word}s'}"


def machine_metric(key: str) -> tuple[str, str]:
    """Name and unit of a measure of the machine, both for a reader: `system/memory_mb` is ("memory", "MB")."""
    bare = key.removeprefix("system").lstrip("/.")
    for ending, unit in _MACHINE_UNITS.items():
        if bare.endswith(ending):
            return bare.removesuffix(ending).replace("_", " ").replace("cpu", "CPU").replace("gpu", "GPU"), unit
    return bare.replace("_", " "), ""


def sentence(text: str) -> Markup:
    """A message as a person reads it: a capital in front, a stop at the end, and what stands in `backticks` as code.

    A name such as `fare@champion` or `webhook.read` in front stays as it is.
    """
    is_name = any(mark in text.partition(" ")[0] for mark in ".@/_=")
    whole = text if is_name else text[:1].upper() + text[1:]
    if whole and whole[-1] not in ".!?:":
        whole += "."
    pieces = whole.split("`")
    if len(pieces) % 2 == 0:
        return escape(whole)
    parts = (Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces))
    return Markup("").join(parts)


def bar_width(value: float | None, low: float, high: float) -> int:
    """Width class of an inline bar, 0 to 100 in steps of 5. The lowest value of a column still shows a stub."""
    if value is None or not math.isfinite(value):
        return 0
    if high <= low:
        return 100
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return max(5, round((0.1 + 0.9 * share) * 20) * 5)


_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def browser(user_agent: str) -> str:
    """`Firefox on Linux`; of a program its first word."""
    name = next((name for mark, name in _BROWSERS if mark in user_agent), user_agent.partition("/")[0][:40])
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{name} on {system}" if name and system else name or "unknown"
