"""Whom a client believes when a server answers over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from tilth.core.errors import Invalid

CERTIFICATE_VARIABLE = "SSL_CERT_FILE"


class UnreadableCertificates(Invalid):
    """SSL_CERT_FILE names something that holds no certificates in PEM form."""


def believed(url: str, environ: Mapping[str, str]) -> ssl.SSLContext | bool:
    """What to hand to httpx as `verify`: the certificates of SSL_CERT_FILE where it is set and `url` is https, else the usual ones.

    httpx reads the variable only where it also takes proxies from the environment, which clients of this machine's loopback must not.
    Raises UnreadableCertificates.
    """
    named = environ.get(CERTIFICATE_VARIABLE)
    if not named or not url.startswith("https:"):
        return True
    try:
        return ssl.create_default_context(cafile=Path(named))
    except (OSError, ssl.SSLError) as error:
        raise UnreadableCertificates(
            f"{CERTIFICATE_VARIABLE} is {named!r}, which cannot be read as PEM certificates ({error}); name the file with the "
            "certificate of your server or of its authority, or unset the variable"
        ) from error
