"""Pages for readers who are not signed in: the form with name and password, the page of a set-up link, and errors."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath
from litestar.response import Redirect

from tilth.core.errors import TooMany, Unauthenticated
from tilth.domains.identity import actions
from tilth.domains.identity.actions import Doorkeeper
from tilth.domains.identity.api.cookies import session_cookie, visitor_of
from tilth.domains.identity.rules import MIN_PASSWORD_CHARS, page_after_sign_in
from tilth.domains.identity.types import LinkUsed, StartedSession, WeakPassword, WrongPassword
from tilth.guard import AccessTo, Permission, get, post
from tilth.guard.requests import refuse_cross_site
from tilth.web.pages.frame import Asked, read_form
from tilth.web.render import draw, html
from tilth.wire.errors import ErrorDetail

WRONG_PASSWORD, LINK_USED = WrongPassword().code, LinkUsed().code
TITLES = {
    400: "That does not work",
    401: "Wrong password",
    403: "Not allowed",
    404: "Nothing here",
    409: "That does not fit",
    413: "Too large",
    429: "Too often",
    503: "Busy",
    507: "The disk is full",
}


@get("/login", permission=Permission.PUBLIC)
async def login_page(request: Asked) -> Response[str]:
    return _login_page(request.query_params.get("next", ""))


@post("/login", permission=Permission.PUBLIC)
async def sign_in(request: Asked, access: AccessTo[None]) -> Response[Any]:
    """The form again, with the reason, when it does not work; the password is never sent back."""
    form, door = await read_form(request), _door(request)
    refuse_cross_site(request)
    name, next_ = form.text("name"), form.text("next")
    try:
        started = await door.sign_in(name, form.exact("password"), visitor_of(request))
    except (Unauthenticated, TooMany) as error:
        status = 429 if isinstance(error, TooMany) else 401
        answer = _login_page(next_, name=name, refused=str(error), status=status)
        if isinstance(error, TooMany):
            answer.headers["retry-after"] = str(int(error.retry_after_s) + 1)
        return answer
    access.forget()
    return _signed_in(request, started, page_after_sign_in(next_))


@get("/login/setup/{secret:str}", permission=Permission.PUBLIC)
async def setup_page(access: AccessTo[None], secret: FromPath[str]) -> Response[str]:
    """Looking at the page does not use the link up: chat programs and mail scanners open links, too."""
    try:
        name = await access.database.read(lambda tx: actions.name_of_setup_link(tx, secret))
    except LinkUsed as used:
        return _login_page("", refused=str(used), status=401)
    return _setup_page(name, secret)


@post("/login/setup/{secret:str}", permission=Permission.PUBLIC)
async def set_up(request: Asked, access: AccessTo[None], secret: FromPath[str]) -> Response[Any]:
    form, door = await read_form(request), _door(request)
    refuse_cross_site(request)
    password = form.exact("password")
    try:
        name = await access.database.read(lambda tx: actions.name_of_setup_link(tx, secret))
        try:
            if password != form.exact("again"):
                raise WeakPassword("the two passwords differ: type the same one twice")
            new_hash = await door.new_hash(password, name)
        except WeakPassword as weak:
            return _setup_page(name, secret, weak)
        visitor = visitor_of(request)
        started = await access.database.write(lambda tx: actions.set_up_password(tx, secret, new_hash, visitor))
    except LinkUsed as used:
        return _login_page("", refused=str(used), status=401)
    access.forget()
    return _signed_in(request, started, "/")


def render_error(request: Asked, status: int, detail: ErrorDetail) -> Response[Any]:
    """What a person sees when an address answers with an error; without credentials that is the way to sign in."""
    if status == 401 and detail.code != WRONG_PASSWORD:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        refused = detail.message if detail.code == LINK_USED else ""
        return _login_page(asked if request.method == "GET" else "", refused=refused, status=401)
    title = TITLES.get(status, "Something broke" if status >= 500 else "That does not work")
    sent_form = request.method == "POST" and status < 500
    text = draw("error.html", title=title, message=detail.message, code=detail.code, status_code=status, sent_form=sent_form)
    return html(text, status)


routes: list[Any] = [login_page, sign_in, setup_page, set_up]


def _login_page(next_: str, *, name: str = "", refused: str = "", status: int = 200) -> Response[str]:
    next_ = page_after_sign_in(next_)
    return html(draw("login.html", title="Sign in", next=next_, name=name[:63], refused=refused), status)


def _setup_page(name: str, secret: str, weak: WeakPassword | None = None) -> Response[str]:
    values = {"name": name, "secret": secret, "least": MIN_PASSWORD_CHARS, "refused": str(weak) if weak is not None else ""}
    return html(draw("setup.html", title="Choose a password", **values), 200 if weak is None else 400)


def _signed_in(request: Asked, started: StartedSession, page: str) -> Response[Any]:
    answer = Redirect(page, status_code=303)
    answer.set_cookie(session_cookie(request, started))
    return answer


def _door(request: Asked) -> Doorkeeper:
    door: Doorkeeper = request.app.state["tilth_doorkeeper"]
    return door
