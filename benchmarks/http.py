"""A client of HTTP that costs little, says who it is, and can break off: benchmarks run beside the server they measure.

It speaks as much HTTP/1.1 as the app does.
"""

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

API = "/gradio_api"
MOST = 64 * 2**20  # bytes of an answer


class HttpError(Exception):
    """The server did not answer as one does."""


@dataclass(frozen=True)
class Answer:
    """An answer: its status, headers in lower case, and all of its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Client:
    """One client, with one connection at a time.

    Args:
        port: of the app, on this machine.
        name: address that the client says to come from, as a proxy would.
        seconds: how long an answer may take.
        accepts: kinds of answers.
    """

    port: int
    name: str = "127.0.0.1"
    seconds: float = 120.0
    accepts: str = "*/*"
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, repr=False)

    async def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
        """Asks, and reads all of the answer; on the same connection where that is open.

        Raises:
            HttpError: there is no whole answer in time.
        """
        for attempt in (0, 1):
            is_new = self._streams is None
            try:
                async with asyncio.timeout(self.seconds):
                    reader, writer = await self.open()
                    writer.write(self.head(method, path, len(body), kind) + body)
                    return await self._answer(reader)
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                await self.close()
                if is_new or attempt or isinstance(error, TimeoutError):  # else the server had closed it meanwhile
                    raise HttpError(f"{method} {path[:60]}: {type(error).__name__} {error}") from error
        raise AssertionError

    def head(self, method: str, path: str, length: int, kind: str = "application/json") -> bytes:
        """The head of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"X-Forwarded-For: {self.name}"]
        lines += [f"Accept: {self.accepts}"]
        lines += [f"Content-Type: {kind}", f"Content-Length: {length}", "", ""]
        return "\r\n".join(lines).encode()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        return self._streams

    async def close(self) -> None:
        """Ends the connection."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        status = int((await reader.readuntil(b"\r\n")).split()[1])
        headers = {}
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while length := int(await reader.readuntil(b"\r\n"), 16):
                parts.append(await reader.readexactly(length))
                await reader.readexactly(2)
            await reader.readexactly(2)
            body = b"".join(parts)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            await self.close()
        return Answer(status, headers, body)

    async def call(self, name: str, **values: object) -> "Result":
        """Calls an endpoint by the names of its parameters."""
        return await self.call_raw(f"v2/{name}", json.dumps(values).encode())

    async def call_raw(self, name: str, body: bytes) -> "Result":
        """Calls an endpoint with any body."""
        posted = await self.request("POST", f"{API}/call/{name}", body)
        if posted.status != 200:
            return Result(False, _line(posted.body), posted.status)
        text = (await self.request("GET", f"{API}/call/{name}/{posted.json()['event_id']}")).body.decode()
        kind, _, data = text.strip().rpartition("\n")
        answer = json.loads(data.removeprefix("data: "))
        if kind.endswith("event: complete"):
            return Result(True, answer[0])
        return Result(False, answer["error"] if isinstance(answer, dict) else str(answer))

    async def page_event(self, fn: int, data: list[Any], session: str = "", event: object = None) -> "Result":
        """What the page does: joins, and reads the stream of its session."""
        session = session or uuid.uuid4().hex
        body = {"data": data, "fn_index": fn, "session_hash": session, "event_data": event}
        posted = await self.request("POST", f"{API}/queue/join", json.dumps(body).encode())
        if posted.status != 200:
            return Result(False, _line(posted.body), posted.status)
        stream = await self.request("GET", f"{API}/queue/data?session_hash={session}")
        for line in stream.body.decode().split("\n\n"):
            message = json.loads(line.removeprefix("data: ") or "{}")
            if message.get("msg") == "process_completed":
                output = message["output"]
                return Result(True, output["data"]) if message["success"] else Result(False, output["error"])
        return Result(False, None)

    async def upload(self, content: bytes, name: str = "photo.jpg") -> str | None:
        """Uploads a file -> its path on the server; None where it is refused."""
        boundary = "boundary-of-a-benchmark"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        answer = await self.request("POST", f"{API}/upload", body, f"multipart/form-data; boundary={boundary}")
        return answer.json()[0] if answer.status == 200 else None


@dataclass(frozen=True)
class Result:
    """What came of a call: the answer, or why there is none."""

    is_answered: bool
    value: Any
    status: int = 200


def _line(body: bytes) -> str:
    """The line of a refusal."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")
