"""POSTs to addresses that users name, without becoming their way into this network (SSRF).

The host is resolved once, every address it has is checked, and the connection goes to the checked address itself, so that a second
answer of the name server cannot change it. No redirects, no proxies, no cookies; the body of an answer is not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx

from tilth.core.errors import Invalid, Unavailable
from tilth.core.tls import believed

TIMEOUT_S = 10.0
MAX_URL_CHARS = 2000
LOOKUPS_AT_ONCE = 16
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Global by the book, but they carry an IPv4 address within them, which may be a private one; the last is IPv6's old private range.
_DISGUISED = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96", "fec0::/10")
)


class AddressRefused(Invalid):
    """An address that this server does not send to."""


class NotDelivered(Unavailable):
    """No answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a receiver. status: of HTTP."""

    status: int

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The receiver wants no more."""
        return self.status == 410


class Receivers:
    """Sends to public addresses, and to those in `allowed`: networks (10.1.0.0/16) and addresses of this organisation's own."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = [ipaddress.ip_network(text, strict=False) for text in allowed]
        # Of their own: a name server that never answers would hold up the threads that write files and check passwords.
        self._lookups = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="tilth-names")

    def check_url(self, url: str) -> str:
        """What can be said without asking a name server. Returns the URL. Raises AddressRefused."""
        if len(url) > MAX_URL_CHARS or any(ord(c) <= 32 or ord(c) == 127 for c in url) or "\\" in url:
            raise AddressRefused(
                f"a webhook's URL has at most {MAX_URL_CHARS} characters, without spaces, control characters, backslashes"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressRefused(f"{url[:120]!r} is not a URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise AddressRefused(f"{url[:120]!r} is not an address to send to: give one that begins with https:// or http://")
        if parts.username is not None or parts.password is not None:
            raise AddressRefused("leave user name and password out of the URL: receivers check the signature instead")
        try:
            literal = ipaddress.ip_address(parts.hostname)
        except ValueError:
            return url
        self._check_address(literal, parts.hostname)
        return url

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises AddressRefused, NotDelivered. Takes at most TIMEOUT_S seconds for each step and twice that in all."""
        self.check_url(url)
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                address = await self._resolved(host, port)
                return await _send(url, address, host, body, headers)
        except TimeoutError as error:
            raise NotDelivered(f"{host} did not answer within {2 * TIMEOUT_S:.0f} s") from error

    async def _resolved(self, host: str, port: int) -> str:
        try:
            look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(self._lookups, look)
        except (OSError, UnicodeError) as error:
            raise NotDelivered(f"the name {host[:120]!r} does not resolve to an address: {error}") from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            self._check_address(address, host)
        return str(addresses[0])

    def _check_address(self, address: Address, host: str) -> None:
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        if any(address in network for network in self._allowed):
            return
        if not address.is_global or address.is_multicast or any(address in network for network in _DISGUISED):
            raise AddressRefused(
                f"{host[:120]} is an address of a private network ({address}), which webhooks may not reach; an operator can allow it "
                "by `webhook_networks` in tilth.toml"
            )


async def _send(url: str, address: str, host: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    target = httpx.URL(url)
    named = target.netloc.decode("ascii")
    try:
        async with (
            httpx.AsyncClient(
                verify=believed(url, os.environ), trust_env=False, follow_redirects=False, timeout=TIMEOUT_S
            ) as client,
            client.stream(
                "POST",
                target.copy_with(host=address),
                content=body,
                headers={**headers, "host": named},
                extensions={"sni_hostname": host},
            ) as response,
        ):
            return Answer(response.status_code)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotDelivered(f"{host} could not be reached: {error or type(error).__name__}") from error
