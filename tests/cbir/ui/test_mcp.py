"""The endpoints as tools for agents, over the Model Context Protocol, with its own Python client."""

import ast
import asyncio
import warnings

import pytest

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

from tests.cbir.ui.test_api import ENDPOINTS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def with_session(url, use):
    """Runs a coroutine function with a session."""

    async def run():
        async with (
            streamablehttp_client(url + "gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await use(session)

    return asyncio.run(run())


def test_every_endpoint_is_a_tool_that_says_what_it_does(url):
    tools = {tool.name: tool for tool in with_session(url, lambda session: session.list_tools()).tools}
    assert set(tools) == {name.removeprefix("/") for name in ENDPOINTS}
    for name, parameters in ENDPOINTS.items():
        tool = tools[name.removeprefix("/")]
        assert len(tool.description) > 40
        described = tool.inputSchema.get("properties", {})
        assert list(described) == parameters
        assert all(described[parameter].get("description") for parameter in parameters), name


def test_an_agent_can_search(url, toy_bundle):
    item = str(toy_bundle.gallery.ids[0])
    answer = with_session(url, lambda session: session.call_tool("search_by_id", {"id": item, "k": 3}))
    assert not answer.isError
    found = ast.literal_eval(answer.content[0].text)  # Gradio shows agents what Python shows
    assert found["query_id"] == item
    assert len(found["matches"]) == 3


def test_a_mistake_tells_the_agent_what_to_mend(url):
    answer = with_session(url, lambda session: session.call_tool("search_by_id", {"id": "nobody"}))
    assert answer.isError
    assert "unknown id 'nobody'" in answer.content[0].text
