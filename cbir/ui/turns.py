"""Taking turns: where there is not enough for everybody, whoever has less of it at the moment goes first.

Among clients that have as many turns at the moment, the one that has had less time goes first (fair queueing by start
time: P. Goyal, H. Vin, H. Cheng, IEEE/ACM Transactions on Networking 5(5), 1997). Nobody waits while there is a free
turn, so one client alone gets everything.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Generic, TypeVar

from cbir.ui.clients import CALLER, Caller

W = TypeVar("W")

REMEMBERED = 10_000  # clients
LOOKS_EVERY = 0.5  # seconds between two looks at whether somebody still waits for an answer


class Line(Generic[W]):
    """Who waits, and who is next. Not safe to share between threads: see `Turns`.

    Args:
        slots: turns at the same time.
        per_client: turns of one client at the same time.
    """

    def __init__(self, slots: int, per_client: int | None = None) -> None:
        self.slots, self.per_client = slots, per_client or slots
        self._waiting: dict[str, deque[W]] = {}
        self._running: Counter[str] = Counter()
        self._used: dict[str, float] = {}  # seconds that a client has had
        self._floor = 0.0  # what the client that went last had had: newcomers begin there

    def enter(self, client: str, waiter: W) -> bool:
        """Whether the client may go at once; else it waits."""
        if self._running.total() < self.slots and self._running[client] < self.per_client:
            self._running[client] += 1
            return True
        self._waiting.setdefault(client, deque()).append(waiter)
        return False

    def leave(self, client: str, seconds: float) -> list[W]:
        """Ends a turn -> who goes now."""
        self._used[client] = self._used_by(client) + seconds
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
        return self._next()

    def give_up(self, client: str, waiter: W) -> bool:
        """Takes somebody out of the line; False where it is their turn already."""
        if waiter not in self._waiting.get(client, ()):
            return False
        self._waiting[client].remove(waiter)
        if not self._waiting[client]:
            del self._waiting[client]
        return True

    def n_waiting(self, client: str) -> int:
        """How many of a client wait."""
        return len(self._waiting.get(client, ()))

    def _next(self) -> list[W]:
        going = []
        while self._running.total() < self.slots:
            able = [client for client in self._waiting if self._running[client] < self.per_client]
            if not able:
                break
            client = min(able, key=lambda one: (self._running[one], self._used_by(one)))
            self._floor = max(self._floor, self._used_by(client))
            going.append(self._waiting[client].popleft())
            if not self._waiting[client]:
                del self._waiting[client]
            self._running[client] += 1
        if not self._running:  # all quiet: everybody begins anew
            self._used.clear()
            self._floor = 0.0
        elif len(self._used) > REMEMBERED:  # those at the floor need not be
            self._used = {client: used for client, used in self._used.items() if used > self._floor}
        return going

    def _used_by(self, client: str) -> float:
        return max(self._used.get(client, 0.0), self._floor)


class AbandonedError(Exception):
    """Nobody waits for the answer any more."""


class Turns:
    """Turns of threads; arguments as for `Line`."""

    def __init__(self, slots: int, per_client: int | None = None) -> None:
        self._line: Line[threading.Event] = Line(slots, per_client)
        self._lock = threading.Lock()

    def enter(self, caller: Caller) -> None:
        """Waits for a turn.

        Raises:
            AbandonedError: nobody waits for the answer any more.
        """
        if caller.is_gone():
            raise AbandonedError
        waiter = threading.Event()
        with self._lock:
            if self._line.enter(caller.client, waiter):
                return
        while not waiter.wait(LOOKS_EVERY):
            if caller.is_gone():
                with self._lock:
                    if self._line.give_up(caller.client, waiter):
                        raise AbandonedError

    def leave(self, caller: Caller, seconds: float) -> None:
        """Ends a turn that took so long."""
        with self._lock:
            going = self._line.leave(caller.client, seconds)
        for waiter in going:
            waiter.set()


class Turn(contextlib.AbstractContextManager):
    """A turn of a thread, waited for."""

    def __init__(self, turns: Turns, caller: Caller) -> None:
        self._turns, self._caller = turns, caller
        self._since: float | None = None

    def __enter__(self) -> "Turn":
        self._turns.enter(self._caller)
        self._since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._since is not None:
            self._turns.leave(self._caller, time.monotonic() - self._since)
            self._since = None


_OWN: ContextVar[Turn | None] = ContextVar("_OWN", default=None)


@contextlib.contextmanager
def computing(turns: Turns) -> Iterator[None]:
    """Has a turn at computing, on behalf of `CALLER`; `resting` gives it back for a while."""
    with Turn(turns, CALLER.get()) as turn:
        token = _OWN.set(turn)
        try:
            yield
        finally:
            _OWN.reset(token)


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Gives this thread's turn at computing back while it waits for something else; then waits for another one."""
    turn = _OWN.get()
    if turn is None:
        yield
        return
    turn.__exit__()
    yield
    turn.__enter__()


class AsyncTurns:
    """Turns of coroutines of one event loop; arguments as for `Line`."""

    def __init__(self, slots: int, per_client: int | None = None) -> None:
        self._line: Line[asyncio.Future[None]] = Line(slots, per_client)

    def n_waiting(self, client: str) -> int:
        """How many of a client wait."""
        return self._line.n_waiting(client)

    @contextlib.asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Waits for a turn, and has it."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._line.enter(client, waiter):
            try:
                await waiter
            except asyncio.CancelledError:
                if not self._line.give_up(client, waiter):
                    self._leave(client, 0.0)
                raise
        start = time.monotonic()
        try:
            yield
        finally:
            self._leave(client, time.monotonic() - start)

    def _leave(self, client: str, seconds: float) -> None:
        for waiter in self._line.leave(client, seconds):
            if not waiter.done():
                waiter.set_result(None)
