"""The gate: every request passes it before anything of Gradio sees it.

It shuts what this app does not use, bounds what a request may bring and how long that may take, lets clients in by
turns (`cbir.ui.turns`), and gives answers the headers that browsers should have.
"""

import asyncio
import contextlib
import re
from collections import Counter, OrderedDict
from urllib.parse import parse_qs, unquote

import orjson
from anyio.to_thread import run_sync
from gradio.routes import file_upload_statuses
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cbir.ui import limits
from cbir.ui.clients import client_of
from cbir.ui.turns import AsyncTurns
from cbir.ui.uploads import Uploads

API = "/gradio_api"
# What the page, gradio_client and agents use of Gradio below `API`; everything else there is shut. (Shut: pictures from
# addresses, recordings, functions of components, deep links, and everything for developers.)
OPEN = re.compile(
    r"/(app_id|call/.+|cancel|file=.+|heartbeat/[^/]+|info|mcp(/.*)?|openapi\.json|queue/(data|join|status)"
    r"|startup-events|theme\.css|upload|upload_progress|user)"
)
SHUT_ELSEWHERE = re.compile(r"/(login|logout|monitoring)(/.*)?")
STREAMS = re.compile(r"/(call/[^/]+/.+|heartbeat/.+|queue/data|upload_progress)")  # where GET asks for one
AGENTS = re.compile(r"/mcp(/.*)?")  # whose answers come when the calls are done that they make in turn
MAY_HOLD_A_PHOTO = re.compile(r"/(call/.+|queue/join|mcp(/.*)?)")
ODD = re.compile(r"[\x00-\x1f\x7f]")  # in a path
BRACKETS = re.compile(rb"[\[{]|[\]}]")
# What names the app's own address; Gradio builds addresses of it, and of nothing else that a request says.
HOST = re.compile(r"([\w.-]{1,255}|\[[0-9a-f:.]{2,45}\])?(:\d{1,5})?", re.ASCII | re.IGNORECASE)
NAMING_HOSTS = (b"host", b"x-forwarded-host")
SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)

# Who may show the app in a frame: the Hub, which shows Spaces so, and the app itself.
FRAMES = "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co https://*.hf.space"
# What the page may load: its own, and what it makes itself. Gradio runs scripts that it has as text.
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    f"worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; {FRAMES}"
)
# Files are what strangers uploaded: no browser runs anything in them.
FILE_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; sandbox; {FRAMES}"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=(), payment=(), usb=()"),
)


class RefusedError(Exception):
    """A request that does not pass, with a status and one line."""

    def __init__(self, status: int, line: str, delay: float = 0.0) -> None:
        super().__init__(line)
        self.status, self.line, self.delay = status, line, delay


class Gate:
    """The gate, as an ASGI middleware.

    Args:
        app: what stands behind it.
        uploads: where uploads go.
    """

    def __init__(self, app: ASGIApp, uploads: Uploads) -> None:
        self._app, self._uploads = app, uploads
        self._turns = AsyncTurns(limits.REQUESTS_AT_ONCE)
        self._body_turns = AsyncTurns(limits.LARGE_BODIES_AT_ONCE, 1)
        self._upload_turns = AsyncTurns(limits.UPLOADS_AT_ONCE, limits.UPLOADS_PER_CLIENT)
        self._streams: Counter[str] = Counter()
        self._tracked: OrderedDict[str, None] = OrderedDict()  # uploads of which the page asks how far they are

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, or says why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            send = _with_headers(send, scope["path"])
            try:
                await self._let_in(dict(scope), receive, send)
            except RefusedError as error:
                await asyncio.sleep(error.delay)
                await _refuse(send, error)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, path = client_of(scope), scope["path"]
        if len(path) + len(scope["query_string"]) > limits.MAX_URL:
            raise RefusedError(414, f"expected an address of at most {limits.MAX_URL:,} characters")
        if ODD.search(path):
            raise RefusedError(404, "there is nothing here")
        scope["headers"] = _checked_hosts(scope["headers"])
        may_hold_a_photo = is_agent = False
        if path.startswith(f"{API}/"):
            below = path.removeprefix(API) if path.startswith(f"{API}/mcp") else path.removeprefix(API).rstrip("/")
            scope["path"] = API + below
            if not OPEN.fullmatch(below):
                raise RefusedError(404, "there is nothing here")
            if below.startswith("/file="):
                _check_file(scope, below)
            if below == "/mcp/sse" and scope["method"] != "GET":  # Gradio answers it twice
                raise RefusedError(405, "expected GET")
            if below in ("/upload", "/upload_progress"):
                self._track(scope)
            if below == "/upload":
                return await self._upload(scope, receive, send, client)
            if STREAMS.fullmatch(below) and scope["method"] == "GET":
                return await self._stream(scope, receive, send, client)
            is_agent = AGENTS.fullmatch(below) is not None
            may_hold_a_photo = MAY_HOLD_A_PHOTO.fullmatch(below) is not None
        elif SHUT_ELSEWHERE.fullmatch(path):
            raise RefusedError(404, "there is nothing here")
        self._check_patience(self._turns, client)
        body = b""
        if scope["method"] not in ("GET", "HEAD"):
            body = await self._body(scope, receive, client, may_hold_a_photo)
        if is_agent:
            _check_depth(body)
            return await self._stream(scope, _replayed(body, receive), send, client)
        async with self._turns.take(client):
            await self._app(scope, _replayed(body, receive), send)
        return None

    async def _body(self, scope: Scope, receive: Receive, client: str, may_hold_a_photo: bool) -> bytes:
        """All of a body; a large one arrives with few others."""
        most = limits.MAX_BODY_WITH_PHOTO if may_hold_a_photo else limits.MAX_BODY
        arriving = _Arriving(scope, receive, most)
        body = await arriving.read(limits.MAX_BODY) if arriving.declared <= limits.MAX_BODY else b""
        if not arriving.is_done:
            self._check_patience(self._body_turns, client)
            async with self._body_turns.take(client):
                body += await arriving.read(most)
        return body

    async def _stream(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        if self._streams.total() >= limits.STREAMS or self._streams[client] >= limits.STREAMS_PER_CLIENT:
            raise RefusedError(429, "too many open streams: close some first", limits.REFUSED_AFTER)
        self._streams[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    async def _upload(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        answer = bytearray()

        async def watched(message: Message) -> None:
            answer.extend(message.get("body", b""))
            await send(message)

        self._check_patience(self._upload_turns, client)
        async with self._upload_turns.take(client):
            try:
                with contextlib.suppress(ClientDisconnect):
                    await self._app(scope, _Arriving(scope, receive, limits.MAX_UPLOADS), watched)
            except Exception as error:
                if _is_of_form(error):
                    raise RefusedError(400, "expected a form of files, each with a name") from None
                raise
            finally:
                await run_sync(self._uploads.add, client, _paths(bytes(answer)))

    def _track(self, scope: Scope) -> None:
        """Bounds the uploads whose progress Gradio knows: it never forgets one."""
        names = parse_qs(scope["query_string"].decode("latin-1")).get("upload_id", [])
        if any(len(name) > limits.MAX_ID for name in names):
            raise RefusedError(400, f"expected upload_id of at most {limits.MAX_ID} characters")
        for name in names:
            self._tracked[name] = None
            self._tracked.move_to_end(name)
        while len(self._tracked) > limits.UPLOADS_TRACKED:
            name, _ = self._tracked.popitem(last=False)
            file_upload_statuses.stop_tracking(name)
            file_upload_statuses._signals.pop(name, None)

    def _check_patience(self, turns: AsyncTurns, client: str) -> None:
        if turns.n_waiting(client) >= limits.WAITING_PER_CLIENT:
            raise RefusedError(429, "too many requests at once: wait for some answers first", limits.REFUSED_AFTER)


class _Arriving:
    """A body that arrives within the limits, or is refused. A `Receive` of ASGI."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        self.declared = int(declared) if declared.isdigit() and len(declared) < 16 else 2**63
        self.is_done = False
        self._receive, self._most, self._n = receive, most, 0
        self._deadline = asyncio.get_running_loop().time() + limits.BODY_SECONDS
        if self.declared > most:
            raise self._too_much()

    async def __call__(self) -> Message:
        """The next part."""
        if self.is_done:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(408, f"the request took longer than {limits.BODY_SECONDS:.0f} s") from None
        self._n += len(message.get("body", b""))
        if self._n > self._most:
            raise self._too_much()
        self.is_done = not message.get("more_body")  # also where the client has gone
        return message

    async def read(self, until: int) -> bytes:
        """All that comes, or a little more than `until` bytes."""
        parts = []
        while not self.is_done and self._n <= until:
            parts.append((await self()).get("body", b""))
        return b"".join(parts)

    def _too_much(self) -> RefusedError:
        return RefusedError(413, f"expected at most {self._most // 2**10:,} kB, got more")


def _checked_hosts(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers, if those that name hosts do; without the one by which Gradio's own servers name theirs."""
    for name, value in headers:
        if name in NAMING_HOSTS and not all(
            HOST.fullmatch(part.strip()) for part in value.decode("latin-1").split(",")
        ):
            raise RefusedError(400, f"expected a host, such as example.org:443, in the header {name.decode()}")
    return [(name, value) for name, value in headers if name != b"x-gradio-server"]


def _check_depth(body: bytes) -> None:
    """What reads the JSON of agents calls itself for each level, and most of its levels are those of lists in lists."""
    depth = 0
    if body.count(b"[") + body.count(b"{") <= limits.MAX_BRACKETS:
        for mark in BRACKETS.finditer(body):
            depth += 1 if mark[0] in b"[{" else -1
            if depth > limits.MAX_DEPTH:
                break
        else:
            return
    raise RefusedError(400, f"expected JSON of at most {limits.MAX_DEPTH} levels and {limits.MAX_BRACKETS:,} lists")


def _check_file(scope: Scope, below: str) -> None:
    """Gradio would fetch a file from anywhere, and answers ranges, which are for films, with the request's headers."""
    if SCHEME.match(unquote(below.removeprefix("/file="))):
        raise RefusedError(403, "expected a file of this app")
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]


def _is_of_form(error: Exception) -> bool:
    """Whether Gradio fails so at a form that is none: at a field that is no file, or at the form itself."""
    return "GradioUploadFile" in str(error) or type(error).__module__.partition(".")[0] == "python_multipart"


def _paths(answer: bytes) -> list[str]:
    """The paths that Gradio answers an upload with; none where it refuses."""
    try:
        paths = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already."""
    is_told = False

    async def replayed() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _with_headers(send: Send, path: str) -> Send:
    policy = FILE_POLICY if path.startswith(f"{API}/file=") else PAGE_POLICY
    added = [*HEADERS, (b"content-security-policy", policy.encode())]
    names = {name for name, _ in added}

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
            message["headers"] = others + added
        await send(message)

    return with_headers


async def _refuse(send: Send, error: RefusedError) -> None:
    body = error.line.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")] + ([(b"retry-after", b"1")] if error.status == 429 else [])
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
