"""Decides whether a request may come from where it says: host names, origins, and the headers of every response.

This module uses no HTTP library.
"""

import ipaddress
import re
from dataclasses import dataclass

# Sent with every response. `form-action` and `base-uri` do not fall back to `default-src`.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

LOOPBACK_NAME = "localhost"
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The addresses under which the server may be used.

    A page of another site can make a browser send requests here: by a name that it lets point to this machine (DNS
    rebinding), or simply with the address of this server. The first is seen in the header `Host`, the second in the
    headers `Origin` and `Sec-Fetch-Site`.

    Attributes:
        names: Host names besides those of the loopback interface, in lower case, without a port.
        has_tls: Whether this server itself speaks TLS.
        is_behind_proxy: Whether a reverse proxy passes the requests on, so that its headers are trusted.
    """

    names: frozenset[str] = frozenset()
    has_tls: bool = False
    is_behind_proxy: bool = False

    def allows_host(self, host: str, local_address: str = "") -> bool:
        """Whether a request may name this host.

        Args:
            host: The header `Host`; the port is not looked at, because it differs behind an SSH tunnel.
            local_address: The IP address at which the connection arrived. It may be named, because a browser that
                names an IP address was not deceived by a name.
        """
        match = HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower().strip("[]").removesuffix(".")
        address = _ip_address(name)
        if address is not None:
            return address.is_loopback or address == _ip_address(local_address) or name in self.names
        return name == LOOPBACK_NAME or name in self.names

    def allows_origin(self, host: str, origin: str | None, fetch_site: str | None, scheme: str | None) -> bool:
        """Whether the page that sends a request was served from here.

        Every browser sends one of these headers with a POST. A request without them comes from a program, which no
        other site can deceive.

        Args:
            host: The header `Host`.
            origin: The header `Origin`, if there is one.
            fetch_site: The header `Sec-Fetch-Site`, if there is one.
            scheme: The scheme by which the browser reached the server; None if only the proxy knows.
        """
        if fetch_site is not None and fetch_site.lower() != "same-origin":
            return False
        if origin is None:
            return True
        schemes = ("http", "https") if scheme is None else (scheme,)
        return origin.lower() in {f"{name}://{host.lower()}" for name in schemes}


def is_loopback(host: str) -> bool:
    """Whether a host name or an IP address means the loopback interface."""
    address = _ip_address(host.strip("[]"))
    return host.lower() == LOOPBACK_NAME if address is None else address.is_loopback


def _ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
