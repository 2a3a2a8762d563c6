"""Shares of scores of two versions side by side, drawn on the server as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tilth.web.formatting import number, percent
from tilth.wire.rollouts import ScoreBin


def score_bars(bins: Sequence[ScoreBin], candidate: str, champion: str, width: int = 560, height: int = 210) -> Markup:
    """A pair of bars per bin: the champion's share and the candidate's. candidate, champion: their names."""
    left, top, bottom = 40.0, 8.0, 26.0
    wide, tall = width - left - 8, height - top - bottom
    most = max((max(each.candidate, each.champion) for each in bins), default=0.0) or 1.0
    body = []
    for tick in (0.0, most / 2, most):
        y = top + tall * (1 - tick / most)
        body.append(f'<path class="grid-line" d="M{left:g} {y:.1f}h{wide:g}"/>')
        body.append(f'<text x="{left - 6:g}" y="{y + 4:.1f}" text-anchor="end">{percent(tick)}</text>')
    step = wide / max(len(bins), 1)
    bar = max(min(step * 0.36, 26.0), 1.0)
    for place, each in enumerate(bins):
        middle, said = left + step * (place + 0.5), _range(each)
        for css, share, name, x in (("f7", each.champion, champion, middle - bar), ("f3", each.candidate, candidate, middle)):
            tall_bar = max(tall * share / most, 0.8 if share else 0.0)
            title = f"<title>{Markup.escape(name)}: {percent(share)} of the scores {said}</title>"
            y = top + tall - tall_bar
            body.append(
                f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{tall_bar:.1f}" rx="1.5">{title}</rect>'
            )
        if each.missing:
            body.append(f'<text x="{middle:.1f}" y="{height - 8}" text-anchor="middle">none</text>')
        elif each.high is not None and len(bins) <= 16:
            # Under the line between two bins: the bound that they share.
            body.append(f'<text x="{left + step * (place + 1):.1f}" y="{height - 8}" text-anchor="middle">{each.high:.3g}</text>')
    label = f"Shares of the scores of {champion} and {candidate}, bin by bin"
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, label, Markup("".join(body))
    )


def _range(each: ScoreBin) -> str:
    if each.missing:
        return "that are no number"
    if each.low is None:
        return f"up to {number(each.high, 3)}"
    return f"above {number(each.low, 3)}" if each.high is None else f"from {number(each.low, 3)} to {number(each.high, 3)}"


def limit_bar(value: float, limit: float, *, broken: bool, champion: float | None = None, width: int = 130) -> Markup:
    """A word-sized bar from 0 to the value, the limit as a line, the champion's value as a dot. For values >= 0."""
    most = max(value, limit, champion or 0.0, 1e-12) * 1.12

    def x(at: float) -> float:
        return 2 + (width - 4) * min(max(at / most, 0.0), 1.0)

    body = f'<path class="axis" d="M2 9H{width - 2}"/>'
    body += (
        f'<rect class="bar{" over" if broken else " soft"}" x="2" y="5" width="{max(x(value) - 2, 1):.1f}" height="8" rx="3"/>'
    )
    body += f'<path class="budget" d="M{x(limit):.1f} 1V17"/>'
    if champion is not None:
        body += f'<circle class="f7" cx="{x(champion):.1f}" cy="9" r="3"/>'
    said = f"{number(value, 3)}, limit {number(limit, 3)}"
    return Markup(
        '<svg class="chart interval" viewBox="0 0 {} 18" width="{}" height="18" role="img" aria-label="{}">{}</svg>'
    ).format(width, width, said, Markup(body))
