"""Whoever has less goes first, and nobody waits for nothing."""

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest

from cbir.ui.clients import Caller, client_of
from cbir.ui.turns import AbandonedError, AsyncTurns, Line, Turn, Turns, computing, resting


def served(line, clients, n):
    """Lets everybody in, then ends turns of a second one after another -> who went."""
    running = [c for i, c in enumerate(clients) if line.enter(c, (c, i))]
    order = list(running)
    while running and len(order) < n:
        for client, _ in line.leave(running.pop(0), 1.0):
            order.append(client)
            running.append(client)
    return order


def test_clients_alternate_however_many_calls_one_of_them_makes():
    order = served(Line(1), ["a"] * 20 + ["b", "c", "b", "c"], 9)
    assert order == ["a", "b", "c", "a", "b", "c", "a", "a", "a"]


def test_one_client_alone_gets_everything_and_no_more_than_its_share_beside_others():
    line = Line(4)
    assert [line.enter("a", i) for i in range(5)] == [True] * 4 + [False]
    assert not line.enter("b", 5)
    assert line.leave("a", 1.0) == [5]  # b, which has none, before the fifth of a


def test_turns_of_one_client_can_be_bounded():
    line = Line(4, per_client=1)
    assert [line.enter(c, c + str(i)) for i, c in enumerate("aabb")] == [True, False, True, False]
    assert line.leave("a", 1.0) == ["a1"]


def test_whoever_has_had_much_time_waits_for_those_who_have_had_little():
    line = Line(1)
    assert line.enter("quick", 0)
    for i, client in enumerate(["slow", "quick", "slow", "quick", "quick"], start=1):
        assert not line.enter(client, (client, i))
    assert line.leave("quick", 0.01) == [("slow", 1)]
    order = [line.leave("slow", 5.0)[0]]
    for _ in range(3):
        order += line.leave(order[-1][0], 0.01)
    assert [client for client, _ in order] == ["quick", "quick", "quick", "slow"]


def test_a_thread_that_nobody_waits_for_goes_away(monkeypatch):
    monkeypatch.setattr("cbir.ui.turns.LOOKS_EVERY", 0.01)
    turns, gone = Turns(1), threading.Event()
    outcome = []

    def wait():
        try:
            with Turn(turns, Caller("b", gone.is_set)):
                outcome.append("turn")
        except AbandonedError:
            outcome.append("abandoned")

    with Turn(turns, Caller("a")):
        thread = threading.Thread(target=wait)
        thread.start()
        gone.set()
        thread.join()
    assert outcome == ["abandoned"]
    with Turn(turns, Caller("c")):  # the place in the line is free again
        pass


def test_whoever_waits_for_something_else_gives_the_turn_back(monkeypatch):
    turns, order = Turns(1), []
    caller = ContextVar("caller")
    caller.set(Caller("a"))
    monkeypatch.setattr("cbir.ui.turns.CALLER", caller)

    def other():
        with Turn(turns, Caller("b")):
            order.append("b")

    with computing(turns):
        order.append("a")
        with resting():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(timeout=5)
        order.append("a again")
    assert order == ["a", "b", "a again"]
    with resting():  # without a turn there is nothing to give back
        pass


def test_turns_of_coroutines_are_fair_and_survive_cancelling():
    async def run():
        turns, order = AsyncTurns(1), []

        async def go(client, seconds=0.0):
            async with turns.take(client):
                order.append(client)
                await asyncio.sleep(seconds)

        first = asyncio.create_task(go("a", 0.05))
        await asyncio.sleep(0)
        others = [asyncio.create_task(go(client)) for client in "aaab"]
        await asyncio.sleep(0)
        assert turns.n_waiting("a") == 3
        others[0].cancel()
        await asyncio.gather(first, *others, return_exceptions=True)
        return order

    assert asyncio.run(run()) == ["a", "b", "a", "a"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("93.184.216.34", "8.8.8.8", "93.184.216.34"),  # whoever is public cannot say to be somebody else
        ("10.1.2.3", "8.8.8.8, 10.9.9.9", "8.8.8.8"),  # behind proxies
        ("127.0.0.1", "1.1.1.1, 8.8.8.8", "8.8.8.8"),  # the nearest: the first may be invented
        ("127.0.0.1", "192.168.1.7", "192.168.1.7"),
        ("127.0.0.1", "nonsense, \xff", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("2606:2800:220:1::1", "", "2606:2800:220:1::/64"),
        ("::ffff:93.184.216.34", "", "93.184.216.34"),
        ("", "", "None"),
    ],
)
def test_clients_are_told_apart(peer, forwarded, client):
    headers = [(b"x-forwarded-for", forwarded.encode("latin-1"))] if forwarded else []
    assert client_of({"client": (peer, 1) if peer else None, "headers": headers}) == client


def test_a_turn_takes_no_longer_than_its_holder(monkeypatch):
    turns = Turns(1)
    with pytest.raises(RuntimeError), Turn(turns, Caller("a")):
        raise RuntimeError
    start = time.monotonic()
    with Turn(turns, Caller("b")):
        assert time.monotonic() - start < 1
