"""Photos are fetched from public hosts only, and within limits."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cbir.errors import ImageError
from cbir.ui import fetch
from cbir.ui.fetch import fetch_image, is_public
from cbir.ui.turns import Turns, computing

PHOTO = b"\x89PNG and so on" * 1000


class Host(BaseHTTPRequestHandler):
    """A host with a photo and with tricks."""

    def log_message(self, *_):
        """Keeps quiet."""

    def do_GET(self):
        """Answers by path."""
        name = self.path.partition("?")[0].strip("/")
        if name in ("photo", "p%20q"):
            self.send(PHOTO)
        elif name == "headers":
            self.send("\n".join(f"{k}: {v}" for k, v in self.headers.items()).encode())
        elif name.startswith("hop"):
            n = int(name.removeprefix("hop"))
            self.redirect(f"/hop{n - 1}" if n > 1 else "/photo")
        elif name == "inside":
            self.redirect("http://[::1]/photo")
        elif name == "file":
            self.redirect("file:///etc/passwd")
        elif name == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 100_000)
            except OSError:
                pass
        elif name == "drip":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nA: ")
            try:
                for _ in range(1000):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)
            except OSError:
                pass
        elif name == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(PHOTO) + 5))
            self.end_headers()
            self.wfile.write(PHOTO)
        elif name == "garbage":
            self.wfile.write(b"\x00\x01 nothing like HTTP\r\n\r\n")
        else:
            self.send_error(404)

    def send(self, content):
        """A whole answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def redirect(self, where):
        """To another address."""
        self.send_response(302)
        self.send_header("Location", where)
        self.end_headers()


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def lenient(monkeypatch):
    """Takes 127.0.0.1, and nothing else, for public."""
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1")


@pytest.mark.parametrize("path", ["/photo", "/photo?size=large", "/hop1", "/hop3", "/p q"])
def test_a_photo_is_fetched_through_a_few_redirects(host, lenient, path):
    assert fetch_image(host + path) == PHOTO


def test_a_request_says_who_asks_and_asks_for_what_is_not_compressed(host, lenient):
    headers = fetch_image(host + "/headers").decode()
    assert f"Host: {host.removeprefix('http://')}" in headers
    assert "Accept-Encoding: identity" in headers
    assert "User-Agent: apparel-cbir" in headers


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/hop4", "at most 3 redirects"),
        ("/inside", "public host, got '::1'"),
        ("/file", "expected the address of a photo"),
        ("/nothing", "status 404"),
        ("/cut", "not answer as expected"),
        ("/garbage", "not answer as expected"),
    ],
)
def test_what_is_no_photo_gives_one_clear_line(host, lenient, path, message):
    with pytest.raises(ImageError, match=message) as error:
        fetch_image(host + path)
    assert "\n" not in str(error.value)


def test_a_file_without_end_is_cut_off(host, lenient, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_BYTES", 2**20)
    with pytest.raises(ImageError, match="at most 1 MB"):
        fetch_image(host + "/endless")


def test_a_host_that_drips_is_cut_off(host, lenient, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(ImageError, match="took longer"):
        fetch_image(host + "/drip")
    assert time.monotonic() - start < 20


def test_a_look_up_that_takes_long_is_not_waited_for(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(fetch, "MAX_SECONDS", 0.2)
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *_, **__: (ended.wait(30), [])[1])
    start = time.monotonic()
    with pytest.raises(ImageError, match="not known"):
        fetch_image("http://example.org/photo.jpg")
    ended.set()
    assert time.monotonic() - start < 20


def test_whoever_waits_for_a_host_keeps_nobody_from_computing(monkeypatch):
    looks, ended, turns, order = threading.Event(), threading.Event(), Turns(1), []

    def look_up(*_, **__):
        looks.set()
        ended.wait(20)
        return []

    monkeypatch.setattr(fetch.socket, "getaddrinfo", look_up)

    def wait():
        with computing(turns):
            with contextlib.suppress(ImageError):
                fetch_image("http://example.org/photo.jpg")
            order.append("waited")

    slow = threading.Thread(target=wait)
    slow.start()
    assert looks.wait(20)
    with computing(turns):
        order.append("computed")
    ended.set()
    slow.join()
    assert order == ["computed", "waited"]


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", "2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"],
)
def test_loopback_in_any_spelling_is_refused(host, name):
    with pytest.raises(ImageError, match=r"public host|not known"):
        fetch_image(f"http://{name}:{host.rpartition(':')[2]}/photo")


def test_one_private_address_among_several_is_refused(monkeypatch):
    entries = [(2, 1, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(ImageError, match="public host"):
        fetch_image("http://example.org/photo.jpg")


def test_the_connection_goes_to_the_address_that_was_checked(host, lenient, monkeypatch):
    port = int(host.rpartition(":")[2])
    looked_up = []

    def look_up(host, port, *_, **__):
        looked_up.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(fetch.socket, "getaddrinfo", look_up)
    assert fetch_image(f"http://example.org:{port}/photo") == PHOTO
    assert looked_up == ["example.org", "127.0.0.1"]  # the second, by the connection, is of the address itself


@pytest.mark.parametrize(
    "url",
    [
        *("", "photo.jpg", "/etc/passwd", "file:///etc/passwd", "ftp://example.org/a", "http://", None),
        *("http://me:pw@example.org/a", "http://example.org:99999/", "http://[::1/", "data:image/png;base64,AAAA"),
        *(7, b"http://example.org/a", ["http://example.org/a"], "http://example.org/\ud800", "http://\udfff.org/a"),
    ],
)
def test_what_is_no_address_of_a_photo_is_refused(url):
    with pytest.raises(ImageError, match="expected the address of a photo"):
        fetch_image(url)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("93.184.216.34", True), ("2606:2800:220:1::1", True), ("::ffff:93.184.216.34", True)]
    + [
        (address, False)
        for address in (
            *("10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
            *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
            *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
            *("64:ff9b:1::a00:1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:20::1", "2001:db8::1", "3fff::1"),
            *("5f00::1", "fec0::1", "::127.0.0.1", "4000::1", "2001:1::1", "192.88.99.1", "192.0.0.9", "240.0.0.1"),
        )
    ],
)
def test_public_addresses_are_told_from_others(address, expected):
    assert is_public(address) is expected
