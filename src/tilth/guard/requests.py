"""Reads credentials off a request, and refuses what a foreign page made a browser send."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from litestar.connection import ASGIConnection

from tilth.core.errors import Denied
from tilth.guard.principal import Credentials

SESSION_COOKIE = "tilth_session"
SECURE_SESSION_COOKIE = "__Host-tilth_session"
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


class CrossSiteRequest(Denied):
    """A page of another site made the browser send a change with this site's cookie."""

    def __init__(self) -> None:
        super().__init__(
            "this change was sent by a page of another site and was refused; send it from Tilth's own pages or with a token"
        )


def credentials_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Credentials:
    """Bearer token, or a token as the password of Basic credentials (as MLflow's client sends it), or the session cookie."""
    client = connection.client
    cookies = connection.cookies
    return Credentials(
        token=_token(connection.headers.get("authorization", "")),
        # Under TLS the plain name does not count: any host of the same domain, or a page over plain http, could have set it.
        session=cookies.get(SECURE_SESSION_COOKIE if connection.scope["scheme"] == "https" else SESSION_COOKIE),
        address=client.host if client else "",
    )


def _token(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value.strip() or None
    if kind.lower() == "basic":
        try:
            _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password or None
    return None


def refuse_cross_site(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """For changes authorised by a cookie: the browser itself must say that they come from our own origin.

    Raises CrossSiteRequest.
    """
    if connection.scope.get("method", "GET") in SAFE_METHODS:
        return
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise CrossSiteRequest
        return
    origin = connection.headers.get("origin")
    if origin is None or origin != f"{connection.scope['scheme']}://{connection.headers.get('host', '')}":
        raise CrossSiteRequest
