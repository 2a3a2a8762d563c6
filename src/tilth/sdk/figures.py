"""Figures and images as bytes, whatever library drew them."""

from __future__ import annotations

import io
from typing import Any

from tilth.sdk.errors import InvalidLog


def drawn(figure: Any, name: str) -> bytes:
    """A matplotlib or plotly figure or a PIL image in the format that the ending of `name` says. Raises InvalidLog."""
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    into = io.BytesIO()
    if hasattr(figure, "savefig"):
        figure.savefig(into, format=ending or "png", dpi=120, bbox_inches="tight")
        return into.getvalue()
    if ending == "html" and hasattr(figure, "to_html"):
        return bytes(figure.to_html().encode())
    if hasattr(figure, "to_image"):
        return bytes(figure.to_image(format=ending or "png"))
    if hasattr(figure, "save"):
        figure.save(into, format=ending or "png")
        return into.getvalue()
    raise InvalidLog(f"a {type(figure).__name__} cannot be drawn; give a matplotlib or plotly figure or a PIL image")
