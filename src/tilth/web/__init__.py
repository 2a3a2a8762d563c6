"""Pages drawn on the server: `routes` for the app to serve, and `error_page` for its error table."""

from tilth.web.pages.entry import error_page
from tilth.web.site import routes

__all__ = ["error_page", "routes"]
