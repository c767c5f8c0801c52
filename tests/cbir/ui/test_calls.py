"""Calls over HTTP: Gradio's protocol, without Gradio's queue."""

import json
import logging
import time
import warnings

import pytest

from cbir.ui import calls, limits
from cbir.ui.texts import Words
from tests.cbir.ui.test_handlers import asked, page_call

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import gradio as gr
    import httpx

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
SHIRT = "red_shirt/3.png"
BUG = Words()("bug")


def called(url, name, body, **headers):
    """POST and GET as with curl -> kind of the answer, and the answer."""
    posted = httpx.post(f"{url}gradio_api/call/{name}", json=body, headers=headers)
    if posted.status_code != 200:
        return posted.status_code, posted.json()["detail"]
    answer = httpx.get(f"{url}gradio_api/call/{name}/{posted.json()['event_id']}").text
    kind, data = answer.strip().split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_endpoints_are_called_by_position_or_by_name_and_the_last_values_may_be_left_out(url):
    kind, (answer,) = called(url, "search_by_id", {"data": [SHIRT]})
    assert (kind, answer["query_id"], len(answer["matches"])) == ("complete", SHIRT, 12)
    kind, (named,) = called(url, "v2/search_by_id", {"id": SHIRT, "k": 3})
    assert [match["id"] for match in named["matches"]] == [match["id"] for match in answer["matches"]][:3]


@pytest.mark.parametrize(
    ("name", "body", "status", "line"),
    [
        ("nothing", {"data": []}, 404, "there is no endpoint 'nothing'"),
        ("refresh", {"data": []}, 404, "there is no endpoint 'refresh'"),  # of the page alone
        ("random", {}, 400, "expected data as a list"),
        ("random", {"data": "x"}, 400, "expected data as a list"),
        ("random", {"data": [0], "session_hash": ["x"]}, 400, "expected session_hash as a short text"),
        ("random", {"data": [0], "session_hash": "x" * 999}, 400, "expected session_hash as a short text"),
        ("random", {"data": [0], "trigger_id": "x"}, 400, "trigger_id as a number"),
        ("random", [1], 400, "expected a JSON object"),
        ("v2/random", {"seeds": 1}, 400, "there is no parameter 'seeds'"),
        ("random", {"data": [0, 1, 2]}, "error", "expected 1 values, got 3"),
        ("random", {"data": [10**30]}, "error", "got 1e+30"),
        ("random", {"data": [None]}, "complete", ""),
    ],
)
def test_what_is_no_call_is_refused_in_one_line(url, name, body, status, line):
    kind, answer = called(url, name, body)
    assert kind == status
    assert line in str(answer)
    assert "\n" not in str(answer)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'"\\ud800"', b'{"data": [NaN]}', b"[" * 5000])
def test_what_is_no_json_is_refused(url, content):
    answer = httpx.post(url + "gradio_api/call/random", content=content)
    assert (answer.status_code, answer.json()) == (400, {"detail": "expected a JSON object"})


@pytest.mark.parametrize("number", [-1, 10**6, "0", None, True, [1]])
def test_a_function_that_the_page_does_not_have_is_refused(url, number):
    body = {"data": [], "fn_index": number, "session_hash": "x"}
    assert httpx.post(url + "gradio_api/queue/join", json=body).status_code in (400, 404)


def test_the_wrong_number_of_values_and_odd_events_give_one_line_on_the_page(url, caplog):
    assert page_call(url, "restore", []) == "expected 1 values, got 0"
    for event in (None, 1, "x", {}, {"index": "x"}, {"pick": 1}, {"pick": ["x"]}, {"pick": {"id": 1}}, {"pick": ""}):
        answer = page_call(url, "pick", asked(), event_data=event)
        assert answer.startswith("unknown id '': expected one of")  # as for any id that the gallery lacks
        assert len(answer) < 120
    answer = page_call(url, "pick", asked(), event_data={"pick": "x" * 3000})
    assert answer.startswith("expected pick as a text of at most")
    assert len(answer) < 200
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("event", ["refresh", "browse", "pick"])
def test_controls_that_hold_anything_else_give_one_line_on_the_page(served, event, caplog):
    fn = next(fn for fn in served._page.fns.values() if fn.api_name == event)
    special = [] if event == "refresh" else [gr.EventData(None, {"pick": SHIRT, "browse": "0:24"})]
    lines = []
    for control in fn.inputs:
        for value in ({}, {"a": 1}, ["x"], [["x"]], 1e308, "\0", True):
            values = {one: asked().get(one.elem_id) for one in fn.inputs} | {control: value}
            try:
                fn.fn(None, *special, values)
            except gr.Error as error:
                lines.append(error.message)
    assert max(map(len, lines)) < 400
    assert not [line for line in lines if "\n" in line or line == BUG]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_session_whose_stream_was_broken_off_gets_its_answer_on_the_next_stream(url):
    fn = next(d["id"] for d in httpx.get(url + "config").json()["dependencies"] if d["api_name"] == "methods")
    body = {"data": [], "fn_index": fn, "session_hash": "broken"}
    httpx.post(url + "gradio_api/queue/join", json=body).raise_for_status()
    with httpx.stream("GET", url + "gradio_api/queue/data", params={"session_hash": "broken"}):
        pass  # gone before the first line
    second = httpx.post(url + "gradio_api/queue/join", json=body).json()["event_id"]
    answers = [
        json.loads(line.removeprefix("data: "))
        for line in httpx.get(url + "gradio_api/queue/data", params={"session_hash": "broken"}).text.split("\n\n")
        if line
    ]
    done = [answer["event_id"] for answer in answers if answer["msg"] == "process_completed"]
    assert len(done) >= 1
    assert second in done
    assert answers[-1]["msg"] == "close_stream"


def test_the_stream_of_a_page_stays_open_so_that_no_call_falls_between_two(url, served, monkeypatch):
    """The page opens no stream while it takes the last one for open, and would never get the answer."""
    monkeypatch.setattr(calls, "PAGE_LINGERS", 2.0)
    monkeypatch.setattr(calls, "CLOSING", 0.5)
    fn = next(d["id"] for d in httpx.get(url + "config").json()["dependencies"] if d["api_name"] == "restore")

    def begin():
        body = {"data": ["?"], "fn_index": fn, "session_hash": "lingering"}
        posted = httpx.post(url + "gradio_api/queue/join", json=body, headers={"x-gradio-user": "app"})
        return posted.json()["event_id"]

    begun, answered = [begin()], []
    with httpx.stream("GET", url + "gradio_api/queue/data", params={"session_hash": "lingering"}) as stream:
        for line in filter(None, stream.iter_lines()):
            message = json.loads(line.removeprefix("data: "))
            if message["msg"] == "process_completed":
                answered.append(message["event_id"])
                if len(begun) < 3:
                    begun.append(begin())
    assert (answered, message["msg"]) == (begun, "close_stream")
    begin()
    assert time.monotonic() - served._sessions["lingering"].closed > 0.45  # the page has read that it is closed


def test_a_session_that_nobody_opened_is_told_so(url):
    answer = httpx.get(url + "gradio_api/queue/data", params={"session_hash": "unknown"}).text
    assert json.loads(answer.removeprefix("data: "))["session_not_found"] is True
    assert httpx.get(url + "gradio_api/call/random/unknown").text == "event: error\ndata: null\n\n"


def test_answers_that_nobody_fetches_are_dropped(url, served, monkeypatch):
    monkeypatch.setattr(calls, "UNASKED_KEPT", 0.0)
    begun = [httpx.post(url + "gradio_api/call/methods", json={"data": []}).json()["event_id"] for _ in range(3)]
    deadline = time.monotonic() + 20
    while set(begun) & set(served._calls):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not set(begun) & set(served._sessions)


def test_the_client_with_most_calls_loses_one_to_a_client_with_few(url, served, monkeypatch):
    monkeypatch.setattr(calls, "CALLS", len(served._calls) + 4)

    def begin(client):
        return httpx.post(url + "gradio_api/call/methods", json={"data": []}, headers={"x-forwarded-for": client})

    greedy = [begin("8.8.8.8") for _ in range(5)]
    assert [answer.status_code for answer in greedy] == [200] * 4 + [503]
    assert greedy[4].json() == {"detail": calls.BUSY}
    modest = begin("1.1.1.1")
    assert modest.status_code == 200
    lost = httpx.get(f"{url}gradio_api/call/methods/{greedy[3].json()['event_id']}").text
    assert lost == "event: error\ndata: null\n\n"
    for answer in (*greedy[:3], modest):
        text = httpx.get(f"{url}gradio_api/call/methods/{answer.json()['event_id']}").text
        assert text.startswith("event: complete")


def test_bodies_of_calls_that_wait_are_bounded_together(url, monkeypatch):
    monkeypatch.setattr(calls, "CALLS_HOLD", 100)
    answer = httpx.post(url + "gradio_api/call/facets", json={"data": [["x" * 100]]})
    assert (answer.status_code, answer.json()) == (503, {"detail": calls.BUSY})


def test_sessions_keep_nothing(url, served, monkeypatch):
    monkeypatch.setattr(calls, "LEFT_KEPT", 0.0)  # what a page that closed its stream may come back for
    before = set(served._calls)
    for _ in range(3):
        called(url, "random", {"data": [0]})
        page_call(url, "refresh", asked())
    deadline = time.monotonic() + 20
    while set(served._calls) - before or served._n_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served._n_open.total() == len(served._calls)
    assert not served._page.app.state_holder.session_data
    assert not [block for block in served._page.blocks.values() if isinstance(block, gr.State)]
    assert not served.event_analytics
    assert not served.pending_messages_per_session


def test_a_cancelled_call_ends(url):
    event = httpx.post(url + "gradio_api/call/methods", json={"data": []}).json()["event_id"]
    body = {"session_hash": event, "fn_index": 0, "event_id": event}
    assert httpx.post(url + "gradio_api/cancel", json=body).json() == {"success": True}
    assert httpx.get(f"{url}gradio_api/call/methods/{event}").text.startswith("event: complete")
    assert httpx.post(url + "gradio_api/cancel", json={"event_id": ["x"]}).json() == {"success": True}


def test_a_bug_outside_of_our_functions_is_logged_and_told_as_ours(url, served, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("secret")

    monkeypatch.setattr(served._page, "call_function", broken)
    with caplog.at_level(logging.ERROR):
        kind, answer = called(url, "random", {"data": [0]})
    assert kind == "error"
    assert "went wrong on our side" in answer["error"]
    assert "secret" not in str(answer)
    assert "secret" in caplog.text


def test_limits_are_whole_and_positive():
    for name, value in vars(limits).items():
        if name.isupper():
            assert value > 0, name
