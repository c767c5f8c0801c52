"""Who asks."""

import ipaddress
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Caller:
    """On whose behalf something is done.

    Attributes:
        client: who asks, see `client_of`; "" for the app itself.
        is_gone: whether nobody waits for the answer any more.
    """

    client: str = ""
    is_gone: Callable[[], bool] = lambda: False


CALLER: ContextVar[Caller] = ContextVar("CALLER", default=Caller())  # noqa: B039 - it is frozen


def client_of(scope: Mapping[str, Any]) -> str:
    """Who sends a request: an IPv4 address, or the network that one IPv6 customer gets (/64).

    Behind a proxy, which is on this machine or in a private network, it is the nearest address that proxies name and
    that is not private. Whoever connects from a public address is that address, whatever headers say.
    """
    peer = _parsed((scope.get("client") or ("",))[0])
    if peer is None or not peer.is_global:
        headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        named = [ip for part in reversed(",".join(headers).split(",")) if (ip := _parsed(part.strip()))]
        peer = next((ip for ip in named if ip.is_global), named[0] if named else peer)
    if isinstance(peer, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((peer, 64), strict=False))
    return str(peer)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
