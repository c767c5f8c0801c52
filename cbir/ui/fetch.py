"""Fetching a photo from an address that a stranger gave: from public hosts only, with limits on size and time.

A server that fetches what it is told to is a way into the network it stands in (server-side request forgery, OWASP
A10:2021). So the host's addresses are looked up here, every one of them has to be public, and the connection goes to
the address that was checked: a second look-up could answer otherwise. Redirects are checked the same way.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from urllib.parse import urljoin, urlsplit

from cbir.errors import ImageError
from cbir.ui.clients import CALLER
from cbir.ui.limits import ADDRESSES_AT_ONCE, ADDRESSES_PER_CLIENT
from cbir.ui.turns import Turn, Turns, resting

MAX_BYTES = 25 * 2**20
MAX_SECONDS = 10.0  # for all of it, redirects included
MAX_REDIRECTS = 3
_TURNS = Turns(ADDRESSES_AT_ONCE, ADDRESSES_PER_CLIENT)
_CHUNK = 64 * 2**10
_REDIRECTS = {301, 302, 303, 307, 308}
# IPv6 addresses that are given out to hosts (RFC 4291, section 2.5.4), and blocks within them for something else, after
# IANA's registry of special-purpose addresses: protocols (Teredo, benchmarks and newer ones), documentation (twice),
# 6to4. Python's own list is as old as Python.
_IPV6_HOSTS = ipaddress.ip_network("2000::/3")
_IPV6_OTHERS = tuple(map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_IPV4_OTHERS = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24")))  # protocols; relays of 6to4
_HEADERS = {"User-Agent": "apparel-cbir", "Accept": "image/*", "Accept-Encoding": "identity"}


def fetch_image(url: str) -> bytes:
    """Downloads a photo.

    Args:
        url: http or https, to a public host, without user name or password.

    Returns:
        The bytes of the answer; whether they are a photo is for `cbir.images.load_image` to say.

    Raises:
        ImageError: the address is not of that form or not public, the host does not answer with a file, or a limit on
            size or time is passed.
    """
    with resting(), Turn(_TURNS, CALLER.get()):
        return _fetch(url)


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + MAX_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        content, url = _get(url, deadline)
        if content is not None:
            return content
    raise ImageError("expected a photo at most {limit} redirects away: give its final address", limit=MAX_REDIRECTS)


def _get(url: str, deadline: float) -> tuple[bytes | None, str]:
    """One request -> content and "", or None and where it redirects to."""
    host, port, is_secure, target = _parsed(url)
    address = _public_address(host, port, deadline)
    try:
        sock = socket.create_connection((address, port), timeout=max(deadline - time.monotonic(), 0.001))
    except OSError as error:
        raise ImageError(
            "{host} does not answer ({error}): check the address or upload the photo", host=host, error=error
        ) from None
    if is_secure:
        context = ssl.create_default_context()
        sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    # Ends whatever waits for the host, even one that sends a byte now and then. Not SSLSocket's own method: it would
    # take the encryption away while the other thread reads.
    watchdog = threading.Timer(max(deadline - time.monotonic(), 0), _shut, [sock])
    watchdog.daemon = True
    watchdog.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        connection = http.client.HTTPConnection(host, port)
        connection.sock = sock
        connection.request("GET", target, headers=_HEADERS)
        with contextlib.closing(connection.getresponse()) as response:
            answer = _answer(response, url)
        if time.monotonic() >= deadline:  # what was cut off looks like an end
            raise TimeoutError
        return answer
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise ImageError(
                "{host} took longer than {limit:.0f} s: upload the photo instead", host=host, limit=MAX_SECONDS
            ) from None
        raise ImageError(
            "{host} does not answer as expected ({error}): upload the photo instead",
            host=host,
            error=type(error).__name__,
        ) from None
    finally:
        watchdog.cancel()
        sock.close()


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _answer(response: http.client.HTTPResponse, url: str) -> tuple[bytes | None, str]:
    if response.status in _REDIRECTS and (location := response.getheader("Location")):
        return None, urljoin(url, location)
    if response.status != 200:
        raise ImageError(
            "expected a photo at {url!r}, got status {status}: check the address",
            **{"url": url, "status": response.status},
        )
    content = bytearray()
    while chunk := response.read1(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ImageError(
                "expected a photo of at most {limit} MB, got more: give a smaller one", limit=MAX_BYTES // 2**20
            )
    if response.length:  # the connection was cut
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content), ""


def _parsed(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether by TLS, and what to ask for."""
    try:
        if not isinstance(url, str):
            raise ValueError
        url.encode()  # raises where half of a character stands alone
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if ":" not in (parts.hostname or "") else parts.hostname
    except ValueError:
        parts, port, host = urlsplit(""), None, ""
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ImageError("expected the address of a photo, http://... or https://..., got {url!r}", url=url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Only what may stand in a request line, so that nothing can be slipped into the request.
    target = "".join(c if "!" <= c <= "~" else "".join(f"%{byte:02X}" for byte in c.encode()) for c in target)
    return str(host), port or (443 if parts.scheme == "https" else 80), parts.scheme == "https", target


def _public_address(host: str, port: int, deadline: float) -> str:
    """An address of the host, if all of them are public."""
    addresses = _looked_up(host, port, deadline)
    if not addresses or not all(map(is_public, addresses)):
        raise ImageError("expected a public host, got {host!r}, which is private: upload the photo instead", host=host)
    return addresses[0]


def _looked_up(host: str, port: int, deadline: float) -> list[str]:
    """The addresses of a host. The system's look-up has no limit on time; where it takes longer nobody waits for it."""
    found: list[str] = []

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0))
    if not found:
        raise ImageError("host {host!r} is not known: check the address", host=host)
    return found


def is_public(address: str) -> bool:
    """Whether an IP address belongs to a host on the public internet, also when an IPv6 one holds it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        return ip in _IPV6_HOSTS and ip.is_global and not any(ip in block for block in _IPV6_OTHERS)
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in _IPV4_OTHERS)
