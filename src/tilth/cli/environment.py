"""The variables by which programs find a server."""

from __future__ import annotations

from urllib.parse import quote

from tilth.core.home import Target


def variables(target: Target, token: str | None = None) -> dict[str, str]:
    """Environment of a program that is to find the server. token: instead of the target's own."""
    secret = token or target.token
    found = {
        "TILTH_URL": target.url,
        "TILTH_TOKEN": secret,
        "TILTH_PROJECT": target.project,
        "TILTH_SERVE_URL": target.serve_url,
        "MLFLOW_TRACKING_URI": f"{target.url}/p/{quote(target.project, safe='')}",
        "MLFLOW_TRACKING_TOKEN": secret,
    }
    return {name: value for name, value in found.items() if value}
