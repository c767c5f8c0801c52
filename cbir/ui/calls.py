"""Calls: what page and programs ask for, from the request that asks to the stream that tells.

Gradio's own queue keeps one line for everybody, a session of some hundred kilobytes for each call, and forgets all
answers of a page that closes one stream as it opens the next. Here, each call starts at once, in a thread, and takes
turns with others (`cbir.ui.turns`); sessions hold the answers that nobody has fetched yet, and nothing else; what
nobody waits for any more is dropped. The protocol is Gradio's: `POST queue/join` and `GET queue/data` for the page and
`gradio_client`, `POST call/NAME` and `GET call/NAME/ID` for curl.
"""

import asyncio
import contextlib
import functools
import inspect
import json
import logging
import math
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import orjson
from gradio.block_function import BlockFunction
from gradio.queueing import Queue
from gradio.route_utils import get_root_url
from gradio.server_messages import (
    CloseStreamMessage,
    EventMessage,
    HeartbeatMessage,
    LogMessage,
    ProcessCompletedMessage,
    ProcessStartsMessage,
    ProgressMessage,
    ProgressUnit,
    UnexpectedErrorMessage,
)
from gradio.state_holder import SessionState
from gradio.utils import error_payload, run_coro_in_background
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from cbir.errors import CbirError
from cbir.ui.clients import CALLER, Caller, client_of
from cbir.ui.errors import bug
from cbir.ui.limits import CALLS, CALLS_HOLD, LEFT_KEPT, MAX_ID, PAGE_LINGERS, THREADS, UNASKED_KEPT
from cbir.ui.texts import Words
from cbir.ui.turns import AbandonedError, Turns, computing

HEARTBEAT_EVERY = 15.0  # seconds
LOOKS_EVERY = 1.0  # seconds between two looks at who has gone
PROGRESS_EVERY = 0.1  # seconds between two messages of a call about its progress
CLOSING = 1.0  # seconds until a page has read that its stream is closed
BUSY = "too many calls at once: wait for some of yours, then try again"

log = logging.getLogger(__name__)


class BriefSession(SessionState):
    """What Gradio remembers of a visitor, for one call: nothing stays that somebody sent or got.

    What a page holds is in its controls, so there must be no `gr.State`.
    """

    def __init__(self, page: gr.Blocks) -> None:
        self.blocks_config = page.default_config
        self.config_values, self.state_data, self._state_ttl = {}, {}, {}
        self.is_closed = False
        self._changed: dict[int, Any] = {}

    def __getitem__(self, key: int) -> Any:  # noqa: ANN401 - whatever Gradio keeps
        """A component, as this call has changed it."""
        return self._changed.get(key) or self.blocks_config.blocks[key]

    def __setitem__(self, key: int, value: object) -> None:
        self._changed[key] = value

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: object) -> None:
        pass


@dataclass(eq=False)
class Session:
    """Messages to one page or program that it has not got yet.

    Attributes:
        messages: in order.
        waiting: ids of its calls that it has no answer to yet.
        readers: streams that are open.
        lingers: it is a page's, whose stream stays open for a while after the last answer: the page takes a stream for
            open until it reads that it is closed, and would wait for ever for a call that it begins in between.
        closed: when a stream of it was closed, by `time.monotonic`.
        until: when to forget it if no stream is open then, by `time.monotonic`.
    """

    id: str
    messages: deque[EventMessage] = field(default_factory=deque)
    waiting: set[str] = field(default_factory=set)
    readers: int = 0
    lingers: bool = False
    closed: float = -math.inf
    until: float = 0.0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: EventMessage) -> None:
        """Adds a message."""
        self.messages.append(message)
        self.news.set()


@dataclass(eq=False)
class Call:
    """Something that was asked for and is not answered, or whose answer is not fetched.

    Attributes:
        is_gone: nobody waits for the answer any more.
    """

    id: str
    client: str
    session: Session
    fn: BlockFunction
    data: list[Any]
    request: gr.Request
    event_data: gr.EventData
    root_url: str
    size: int
    is_simple: bool
    is_gone: bool = False
    progress_sent: float = 0.0


class RefusedError(Exception):
    """A request that is not one, with a status and one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


class Calls(Queue):
    """Calls of a page; takes the place of Gradio's queue."""

    def __init__(self, page: gr.Blocks) -> None:
        """Gives each function of the page, and each endpoint, turns at computing."""
        super().__init__(True, 1, 1, None, page, None)
        self._page = page
        self._sessions: dict[str, Session] = {}
        self._calls: dict[str, Call] = {}
        self._n_open: Counter[str] = Counter()
        self._n_bytes = 0  # of what was sent with calls that are not answered
        self._tasks: set[asyncio.Task] = set()
        turns = Turns(THREADS)
        for fn in page.fns.values():
            if fn.fn is not None:
                fn.fn = _in_turn(fn.fn, turns)

    def routes(self) -> Sequence[BaseRoute]:
        """What stands before Gradio's own routes of the same paths."""
        api = "/gradio_api"
        posts = {"/queue/join": self._join, "/call/{name}": self._call, "/call/v2/{name}": self._call_by_names}
        posts["/cancel"] = self._cancel
        gets = {"/queue/data": self._data}
        gets |= {"/call/{name}/{id}": self._answer_of, "/call/v2/{name}/{id}": self._answer_of}
        return [
            *(Route(api + path, _told(answer), methods=["POST"]) for path, answer in posts.items()),
            *(Route(api + path, _told(answer), methods=["GET"]) for path, answer in gets.items()),
        ]

    # --- what Gradio calls ---

    def start(self) -> None:
        """Begins to look at who has gone."""
        self._loop = asyncio.get_running_loop()
        run_coro_in_background(self._drop_what_is_left)

    def log_message(
        self,
        event_id: str,
        log: str,
        title: str,
        level: Any,  # noqa: ANN401
        duration: float | None = 10,
        visible: bool = True,
    ) -> None:
        """Sends what `gr.Info` and `gr.Warning` say."""
        self._send(event_id, LogMessage(log=log, level=level, duration=duration, visible=visible, title=title))

    def set_progress(self, event_id: str, iterables: Iterable[Any] | None) -> None:
        """Sends what `gr.Progress` says."""
        call = self._calls.get(event_id)
        if iterables is None or call is None or time.monotonic() - call.progress_sent < PROGRESS_EVERY:
            return
        call.progress_sent = time.monotonic()
        names = ("index", "length", "unit", "progress", "desc")
        units = [ProgressUnit(**{name: getattr(each, name) for name in names}) for each in iterables]
        self._send(event_id, ProgressMessage(progress_data=units))

    def _send(self, event_id: str, message: EventMessage) -> None:
        """From any thread."""
        if call := self._calls.get(event_id):
            message.event_id = event_id
            self._loop.call_soon_threadsafe(call.session.put, message)

    # --- asking ---

    async def _join(self, request: Request) -> Response:
        body, size = await _body(request)
        number = body.get("fn_index")
        fn = self._page.fns.get(number) if type(number) is int else None
        if fn is None or fn.fn is None:
            raise RefusedError(404, "expected fn_index as the number of a function of the page")
        answer, session = self._begin(request, fn, body, body.get("data"), size)
        if request.headers.get("x-gradio-user") == "app":  # as the page says, and no program
            session.lingers = True
            await asyncio.sleep(session.closed + CLOSING - time.monotonic())  # it may not have read yet that it is
        return answer

    async def _call(self, request: Request) -> Response:
        (body, size), fn = await _body(request), self._endpoint(request)
        data = body.get("data")
        if isinstance(data, list):  # those at the end may be left out
            data += [parameter.default for parameter in _parameters(fn)[len(data) :]]
        return self._begin(request, fn, body, data, size, is_simple=True)[0]

    async def _call_by_names(self, request: Request) -> Response:
        (body, size), fn = await _body(request), self._endpoint(request)
        parameters = _parameters(fn)
        if unknown := set(body) - {parameter.name for parameter in parameters}:
            raise RefusedError(400, str(CbirError("there is no parameter {name!r}", name=min(unknown))))
        data = [body.get(parameter.name, parameter.default) for parameter in parameters]
        return self._begin(request, fn, {}, data, size, is_simple=True)[0]

    def _endpoint(self, request: Request) -> BlockFunction:
        name = request.path_params["name"]
        for fn in self._page.fns.values():
            if fn.api_name == name and fn.api_visibility == "public":
                return fn
        raise RefusedError(404, str(CbirError("there is no endpoint {name!r}", name=name)))

    def _begin(
        self,
        request: Request,
        fn: BlockFunction,
        body: Mapping[str, Any],
        data: object,
        size: int,
        is_simple: bool = False,
    ) -> tuple[Response, Session]:
        if not isinstance(data, list):
            raise RefusedError(400, "expected data as a list")
        id = uuid.uuid4().hex
        session_id = body.get("session_hash") or id
        trigger = body.get("trigger_id")
        if not isinstance(session_id, str) or len(session_id) > MAX_ID or not isinstance(trigger, int | None):
            raise RefusedError(400, "expected session_hash as a short text and trigger_id as a number")
        client = client_of(request.scope)
        self._make_room(client, size)
        try:
            root_url = get_root_url(request, request.url.path, self._page.app.root_path)
        except Exception:  # whatever parsing an address that a stranger made raises
            raise RefusedError(400, "expected the address of this app in the headers") from None
        session = self._sessions.setdefault(session_id, Session(session_id))
        call = Call(
            id,
            client,
            session,
            fn,
            data,
            gr.Request(request, session_hash=session_id),
            gr.EventData(self._page.blocks.get(trigger) if trigger else None, body.get("event_data")),
            root_url,
            size,
            is_simple,
        )
        self._n_bytes += size
        session.waiting.add(id)
        session.until = max(session.until, time.monotonic() + UNASKED_KEPT)
        self._calls[id] = call
        self._n_open[client] += 1
        task = asyncio.create_task(self._answer(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse({"event_id": id}), session

    def _make_room(self, client: str, size: int) -> None:
        """Where there are too many calls, the client that has most of them loses its last one.

        Raises:
            RefusedError: that is who asks, or what all of them hold is too much.
        """
        if self._n_bytes + size > CALLS_HOLD:
            raise RefusedError(503, BUSY)
        if len(self._calls) < CALLS:
            return
        heaviest, n = self._n_open.most_common(1)[0]
        if self._n_open[client] + 1 >= n:
            raise RefusedError(503, BUSY)
        call = next(call for call in reversed(self._calls.values()) if call.client == heaviest)
        self._complete(call, error_payload(gr.Error(BUSY), False), success=False)
        self._forget(call)

    # --- answering ---

    async def _answer(self, call: Call) -> None:
        CALLER.set(Caller(call.client, lambda: call.is_gone))
        call.session.put(ProcessStartsMessage(event_id=call.id))
        try:
            output = await self._page.process_api(
                block_fn=call.fn,
                inputs=call.data,
                state=BriefSession(self._page),
                request=call.request,
                session_hash=call.session.id,
                event_id=call.id,
                event_data=call.event_data,
                simple_format=call.is_simple,
                root_path=call.root_url,
            )
        except AbandonedError:
            self._forget(call)
        except Exception as error:
            if not isinstance(error, gr.Error):
                log.exception("bug in %s", call.fn.api_name)
                error = bug(Words.of(call.request))
            self._complete(call, error_payload(error, False), success=False)
        else:
            output.pop("iterator", None)
            self._complete(call, output, success=True)
        finally:
            call.data = []
            self._n_bytes -= call.size

    def _complete(self, call: Call, output: dict[str, Any], success: bool) -> None:
        if not call.is_gone:
            title = None if success else output.get("title", "Error")
            call.session.put(ProcessCompletedMessage(event_id=call.id, output=output, success=success, title=title))

    def _fetched(self, id: str, session: Session) -> None:
        session.waiting.discard(id)
        if call := self._calls.get(id):
            self._forget(call)

    def _forget(self, call: Call) -> None:
        """Whoever computes its answer sees that nobody waits for it."""
        call.is_gone = True
        if self._calls.pop(call.id, None):
            self._n_open[call.client] -= 1
            if not self._n_open[call.client]:
                del self._n_open[call.client]

    async def _drop_what_is_left(self) -> None:
        while not self.stopped:
            await asyncio.sleep(LOOKS_EVERY)
            now = time.monotonic()
            for session in list(self._sessions.values()):
                if not session.readers and session.until < now:
                    self._end(session)

    def _end(self, session: Session) -> None:
        for id in list(session.waiting):
            self._fetched(id, session)
        self._sessions.pop(session.id, None)

    # --- telling ---

    async def _data(self, request: Request) -> Response:
        session = self._sessions.get(request.query_params.get("session_hash", ""))
        if session is None:
            lost = UnexpectedErrorMessage(message="no call of this session is open", session_not_found=True)
            return _stream(_once(_line(lost)))

        async def lines() -> AsyncIterator[str]:
            async for message in self._messages(session):
                yield _line(message)
            session.closed = time.monotonic()
            yield _line(CloseStreamMessage())

        return _stream(lines())

    async def _answer_of(self, request: Request) -> Response:
        call = self._calls.get(request.path_params["id"])
        if call is None:
            return _stream(_once("event: error\ndata: null\n\n"))

        async def lines() -> AsyncIterator[str]:
            async for message in self._messages(call.session):
                if isinstance(message, HeartbeatMessage):
                    yield "event: heartbeat\ndata: null\n\n"
                elif isinstance(message, UnexpectedErrorMessage):
                    yield f"event: error\ndata: {json.dumps(message.message)}\n\n"
                elif isinstance(message, ProcessCompletedMessage):
                    kind = "complete" if message.success else "error"
                    data = message.output.get("data") if message.success else message.output
                    yield f"event: {kind}\ndata: {_json(data)}\n\n"

        return _stream(lines())

    async def _messages(self, session: Session) -> AsyncIterator[EventMessage]:
        """The messages of a session until it waits for no answer; one that did not arrive stays for the next stream."""
        session.readers += 1
        beat = answered = time.monotonic()
        message: EventMessage | None = None
        try:
            while True:
                if session.waiting or session.messages:
                    answered = time.monotonic()
                elif not session.lingers or time.monotonic() > answered + PAGE_LINGERS:
                    return
                if session.messages:
                    message = session.messages.popleft()
                    yield message
                    if isinstance(message, ProcessCompletedMessage):
                        self._fetched(message.event_id or "", session)
                    message = None
                    continue
                session.news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(session.news.wait(), LOOKS_EVERY)
                if self.stopped or self._page.server.should_exit:
                    yield UnexpectedErrorMessage(message="the app was stopped")
                    return
                if time.monotonic() - beat > HEARTBEAT_EVERY:
                    beat = time.monotonic()
                    yield HeartbeatMessage()
        finally:
            if message is not None:
                session.messages.appendleft(message)
            session.readers -= 1
            session.until = time.monotonic() + LEFT_KEPT
            if not (session.readers or session.waiting or session.messages or session.lingers):
                self._sessions.pop(session.id, None)

    async def _cancel(self, request: Request) -> Response:
        body, _ = await _body(request)
        call = self._calls.get(body.get("event_id") or "") if isinstance(body.get("event_id"), str) else None
        if call is not None and call.session.id == body.get("session_hash"):
            self._complete(call, {}, success=True)
            call.is_gone = True
        return JSONResponse({"success": True})


def _in_turn(fn: Callable[..., Any], turns: Turns) -> Callable[..., Any]:
    @functools.wraps(fn)
    def turned(*args: object, **kwargs: object) -> object:
        with computing(turns):
            return fn(*args, **kwargs)

    return turned


def _parameters(fn: BlockFunction) -> list[inspect.Parameter]:
    parameters = inspect.signature(fn.fn).parameters.values() if fn.fn else ()
    return [p if p.default is not p.empty else p.replace(default=None) for p in parameters]


def _told(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Tells what is wrong with a request in one line."""

    @functools.wraps(answer)
    async def told(request: Request) -> Response:
        try:
            return await answer(request)
        except RefusedError as error:
            return JSONResponse({"detail": error.line}, error.status)

    return told


async def _body(request: Request) -> tuple[dict[str, Any], int]:
    """The JSON of a request, and its size."""
    content = await request.body()
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError(400, "expected a JSON object")
    return body, len(content)


def _json(value: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _line(message: EventMessage) -> str:
    return f"data: {_json(message.model_dump())}\n\n"


async def _once(text: str) -> AsyncIterator[str]:
    yield text


def _stream(lines: AsyncIterator[str]) -> Response:
    return StreamingResponse(lines, media_type="text/event-stream")
