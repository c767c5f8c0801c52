"""What passes the gate, and what does not."""

import asyncio
import base64
import logging
import socket
import time
import warnings
from urllib.parse import quote, urlsplit

import pytest

from cbir.ui import limits
from cbir.ui.gate import Gate
from cbir.ui.layout import open_many_files
from cbir.ui.uploads import Uploads
from tests.cbir.ui.test_calls import called
from tests.conftest import png, toy_photo

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import httpx

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "gradio_api/deep_link?session_hash=x"),
        ("POST", "gradio_api/component_server"),
        ("POST", "gradio_api/process_recording"),
        ("POST", "gradio_api/run/random"),
        ("POST", "gradio_api/api/random/"),
        ("POST", "gradio_api/vibe-edit/"),
        ("GET", "gradio_api/vibe-code"),
        ("GET", "gradio_api/proxy=http://example.org/"),
        ("GET", "gradio_api/stream/a/b/1/playlist.m3u8"),
        ("GET", "gradio_api/token"),
        ("GET", "gradio_api/dev/reload"),
        ("GET", "gradio_api/runs"),
        ("POST", "gradio_api/reset"),
        ("GET", "gradio_api/"),
        ("GET", "monitoring"),
        ("GET", "monitoring/x"),
        ("POST", "login"),
    ],
)
def test_what_the_app_does_not_use_of_gradio_is_shut(url, method, path):
    answer = httpx.request(method, url + path)
    assert (answer.status_code, answer.text) == (404, "there is nothing here")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/x", "https://example.org/a.jpg", "HTTP://x", " http://x", "file:///x"]
)
def test_no_file_is_fetched_from_elsewhere(url, address):
    for spelled in (address, quote(address, safe=""), quote(address)):
        answer = httpx.get(f"{url}gradio_api/file={spelled}")
        assert (answer.status_code, answer.text) == (403, "expected a file of this app")


def test_the_page_may_be_framed_by_the_hub_and_runs_nothing_from_elsewhere(url):
    answer = httpx.get(url)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == "'self' https://huggingface.co https://*.huggingface.co https://*.hf.space"
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert "x-frame-options" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_an_upload_is_served_so_that_no_browser_runs_it(url):
    page = b"<html><script>alert(1)</script></html>"
    path = httpx.post(url + "gradio_api/upload", files={"files": ("x.html", page)}).json()[0]
    answer = httpx.get(f"{url}gradio_api/file={path}", headers={"Range": "bytes=0-" + "9" * 5000, "X-Secret": "1"})
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "x-secret" not in answer.headers


@pytest.mark.parametrize("about", ['name="files"', 'name="files"; filename=""', 'name="x"', "x"])
def test_an_odd_form_gives_one_line(url, about, caplog):
    body = f"--x\r\nContent-Disposition: form-data; {about}\r\n\r\na\r\n--x--\r\n".encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(url + "gradio_api/upload", content=body, headers=headers)
    assert answer.status_code in (200, 400)
    headers = {"content-type": "multipart/form-data; boundary=" + "x" * 500}
    assert httpx.post(url + "gradio_api/upload", content=body, headers=headers).status_code == 400
    assert "\n" not in answer.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("gradio_api/call/random", "MAX_BODY_WITH_PHOTO"),
        ("gradio_api/cancel", "MAX_BODY"),
        ("gradio_api/upload", "MAX_UPLOADS"),
    ],
)
def test_bodies_are_bounded_declared_or_not(url, monkeypatch, path, limit):
    monkeypatch.setattr(limits, "MAX_BODY", 1000)
    monkeypatch.setattr(limits, limit, 2000)
    content = b"x" * 100_000
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert httpx.post(url + path, content=content, headers=headers).status_code == 413
    assert httpx.post(url + path, content=iter([content] * 3), headers=headers).status_code == 413


def test_agents_streams_are_asked_for_with_get(url):
    assert httpx.post(url + "gradio_api/mcp/sse", json={}).status_code == 405


def test_an_address_of_thousands_of_characters_is_refused(url):
    assert httpx.get(url + "?" + "x" * 9000).status_code == 414


@pytest.mark.parametrize("value", ["[", "a b", "]:x", "a:99999999", '"><b>', "a, b c", "http://a/"])
def test_hosts_that_are_none_are_refused_wherever_addresses_are_made_of_them(url, value, caplog):
    for path in ("", "config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/mcp/schema"):
        answer = httpx.get(url + path, headers={"x-forwarded-host": value})
        assert (answer.status_code, answer.text[:16]) == (400, "expected a host,")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_hosts_of_proxies_are_believed_and_those_of_gradios_servers_are_not(url):
    for value, root in (("shop.example:8443", "http://shop.example:8443"), ("[2a00::1]", "http://[2a00::1]")):
        headers = {"x-forwarded-host": f"{value}, inner.example", "x-gradio-server": "http://evil.example"}
        assert httpx.get(url + "config", headers=headers).json()["root"] == root
    headers = {"x-gradio-server": "http://[evil.example"}
    assert httpx.get(url + "config", headers=headers).json()["root"] == url.rstrip("/")


@pytest.mark.parametrize("path", ["%0a%00%7f", "x%0a", "thumbnails/%00", "gradio_api/call/%0d%0a"])
def test_paths_that_break_lines_are_nothing(url, path):
    assert httpx.get(url + path).status_code == 404


@pytest.mark.parametrize("body", ["[" * 2000 + "]" * 2000, "{" + '"a":{' * 101, "[]" * 10_001, "[" * 100_000])
def test_agents_send_no_json_of_thousands_of_levels(url, body, caplog):
    answer = httpx.post(url + "gradio_api/mcp/", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.text[:28]) == (400, "expected JSON of at most 100")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_body_that_does_not_come_is_not_waited_for(url, monkeypatch):
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.2)
    host = urlsplit(url)
    for path, begun in (("call/random", "{"), ("upload", "--x\r\n")):
        with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
            head = f"POST /gradio_api/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            connection.sendall((head + "Content-Type: multipart/form-data; boundary=x\r\n\r\n" + begun).encode())
            assert b" 408 " in connection.recv(1000).split(b"\r\n")[0]


def test_a_photo_as_text_in_a_call_passes(url):

    uri = "data:image/png;base64," + base64.b64encode(png(toy_photo("red", "shirt", 1)) + bytes(400_000)).decode()
    kind, (answer,) = called(url, "v2/search", {"image": uri, "k": 2})
    assert (kind, len(answer["matches"])) == ("complete", 2)


class Slow:
    """An app that answers when it is told to."""

    def __init__(self):
        self.go = asyncio.Event()
        self.served = []

    async def __call__(self, scope, receive, send):
        await receive()
        await self.go.wait()
        self.served.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def asked(gate, client, path="/x", method="GET"):
    """A request -> the status of its answer."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "client": (client, 1)}
    status = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        status.extend([message["status"]] if "status" in message else [])

    async def run():
        await gate(scope, receive, send)
        return status[0]

    return asyncio.create_task(run())


def test_requests_wait_in_turns_and_too_many_of_one_client_are_refused_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "REQUESTS_AT_ONCE", 1)
    monkeypatch.setattr(limits, "WAITING_PER_CLIENT", 5)
    monkeypatch.setattr(limits, "REFUSED_AFTER", 0.1)

    async def run():
        app = Slow()
        gate = Gate(app, Uploads(tmp_path))
        greedy = [asked(gate, "8.8.8.8") for _ in range(8)]
        await asyncio.sleep(0)
        modest = asked(gate, "1.1.1.1")
        start = time.monotonic()
        refused = [await request for request in greedy[6:]]
        assert time.monotonic() - start > 0.05
        app.go.set()
        return refused, [await request for request in (*greedy[:6], modest)], app.served

    refused, answered, served = asyncio.run(run())
    assert refused == [429, 429]
    assert answered == [200] * 7
    assert served.index("1.1.1.1") == 1


def test_agents_take_no_turns_of_the_calls_that_they_make(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "REQUESTS_AT_ONCE", 1)

    async def run():
        app = Slow()
        gate = Gate(app, Uploads(tmp_path))
        agents = [asked(gate, "8.8.8.8", "/gradio_api/mcp/", method) for method in ("POST", "POST", "GET")]
        await asyncio.sleep(0.01)
        app.go.set()
        inner = asked(gate, "127.0.0.1", "/gradio_api/queue/join", "POST")
        return [await request for request in (inner, *agents)]

    assert asyncio.run(asyncio.wait_for(run(), 5)) == [200] * 4


def test_streams_of_one_client_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "STREAMS_PER_CLIENT", 2)
    monkeypatch.setattr(limits, "REFUSED_AFTER", 0.0)

    async def run():
        app = Slow()
        gate = Gate(app, Uploads(tmp_path))
        open_ = [asked(gate, "8.8.8.8", "/gradio_api/queue/data") for _ in range(3)]
        other = asked(gate, "1.1.1.1", "/gradio_api/queue/data")
        await asyncio.sleep(0)
        assert await open_[2] == 429
        app.go.set()
        return [await request for request in (*open_[:2], other)]

    assert asyncio.run(run()) == [200, 200, 200]


def test_gradio_forgets_whose_progress_was_asked_for(url, monkeypatch):
    from gradio.routes import file_upload_statuses

    monkeypatch.setattr(limits, "UPLOADS_TRACKED", 3)
    for n in range(10):
        files = {"files": ("a.png", b"x")}
        httpx.post(f"{url}gradio_api/upload?upload_id=id{n}", files=files).raise_for_status()
    ours = [name for name in file_upload_statuses._statuses if name.startswith("id")]
    assert ours == ["id7", "id8", "id9"]
    assert httpx.post(f"{url}gradio_api/upload?upload_id={'x' * 200}", files=files).status_code == 400


def test_there_may_be_as_many_connections_as_streams():
    resource = pytest.importorskip("resource")
    open_many_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft >= min(hard, limits.FILES) or soft == resource.RLIM_INFINITY
    assert limits.FILES > 2 * limits.STREAMS
