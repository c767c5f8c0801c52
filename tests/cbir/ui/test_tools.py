"""The endpoints as tools for agents, over the Model Context Protocol, with its own Python client."""

import asyncio
import base64
import json
import warnings

import httpx
import pytest

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client
    from mcp.types import TextContent

from cbir.labels import TASKS
from cbir.options import SearchOptions
from cbir.ui import tools as tools_module
from cbir.ui.clients import client_of
from cbir.version import API_VERSION
from tests.cbir.ui.test_api import ENDPOINTS
from tests.conftest import png, toy_photo

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
CONTENT = png(toy_photo("red", "shirt", 99))
ADDRESS = "https://example.org/photos/shirt.png"
ITEM = "red_shirt/3.png"


def with_session(url, use, **headers):
    """Runs a coroutine function with a session, and what the server said of itself."""

    async def run():
        async with (
            streamablehttp_client(url + "gradio_api/mcp/", headers) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            return await use(session, await session.initialize())

    return asyncio.run(run())


@pytest.fixture(scope="module")
def tools(url):
    async def listed(session, _):
        return (await session.list_tools()).tools

    return {tool.name: tool for tool in with_session(url, listed)}


def call(url, name, **arguments):
    """The answer of a tool; the client checks it against the tool's schema."""

    async def called(session, _):
        return await session.call_tool(name, arguments)

    return with_session(url, called)


def answer(url, name, **arguments):
    result = call(url, name, **arguments)
    assert not result.isError, result.content[0].text
    assert json.loads(result.content[0].text) == result.structuredContent
    return result.structuredContent


@pytest.fixture(params=["address", "data", "upload", "upload's address"])
def photo(request, url, monkeypatch):
    """A photo in each of the ways that agents have."""
    if request.param == "address":
        monkeypatch.setattr("cbir.ui.inputs.fetch_image", {ADDRESS: CONTENT}.__getitem__)
        return ADDRESS
    if request.param == "data":
        return "data:image/png;base64," + base64.b64encode(CONTENT).decode()
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": ("shirt.png", CONTENT)}).json()
    return path if request.param == "upload" else f"{url}gradio_api/file={path}"


def test_every_endpoint_is_a_tool_that_says_what_it_takes_and_gives(tools):
    assert set(tools) == {name.removeprefix("/") for name in ENDPOINTS}
    for name, parameters in ENDPOINTS.items():
        tool = tools[name.removeprefix("/")]
        assert len(tool.description) > 40
        assert "Returns: " in tool.description
        described = tool.inputSchema.get("properties", {})
        assert list(described) == parameters
        assert all(described[parameter].get("description") for parameter in parameters), name
        assert tool.outputSchema["type"] == "object"
        assert tool.annotations.readOnlyHint


def test_the_server_says_what_it_is(url):
    async def said(_, about):
        return about

    about = with_session(url, said)
    assert about.serverInfo.version == API_VERSION
    assert "data: URIs" in about.instructions


def test_photos_are_texts_and_names_are_listed(tools, toy_bundle):
    takes = tools["search"].inputSchema["properties"]
    given, null = takes["image"]["anyOf"]
    assert (given["type"], null) == ("string", {"type": "null"})
    assert "data: URI" in given["description"]
    assert tools["search_many"].inputSchema["properties"]["images"]["items"]["type"] == "string"
    assert takes["match"]["enum"] == list(TASKS)
    assert takes["method"]["enum"] == [method.name for method in toy_bundle.methods]
    assert takes["types"]["anyOf"][0]["items"] == {"type": "string", "enum": ["pants", "shirt", "shoes"]}


def test_an_agent_searches_with_a_photo(url, retriever, photo):
    found = answer(url, "search", image=photo, k=3, method="cosine")
    expected = retriever.search(CONTENT, SearchOptions("cosine", k=3))
    assert [match["id"] for match in found["matches"]] == [match.id for match in expected.matches]
    assert found["query"] == {ADDRESS: ADDRESS}.get(photo, None if photo.startswith("data:") else "shirt.png")
    picture = httpx.get(found["matches"][0]["thumbnail"])  # absolute: an agent knows no other address
    assert picture.headers["content-type"] == "image/jpeg"


def test_an_agent_gives_lists_of_photos(url, retriever, photo):
    each = answer(url, "search_many", images=[photo, photo], k=2, method="cosine")["result"]
    expected = [match.id for match in retriever.search(CONTENT, SearchOptions("cosine", k=2)).matches]
    assert [[match["id"] for match in one["result"]["matches"]] for one in each] == [expected, expected]
    together = answer(url, "search_together", images=[photo], ids=[ITEM], k=2, method="cosine")
    expected = retriever.search(CONTENT, SearchOptions("cosine", k=2), ids=[ITEM])
    assert [match["id"] for match in together["matches"]] == [match.id for match in expected.matches]


def test_an_agent_compares_and_explains_with_a_photo(url, photo):
    assert answer(url, "compare", image=photo, k=2)["labels"] == [{"type": "shirt", "color": "red"}]
    assert answer(url, "explain", id=ITEM, image=photo)["sentence"].startswith("Same type: ")


def test_an_agent_needs_no_photo(url, toy_bundle):
    assert answer(url, "search_by_id", id=ITEM, k=3, types=["shirt"])["query_id"] == ITEM
    assert answer(url, "facets", colors=["red"])["type"] == {"pants": 12, "shirt": 12, "shoes": 12}
    assert answer(url, "random", seed=3)["id"] == toy_bundle.gallery.random_id(3)
    assert answer(url, "methods")["api_version"] == API_VERSION


def test_an_agent_searches_in_words_and_by_color(url, photo):
    found = answer(url, "search", words="blue shirt", k=2)
    assert [match["labels"] for match in found["matches"]] == [{"type": "shirt", "color": "blue"}] * 2
    assert found["matches"][0]["likeness"] is None
    found = answer(url, "search", image=photo, color="#283cbe", k=2)
    assert [match["labels"] for match in found["matches"]] == [{"type": "shirt", "color": "blue"}] * 2
    assert found["options"]["color"] == "#283cbe"
    assert answer(url, "search_by_id", id=ITEM, words="azul", k=1)["matches"][0]["labels"]["color"] == "blue"


def test_limits_are_those_of_whoever_asks(url, monkeypatch):
    clients = []

    def seen(scope):
        clients.append(client_of(scope))
        return clients[-1]

    async def called(session, _):
        return await session.call_tool("random", {})

    monkeypatch.setattr("cbir.ui.calls.client_of", seen)
    with_session(url, called, **{"x-forwarded-for": "8.8.8.8"})  # a proxy on this machine says so
    assert clients == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("search_by_id", {"id": "nobody"}, "unknown id 'nobody'"),
        ("search", {"image": None}, "no photo"),
        ("search", {"image": "data:image/png,text"}, "in base64, got 'data:image/png,text'"),
        ("search", {"image": "/etc/hostname"}, "must be an uploaded file"),
        ("search", {"image": "http://127.0.0.1/a.jpg"}, "expected a public host"),
        ("search", {"match": "size"}, f"unknown task 'size': expected one of {', '.join(TASKS)}"),
        ("search_by_id", {"id": ITEM, "types": ["hat"]}, "unknown type 'hat': expected one of pants, shirt, shoes"),
        ("search_by_id", {"id": 7}, "expected id as a text"),
        ("search_by_id", {}, "required argument: id"),
        ("random", {"size": "L"}, "unknown argument 'size': expected one of seed"),
        ("methods", {"k": 3}, "unknown argument 'k': expected no arguments"),
        ("search_all", {}, "Unknown tool"),
        ("search", {"words": "blue zeppelin"}, "got 'zeppelin'"),
        ("search_many", {"images": ["http://127.0.0.1:7860/gradio_api/file=/etc/hostname"]}, None),
    ],
)
def test_a_mistake_tells_the_agent_what_to_mend(url, name, arguments, message):
    result = call(url, name, **arguments)
    if message is None:  # a batch answers for each photo
        assert "expected a public host" in result.structuredContent["result"][0]["error"]
    else:
        assert result.isError
        assert message in result.content[0].text
        assert "\n" not in result.content[0].text


@pytest.mark.parametrize(
    ("status", "line"),
    [("400 Bad Request", "the call was refused (Bad Request): give"), ("503 Service", "too many calls")],
)
def test_a_call_that_the_app_refuses_is_told_without_an_address_of_the_server(status, line):
    told = f"Client error '{status}' for url 'http://127.0.0.1:7860/gradio_api/queue/join?'\nFor more information: x"
    text = tools_module._one_line(TextContent(type="text", text=told)).text
    assert text.startswith(line)
    assert "127.0.0.1" not in text
    assert "\n" not in text
