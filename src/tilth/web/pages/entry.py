"""Pages for readers who are not signed in, and for errors."""

from __future__ import annotations

from typing import Any

from litestar import Response

from tilth.guard import Permission, get
from tilth.web.pages.frame import Asked
from tilth.web.render import draw, html
from tilth.wire.errors import ErrorDetail

TITLES = {
    400: "That does not work",
    403: "Not allowed",
    404: "Nothing here",
    409: "That does not fit",
    413: "Too large",
    429: "Too often",
    503: "Busy",
    507: "The disk is full",
}


@get("/login", permission=Permission.PUBLIC, sync_to_thread=False)
def login_page() -> Response[str]:
    return html(draw("login.html", title="Sign in"))


def render_error(request: Asked, status: int, detail: ErrorDetail) -> Response[Any]:
    """What a person sees when an address answers with an error; without credentials that is the way to sign in."""
    if status == 401:
        return html(draw("login.html", title="Sign in"), 401)
    title = TITLES.get(status, "Something broke" if status >= 500 else "That does not work")
    sent_form = request.method == "POST" and status < 500
    text = draw("error.html", title=title, message=detail.message, code=detail.code, status_code=status, sent_form=sent_form)
    return html(text, status)


routes: list[Any] = [login_page]
