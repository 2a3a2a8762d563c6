"""Pages drawn on the server: `routes` for the app to serve, and `render_error` for its error table."""

from tilth.web.pages.entry import render_error
from tilth.web.site import routes

__all__ = ["render_error", "routes"]
