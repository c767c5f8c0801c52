"""The endpoints as tools for agents: Gradio's MCP server (Model Context Protocol), with photos and JSON.

Gradio describes a file to agents as an address that it fetches itself, whatever its size, knows files neither in lists
nor where there may be none, and answers with what Python prints. Here a photo is a text, which the endpoint reads as it
reads any photo (`cbir.ui.inputs.photo_source`), and answers are JSON: as text, and structured after the schema of the
tool.
"""

import copy
import json
import re
from typing import Any, cast
from urllib.parse import urljoin

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.mcp import GradioMCPServer
from mcp import types
from mcp.server import Server
from starlette.requests import Request

from cbir.ui.calls import BUSY
from cbir.version import API_VERSION

RESCAN = "rescan"  # the only tool that changes anything
A_PHOTO = (
    "The photo: an http(s) address, a data: URI in base64 (at most 8 MB), or what POST /gradio_api/upload answered."
)
INSTRUCTIONS = (
    "Finds clothes that look alike. Start with `methods` (what can be chosen) and `facets` (which types and colors "
    "there are); search by a photo, in words or by a color with `search`, by a picture of the catalogue with "
    "`search_by_id`. Give photos as http(s) addresses or as data: URIs."
)
_REFUSED = re.compile(r"(?:Client|Server) error '(\d+) ([^']*)'")  # of httpx
_PLAIN = "give arguments that are plain JSON, of a few MB at most, without NaN and halves of characters"
Schema = dict[str, Any]


class Tools(GradioMCPServer):
    """The MCP server of one app."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(blocks)
        self._answers = {name: _answer_schema(self._endpoint(name)) for name in self.tool_to_endpoint}

    def create_mcp_server(self) -> "Server":
        """Gradio's server, whose tools say what they answer and answer with it."""
        server = super().create_mcp_server()
        server.version, server.instructions = API_VERSION, INSTRUCTIONS
        list_tools = server.request_handlers[types.ListToolsRequest]
        call_tool = server.request_handlers[types.CallToolRequest]

        async def list_with_answers(request: types.ListToolsRequest) -> types.ServerResult:
            result = await list_tools(request)
            listed = cast("types.ListToolsResult", result.root)
            described = [self._described(tool) for tool in listed.tools]
            for tool in listed.tools:  # by these the server would check arguments: the endpoints say more of a mistake
                tool.inputSchema = {"type": "object"}
            listed.tools = described
            return result

        async def call_with_answer(request: types.CallToolRequest) -> types.ServerResult:
            result = await call_tool(request)
            answer = cast("types.CallToolResult", result.root)
            if answer.isError:
                answer.content = [_one_line(cast("types.TextContent", answer.content[0]))]
            else:
                answer.structuredContent = json.loads(cast("types.TextContent", answer.content[0]).text)
            return result

        server.request_handlers[types.ListToolsRequest] = list_with_answers
        server.request_handlers[types.CallToolRequest] = call_with_answer
        return server

    def _described(self, tool: types.Tool) -> types.Tool:
        hints = types.ToolAnnotations(readOnlyHint=tool.name != RESCAN, openWorldHint=False)
        return tool.model_copy(update={"outputSchema": self._answers[tool.name], "annotations": hints})

    def get_input_schema(
        self, tool_name: str, parameters: dict[str, str] | None = None
    ) -> tuple[Schema, list[list[str | int]]]:
        """What a tool takes. Gradio asks for the positions of files only to know whether there are any."""
        schema, positions = super().get_input_schema(tool_name, parameters)
        schema["properties"] = {name: _input_schema(one) for name, one in schema["properties"].items()}
        return schema, positions

    def convert_strings_to_filedata(self, value: Any, filedata_positions: list[list[str | int]]) -> Any:  # noqa: ANN401
        """Leaves photos as they are given: the endpoints read them."""
        return value

    def postprocess_output_data(self, data: Any, root_url: str) -> list[types.TextContent | types.ImageContent]:  # noqa: ANN401
        """The answer of an endpoint as JSON, an object in any case; addresses of pictures become absolute."""
        (answer,) = data
        answer = answer if isinstance(answer, dict) else {"result": answer}
        text = json.dumps(_with_addresses(answer, f"{root_url.rstrip('/')}/"), ensure_ascii=False)
        return [types.TextContent(type="text", text=text)]

    def _prepare_tool_call_args(
        self, name: str, arguments: dict[str, Any]
    ) -> tuple[str, list[Any], dict[str, str], BlockFunction]:
        """Names who asks, as proxies do: the endpoint is called from here, but limits are those of whoever asks.

        Raises:
            ValueError: the tool does not take one of the arguments.
        """
        if name in self.tool_to_endpoint:
            takes = [parameter["parameter_name"] for parameter in self._endpoint(name)["parameters"]]
            if unknown := [argument for argument in arguments if argument not in takes]:
                among = f"one of {', '.join(takes)}" if takes else "no arguments"
                raise ValueError(f"unknown argument {unknown[0]!r:.60}: expected {among}")
        endpoint, values, headers, fn = super()._prepare_tool_call_args(name, arguments)
        request = cast("Request", self.mcp_server.request_context.request)
        asks = request.client.host if request.client else ""
        headers["x-forwarded-for"] = ", ".join(filter(None, [headers.get("x-forwarded-for", ""), asks]))
        return endpoint, values, headers, fn

    def _endpoint(self, tool_name: str) -> Schema:
        return cast("Schema", self.api_info["named_endpoints"][self.tool_to_endpoint[tool_name]])


def _one_line(content: types.TextContent) -> types.TextContent:
    """What was wrong; where the app refused the call that was made for it, without the address of that call."""
    refused = _REFUSED.match(content.text)
    if refused is None:
        return content
    line = BUSY if refused[1] in ("429", "503") else f"the call was refused ({refused[2]}): {_PLAIN}"
    return types.TextContent(type="text", text=line)


def _input_schema(schema: Schema) -> Schema:
    """What an agent may give for a parameter, in the words that agents' own schemas are restricted to."""
    if "oneOf" in schema:  # null, or something
        ((null, given),) = [schema["oneOf"]]
        rest = {name: value for name, value in schema.items() if name != "oneOf"}
        return {**rest, "anyOf": [_input_schema(given), null]}
    if str(schema.get("format", "")).startswith("Gradio File Input"):
        return {"type": "string", "format": schema["format"], "description": A_PHOTO}
    if "items" in schema:
        return {**schema, "items": _input_schema(schema["items"])}
    if "const" in schema:  # the only name there is
        schema = {**{name: value for name, value in schema.items() if name != "const"}, "enum": [schema["const"]]}
    return {"type": "string", **schema} if "enum" in schema else schema


def _answer_schema(endpoint: Schema) -> Schema:
    schema = copy.deepcopy(endpoint["returns"][0]["type"])
    if schema.get("type") != "object":
        schema = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return schema


def _with_addresses(value: Any, root: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, list):
        return [_with_addresses(one, root) for one in value]
    if isinstance(value, dict):
        return {
            name: urljoin(root, one) if name == "thumbnail" else _with_addresses(one, root)
            for name, one in value.items()
        }
    return value
